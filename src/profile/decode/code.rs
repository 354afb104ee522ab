//! Status codes: what they mean before anything is read of the body.

use hyper::StatusCode;

use super::words::Vocabulary;
use crate::health::{Failure, FailureKind, State};
use crate::profile::{Expect, StatusRange, mask_password};
use crate::text::clean;
use crate::yaml::{Entry, Problem, Problems};

/// `codes:` of a profile.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct CodeTable(Vec<(StatusRange, CodeMeaning)>);

/// The meaning that a profile gives to a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CodeMeaning {
    /// The word in the body decides.
    Body,
    State(State),
}

/// The verdict on the code of a response.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CodeVerdict {
    /// The code is accepted and says nothing against the service.
    Accepted,
    /// The profile gives it this state, and the inventory does not contradict.
    State(State),
    /// The body decides; when it does not, the failure stands.
    Body(Option<Failure>),
    /// The code is not accepted, but the body may still tell the state of the service.
    Rejected(Failure),
    /// The code is not accepted, and the body is about the request (a route, a redirect, credentials) and not about the
    /// service.
    Unrelated(Failure),
}

impl CodeTable {
    /// Reads `{429: healthy, 500-599: unhealthy, 503: body}`.
    pub(super) fn parse(entry: Option<&Entry>, problems: &mut Problems) -> Self {
        let expected = "a map of status codes, such as `{429: healthy, 503: body}`";
        let entries = entry.and_then(|entry| entry.value.map(expected, problems));
        let states = State::KEYS.iter();
        let states = states.map(|(key, state)| (*key, CodeMeaning::State(*state)));
        let words: Vec<_> = states.chain([("body", CodeMeaning::Body)]).collect();
        let mut codes = Self::default();
        for entry in entries.unwrap_or_default() {
            let Some(range) = parse_range(&entry.key) else {
                let message = format!("`{}` is no status code", entry.key);
                Problem::at(&entry.key_place, message)
                    .label("expected a code from 100 to 999, or a range of them")
                    .hint("such as `503` or `500-599`")
                    .report(problems);
                continue;
            };
            if let Some(meaning) = entry.value.word(&words, problems) {
                codes.0.push((range, meaning));
            }
        }
        codes
    }

    /// Returns the meaning of a code: that of the narrowest entry that contains it.
    fn meaning(&self, code: u16) -> Option<CodeMeaning> {
        self.0
            .iter()
            .filter(|(range, _)| range.contains(code))
            .min_by_key(|(range, _)| range.last - range.first)
            .map(|(_, meaning)| *meaning)
    }

    /// Judges a code by the profile's `codes:` and the inventory's `expect.status`. `location` is the target of a
    /// redirect.
    pub(super) fn judge(&self, code: u16, expect: &Expect, location: Option<&str>) -> CodeVerdict {
        let (meaning, accepted) = (self.meaning(code), expect.accepts(code));
        let explicit = !expect.status.is_empty();
        let failure = || failure(code, expect, location);
        match (meaning, accepted) {
            // The inventory stands above the convention.
            (Some(_), false) if explicit => CodeVerdict::Rejected(failure()),
            (Some(CodeMeaning::State(State::Unready | State::Unhealthy | State::Unknown)), _)
                if explicit =>
            {
                CodeVerdict::Accepted
            }
            (Some(CodeMeaning::State(state)), _) => CodeVerdict::State(state),
            (Some(CodeMeaning::Body), _) => CodeVerdict::Body((!accepted).then(failure)),
            (None, true) => CodeVerdict::Accepted,
            (None, false) => match code {
                300..=399 | 401 | 403..=405 => CodeVerdict::Unrelated(failure()),
                _ => CodeVerdict::Rejected(failure()),
            },
        }
    }
}

/// Reads `503` or `500-599`.
fn parse_range(text: &str) -> Option<StatusRange> {
    let code = |text: &str| {
        let text = text.trim();
        let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|code| digits && *code >= 100)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (code(first)?, code(last)?);
    (first <= last).then_some(StatusRange { first, last })
}

/// Returns the failure that an unaccepted code is.
fn failure(code: u16, expect: &Expect, location: Option<&str>) -> Failure {
    use FailureKind::{Auth, Redirect, Status};
    let (kind, what) = match code {
        300..=399 => {
            let to = |target| format!("to {}", clean(&without_password(target), 200));
            let target = location.map_or_else(|| "without saying where to".to_owned(), to);
            (Redirect, format!(": a redirect {target}"))
        }
        401 => (Auth, ": credentials are missing or wrong".to_owned()),
        403 => (Auth, ": these credentials may not see it".to_owned()),
        404 => (Status, ": there is no such route".to_owned()),
        405 => (Status, ": the route takes another method".to_owned()),
        _ => (Status, format!(", expected {}", accepted(expect))),
    };
    Failure::new(kind, format!("answered {}{what}", with_reason(code)))
}

/// Returns the target of a redirect without a password in it.
fn without_password(target: &str) -> String {
    match url::Url::parse(target) {
        Ok(url) if url.password().is_some() => mask_password(url).into(),
        // A URL without a password stays as it was written.
        _ => target.to_owned(),
    }
}

/// Returns the accepted codes for people.
fn accepted(expect: &Expect) -> String {
    if expect.status.is_empty() {
        return "200-299".to_owned();
    }
    let ranges = expect.status.iter().map(StatusRange::to_string);
    ranges.collect::<Vec<_>>().join(", ")
}

/// Returns the code with its standard reason phrase: `503 Service Unavailable`.
pub(super) fn with_reason(code: u16) -> String {
    let status = StatusCode::from_u16(code).ok();
    match status.and_then(|status| status.canonical_reason()) {
        Some(reason) => format!("{code} {reason}"),
        None => code.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{CodeMeaning, CodeTable, CodeVerdict, failure};
    use crate::health::{FailureKind, State};
    use crate::profile::{Expect, StatusRange};

    fn range(first: u16, last: u16) -> StatusRange {
        StatusRange { first, last }
    }

    fn expecting(ranges: &[StatusRange]) -> Expect {
        Expect {
            status: ranges.to_vec(),
            ..Expect::default()
        }
    }

    #[test]
    fn without_a_profile() {
        let check = |code: u16, expect: &Expect, kind: Option<FailureKind>| {
            let found = match CodeTable::default().judge(code, expect, None) {
                CodeVerdict::Accepted => None,
                CodeVerdict::Rejected(failure) | CodeVerdict::Unrelated(failure) => {
                    Some(failure.kind)
                }
                other => panic!("{code}: {other:?}"),
            };
            assert_eq!(found, kind, "{code}");
        };
        let default = Expect::default();
        for (code, kind) in [
            (200, None),
            (204, None),
            (299, None),
            (199, Some(FailureKind::Status)),
            (302, Some(FailureKind::Redirect)),
            (304, Some(FailureKind::Redirect)),
            (401, Some(FailureKind::Auth)),
            (403, Some(FailureKind::Auth)),
            (404, Some(FailureKind::Status)),
            (405, Some(FailureKind::Status)),
            (429, Some(FailureKind::Status)),
            (503, Some(FailureKind::Status)),
            (999, Some(FailureKind::Status)),
        ] {
            check(code, &default, kind);
        }
        let wide = expecting(&[range(200, 399), range(404, 404)]);
        for (code, kind) in [(302, None), (404, None), (405, Some(FailureKind::Status))] {
            check(code, &wide, kind);
        }
    }

    #[test]
    fn what_a_profile_says() {
        let codes = CodeTable(vec![
            (range(400, 599), CodeMeaning::State(State::Healthy)),
            (range(429, 429), CodeMeaning::State(State::Degraded)),
            (range(503, 503), CodeMeaning::Body),
        ]);
        let default = Expect::default();
        assert_eq!(
            codes.judge(404, &default, None),
            CodeVerdict::State(State::Healthy)
        );
        assert_eq!(
            codes.judge(429, &default, None),
            CodeVerdict::State(State::Degraded)
        );
        assert!(matches!(
            codes.judge(503, &default, None),
            CodeVerdict::Body(Some(_))
        ));
        assert_eq!(codes.judge(200, &default, None), CodeVerdict::Accepted);
        // The inventory's own expectation stands above the profile.
        let strict = expecting(&[range(200, 200)]);
        assert!(matches!(
            codes.judge(429, &strict, None),
            CodeVerdict::Rejected(_)
        ));
        assert_eq!(
            codes.judge(503, &expecting(&[range(503, 503)]), None),
            CodeVerdict::Body(None)
        );
    }

    #[test]
    fn messages_say_what_came_and_what_was_expected() {
        let expect = expecting(&[range(200, 200), range(210, 219)]);
        for (code, location, expected) in [
            (
                503,
                None,
                "answered 503 Service Unavailable, expected 200, 210-219",
            ),
            (499, None, "answered 499, expected 200, 210-219"),
            (
                302,
                Some("http://x/\u{1b}[31m"),
                "answered 302 Found: a redirect to http://x/\\u{1b}[31m",
            ),
            (
                302,
                None,
                "answered 302 Found: a redirect without saying where to",
            ),
            (
                401,
                None,
                "answered 401 Unauthorized: credentials are missing or wrong",
            ),
            (404, None, "answered 404 Not Found: there is no such route"),
        ] {
            assert_eq!(failure(code, &expect, location).message, expected);
        }
    }
}
