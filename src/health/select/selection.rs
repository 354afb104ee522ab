//! Several selectors: a union, of which every part has to match something.

use super::selector::Selector;
use super::{Candidate, SelectError};
use crate::health::ServiceSnapshot;

/// The union of several selectors; none at all means every service.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    selectors: Vec<Selector>,
}

impl Selection {
    /// Reads the selectors and checks them against the inventory.
    ///
    /// # Errors
    /// Everything that is malformed, and every name, glob, group and label that matches nothing, all at once. States and
    /// flags may match nothing.
    pub fn parse<'a>(
        texts: &[String],
        inventory: impl IntoIterator<Item = Candidate<'a>>,
    ) -> Result<Self, Vec<SelectError>> {
        let inventory: Vec<_> = inventory.into_iter().collect();
        let mut selectors = Vec::new();
        let mut errors = Vec::new();
        for text in texts {
            match Selector::parse(text) {
                Ok(selector) => {
                    errors.extend(selector.check(&inventory).err().into_iter().flatten());
                    selectors.push(selector);
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(Self { selectors })
        } else {
            Err(errors)
        }
    }

    /// True where no selector was given.
    pub fn is_all(&self) -> bool {
        self.selectors.is_empty()
    }

    /// Returns whether the selection asks for a state or a flag, which only probes can tell.
    pub fn needs_snapshot(&self) -> bool {
        self.selectors.iter().any(Selector::needs_snapshot)
    }

    /// Returns whether the service may be selected, as far as the inventory tells; then it has to be probed.
    pub fn matches_static(&self, candidate: Candidate<'_>) -> bool {
        let mut selectors = self.selectors.iter();
        self.is_all() || selectors.any(|selector| selector.matches_static(candidate))
    }

    /// Returns the number of the first selector that may select the service, for the order in which services were named.
    pub fn position(&self, candidate: Candidate<'_>) -> Option<usize> {
        let mut selectors = self.selectors.iter();
        selectors.position(|selector| selector.matches_static(candidate))
    }

    /// Returns whether the service is selected.
    pub fn matches(&self, snapshot: &ServiceSnapshot) -> bool {
        let mut selectors = self.selectors.iter();
        self.is_all() || selectors.any(|selector| selector.matches(snapshot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Flag, Moment, ServiceInfo, State, Tracker};

    /// Name, group, labels, state, flags.
    const INVENTORY: &[(&str, &str, &str, State, &[Flag])] = &[
        ("api", "backend", "tier=web team=core", State::Healthy, &[]),
        (
            "api-v1.2",
            "backend",
            "tier=web",
            State::Unhealthy,
            &[Flag::Blocked],
        ),
        (
            "worker",
            "backend",
            "tier=jobs",
            State::Degraded,
            &[Flag::Stale],
        ),
        ("postgres", "data", "", State::Unhealthy, &[]),
        ("web", "", "tier=front", State::Healthy, &[Flag::Stale]),
    ];

    fn snapshots() -> Vec<ServiceSnapshot> {
        INVENTORY
            .iter()
            .map(|(name, group, labels, state, flags)| {
                let rules = ServiceInfo {
                    group: (!group.is_empty()).then(|| (*group).to_owned()),
                    labels: labels
                        .split_whitespace()
                        .filter_map(|label| label.split_once('='))
                        .map(|(key, value)| (key.to_owned(), value.to_owned()))
                        .collect(),
                    ..ServiceInfo::new(*name)
                };
                let now = Moment::at_seconds(0.0);
                ServiceSnapshot {
                    state: *state,
                    flags: flags.iter().copied().collect(),
                    ..Tracker::new(rules, now).snapshot(now)
                }
            })
            .collect()
    }

    fn parse(selectors: &str) -> Result<Selection, Vec<SelectError>> {
        let snapshots = snapshots();
        let texts: Vec<String> = selectors.split_whitespace().map(str::to_owned).collect();
        Selection::parse(&texts, snapshots.iter().map(Candidate::of))
    }

    /// What is meant, and what has to be probed to tell.
    fn check(selectors: &str, expected: &str, probed: &str) {
        let snapshots = snapshots();
        let selection = parse(selectors).unwrap_or_else(|errors| panic!("{selectors}: {errors:?}"));
        let names = |keep: &dyn Fn(&ServiceSnapshot) -> bool| {
            let kept = snapshots.iter().filter(|snapshot| keep(snapshot));
            let names: Vec<_> = kept.map(|snapshot| snapshot.info.name.as_str()).collect();
            names.join(" ")
        };
        assert_eq!(names(&|it| selection.matches(it)), expected, "{selectors}");
        let possible = names(&|it| selection.matches_static(Candidate::of(it)));
        assert_eq!(possible, probed, "{selectors}: probed");
        let all_known = expected == probed && !selectors.contains(':');
        if all_known {
            assert!(!selection.needs_snapshot(), "{selectors}");
        }
    }

    /// The messages and hints, one line.
    fn check_wrong(selectors: &str, expected: &str) {
        let found: Vec<String> = match parse(selectors) {
            Ok(_) => panic!("{selectors} is taken"),
            Err(errors) => errors
                .into_iter()
                .map(|error| match error.hint {
                    Some(hint) => format!("{} ({hint})", error.message),
                    None => error.message,
                })
                .collect(),
        };
        assert_eq!(found.join(" | "), expected, "{selectors}");
    }

    #[test]
    fn what_selectors_mean() {
        let all = "api api-v1.2 worker postgres web";
        check("", all, all);
        check("api", "api", "api");
        check("api-v1.2", "api-v1.2", "api-v1.2");
        check("api*", "api api-v1.2", "api api-v1.2");
        check("api-*", "api-v1.2", "api-v1.2");
        check("*", all, all);
        check("{api,web}", "api web", "api web");
        check("w?b", "web", "web");
        check(
            "group:backend",
            "api api-v1.2 worker",
            "api api-v1.2 worker",
        );
        check("tier=web", "api api-v1.2", "api api-v1.2");
        check("web postgres", "postgres web", "postgres web");
        check("api api", "api", "api");
        check(
            "!api",
            "api-v1.2 worker postgres web",
            "api-v1.2 worker postgres web",
        );
        check("group:backend,!tier=web", "worker", "worker");
        check("!group:backend,!web", "postgres", "postgres");
        check("state:unhealthy", "api-v1.2 postgres", all);
        check("!state:healthy", "api-v1.2 worker postgres", all);
        check("flag:stale", "worker web", all);
        check("group:backend,flag:stale", "worker", "api api-v1.2 worker");
        check("flag:stale,!worker", "web", "api api-v1.2 postgres web");
        check("state:unhealthy,!flag:blocked", "postgres", all);
        check("state:degraded api", "api worker", all);
        check("state:stopped", "", all);
        check("flag:split", "", all);
        check("group:data,state:healthy", "", "postgres");
    }

    #[test]
    fn what_matches_nothing_is_wrong() {
        check_wrong("apo", "no service is named `apo`; did you mean `api`?");
        check_wrong("Api", "no service is named `Api`; did you mean `api`?");
        check_wrong("!apo", "no service is named `apo`; did you mean `api`?");
        check_wrong("zzz", "no service is named `zzz`");
        check_wrong(
            "backend",
            "no service is named `backend` (for the group of that name write group:backend)",
        );
        check_wrong("x-*", "no service has a name like `x-*`");
        check_wrong(
            "group:backnd",
            "no service is of the group `backnd`; did you mean `backend`?",
        );
        check_wrong(
            "tier=wbe",
            "no service has the label `tier=wbe`; did you mean `tier=web`?",
        );
        check_wrong(
            "teir=web",
            "no service has the label `teir=web`; did you mean `tier=web`?",
        );
        check_wrong(
            "apo state:healthy postgers,flag:stale",
            "no service is named `apo`; did you mean `api`? | no service is named `postgers`; did you mean `postgres`?",
        );
        check_wrong(
            "api,web",
            "no service is all of `api,web` at once (a comma means *and*; with a space between them selectors add up)",
        );
        check_wrong(
            "\u{1b}[31m",
            "selector `\\u{1b}[31m` is no glob: unclosed character class; missing ']'",
        );
    }

    #[test]
    fn what_is_malformed_is_wrong() {
        const EMPTY: &str = "a selector is empty (give a name, a glob, group:NAME, KEY=VALUE, state:STATE or flag:FLAG)";
        for empty in [",", "api,", "!", "api,,web"] {
            check_wrong(empty, EMPTY);
        }
        let empty = Selection::parse(&[String::new()], []).unwrap_err();
        assert_eq!(empty.len(), 1);
        check_wrong("!!api", "selector `!!api` is negated twice");
        check_wrong(
            "group:",
            "selector `group:` lacks a name: it has the form group:NAME",
        );
        check_wrong(
            "=web",
            "selector `=web` lacks a name: it has the form KEY=VALUE",
        );
        check_wrong(
            "gruop:backend",
            "selector `gruop:backend` is of no kind that there is; did you mean `group`? \
             (with a colon there are group:NAME, state:STATE and flag:FLAG)",
        );
        check_wrong(
            "state:unhealty",
            "`unhealty` is no state; did you mean `unhealthy`? (state is one of: unknown, starting, healthy, degraded, \
             unready, unhealthy, draining, stopped)",
        );
        check_wrong(
            "flag:stael",
            "`stael` is no flag; did you mean `stale`? (flag is one of: stale, flapping, paused, blocked, foreign, \
             split, success-age, certificate, crash-loop)",
        );
    }
}
