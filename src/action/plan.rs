//! How an action on a service is carried out: by which of its methods, and what has to come of it.

use std::borrow::Cow;
use std::time::Duration;

use super::{Action, Goal, Refusal};
use crate::inventory::{ActionSpec, Exec, Means, Service, Signal};
use crate::text;
use crate::yaml::{is_secret_name, mask_secrets};

/// The reason for which an action is not carried out, and what a person can do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusalReason {
    pub(crate) reason: String,
    pub(crate) hint: Option<String>,
    /// The process that a person may name all the same, once.
    pub(crate) nameable: Option<u32>,
}

impl RefusalReason {
    pub(crate) fn new(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            hint: Some(hint.into()),
            nameable: None,
        }
    }

    /// Returns the same reason, which a person may overrule by naming this process.
    pub(crate) fn unless_named(self, nameable: Option<u32>) -> Self {
        Self { nameable, ..self }
    }

    /// Returns the reason and what can be done about it, as one text.
    pub(crate) fn with_hint(self) -> String {
        match self.hint {
            Some(hint) => format!("{}; {hint}", self.reason),
            None => self.reason,
        }
    }

    /// Returns the refusal of the action on this service.
    pub(crate) fn of(self, service: &Service, action: Action) -> Refusal {
        Refusal {
            service: service.name.clone(),
            action,
            reason: text::clean(&self.reason, 600),
            hint: self.hint.map(|hint| text::clean(&hint, 400)),
            nameable: self
                .nameable
                .filter(|_| may_name_a_process(service, action)),
        }
    }
}

impl From<String> for RefusalReason {
    fn from(reason: String) -> Self {
        Self {
            reason,
            hint: None,
            nameable: None,
        }
    }
}

/// An action on one service: a request, and what has to come of it.
#[derive(Debug, Clone)]
pub(crate) struct ActionPlan {
    /// The request to send; `None` where the service is only started.
    pub(crate) request: Option<ActionSpec>,
    /// False where the inventory names no means and SIGTERM is taken because every process knows it.
    pub(crate) declared: bool,
    /// The name of what is requested: a shutdown (also as the first phase of a restart), a restart or a reload.
    pub(crate) asks_for: &'static str,
    pub(crate) goal: Goal,
    /// Set where SIGKILL soon follows for what is still there.
    pub(crate) kills: bool,
}

const SHUTDOWN: &str = "shutdown";

/// The name for people of the means of a service that is only started.
pub(crate) const START_COMMAND: &str = "start command";

/// Returns whether the action can be a signal to a process that a person names.
fn may_name_a_process(service: &Service, action: Action) -> bool {
    match action {
        Action::Shutdown | Action::Schedule => true,
        Action::Restart => service.actions.restart.is_none(),
        Action::Reload | Action::Start => false,
    }
}

/// Plans an action on a service. Whether its process is known plays no part here.
///
/// # Errors
/// Returns the reason where the service has no method for the action.
pub(crate) fn plan_action(service: &Service, action: Action) -> Result<ActionPlan, RefusalReason> {
    let actions = &service.actions;
    let stop = || actions.shutdown.as_ref().or(actions.schedule.as_ref());
    let (spec, asks_for, goal) = match action {
        Action::Shutdown => (stop(), SHUTDOWN, Goal::Stop),
        Action::Schedule => (schedule(service)?, SHUTDOWN, Goal::Stop),
        Action::Reload => (Some(reload(service)?), "reload", Goal::Reload),
        Action::Start => {
            check_startable(service)?;
            return Ok(ActionPlan {
                request: None,
                declared: true,
                asks_for: "start",
                goal: Goal::Start,
                kills: false,
            });
        }
        Action::Restart if actions.restart.is_some() => {
            (actions.restart.as_ref(), "restart", Goal::Replace)
        }
        Action::Restart if service.supervised => (stop(), SHUTDOWN, Goal::Replace),
        Action::Restart if service.start.is_some() => (stop(), SHUTDOWN, Goal::Start),
        Action::Restart => {
            return Err(RefusalReason::new(
                "it could be stopped, but nothing is known to start it again",
                format!(
                    "add `start: {{command: […]}}`; or, where something else starts it, `supervised: true` or `actions: {{restart: {{exec: [systemctl, restart, {}]}}}}`",
                    service.name
                ),
            ));
        }
    };
    Ok(ActionPlan {
        declared: spec.is_some(),
        request: Some(request(service, action, spec)),
        asks_for,
        goal,
        kills: false,
    })
}

/// Returns the declared reload. No signal is assumed: one that a process does not handle ends it.
fn reload(service: &Service) -> Result<&ActionSpec, RefusalReason> {
    service.actions.reload.as_ref().ok_or_else(|| {
        RefusalReason::new(
            "it offers no reload",
            "where it can do it, say how: `actions: {reload: {signal: HUP}}`, or `http` or `exec`",
        )
    })
}

/// Returns the means to ask for a shutdown and return: the declared one, else that of a shutdown that does not wait.
fn schedule(service: &Service) -> Result<Option<&ActionSpec>, RefusalReason> {
    match (&service.actions.schedule, &service.actions.shutdown) {
        (Some(schedule), _) => Ok(Some(schedule)),
        (None, Some(shutdown)) if shutdown.waits && matches!(shutdown.means, Means::Http(_)) => {
            Err(RefusalReason::new(
                "its only shutdown route waits for the end, so it cannot be scheduled",
                format!(
                    "`healthctl shutdown {}` uses it, or add `actions: {{schedule: …}}`",
                    service.name
                ),
            ))
        }
        (None, shutdown) => Ok(shutdown.as_ref()),
    }
}

fn check_startable(service: &Service) -> Result<(), RefusalReason> {
    if service.start.is_some() {
        Ok(())
    } else if service.supervised {
        Err(RefusalReason::new(
            "it is `supervised` and has no `start`",
            format!(
                "start it with its supervisor, or add the command that does: `start: {{command: [systemctl, start, {}]}}`",
                service.name
            ),
        ))
    } else {
        Err(RefusalReason::new(
            "it does not say how it is started",
            "add `start: {command: [PROGRAM, ARGUMENT]}` to it",
        ))
    }
}

/// Returns the declared means, else SIGTERM.
fn request(service: &Service, action: Action, spec: Option<&ActionSpec>) -> ActionSpec {
    let by_signal = || ActionSpec::plain(Means::Signal(Signal::Term), service.shutdown_timeout());
    let mut request = spec.cloned().unwrap_or_else(by_signal);
    // A scheduled shutdown does not wait for a reply that comes at the end.
    request.waits &= action != Action::Schedule;
    request.then = request.then.filter(|_| action != Action::Schedule);
    request
}

impl ActionPlan {
    /// Returns whether the start command of a supervised service is run where its supervisor has not started it again.
    pub(crate) fn starts_by_need(&self, service: &Service) -> bool {
        self.goal == Goal::Replace && service.actions.restart.is_none() && service.start.is_some()
    }

    /// Returns the other means by which a service may be stopped, where its route is not offered: the signal that its
    /// inventory names, else SIGTERM, and its command, where it has one.
    pub(crate) fn other_means(&self, service: &Service) -> Option<(Signal, Option<Exec>)> {
        let method = self.request.as_ref()?;
        let is_route = matches!(method.means, Means::Http(_));
        if !is_route || self.asks_for != SHUTDOWN || self.goal == Goal::Reload {
            return None;
        }
        let declared = [&service.actions.shutdown, &service.actions.schedule];
        let means = declared.into_iter().flatten().map(|action| &action.means);
        let (mut signal, mut command) = (Signal::Term, None);
        for other in means {
            match other {
                Means::Signal(named) => signal = *named,
                Means::Exec(exec) => command = Some(exec.clone()),
                Means::Http(_) => {}
            }
        }
        Some((signal, command))
    }

    /// Returns the same plan by a signal, whatever route or command there is: the declared signal, else SIGTERM.
    ///
    /// # Errors
    /// The action is no signal to a process.
    pub(crate) fn by_signal(mut self, service: &Service) -> Result<Self, RefusalReason> {
        let is_own_request = service.actions.restart.is_some() && self.asks_for == "restart";
        let Some(method) = self.request.as_mut().filter(|_| !is_own_request) else {
            let reason = "its request is no signal to a process";
            return Err(RefusalReason::new(reason, "leave out `--pid`"));
        };
        if !matches!(method.means, Means::Signal(_)) {
            *method = ActionSpec::plain(Means::Signal(Signal::Term), method.timeout);
        }
        // Nothing else follows by itself.
        method.then = None;
        self.declared = true;
        Ok(self)
    }

    /// Returns the same plan by signals alone, the last of which is SIGKILL: what has not ended `patience` after the first one
    /// is killed.
    ///
    /// # Errors
    /// The action is no signal to a process.
    pub(crate) fn by_force(
        self,
        service: &Service,
        patience: Duration,
    ) -> Result<Self, RefusalReason> {
        let mut plan = self.by_signal(service)?;
        plan.kills = true;
        if let Some(method) = &mut plan.request {
            method.timeout = method.timeout.min(patience);
        }
        Ok(plan)
    }

    /// Returns the means for people, without the request itself.
    pub(crate) fn describe(&self) -> String {
        let Some(method) = &self.request else {
            return START_COMMAND.to_owned();
        };
        let means = match (&method.means, method.waits, self.declared) {
            (Means::Http(_), true, _) => format!("{} route (waits for the end)", self.asks_for),
            (Means::Http(_), false, _) => format!("{} route", self.asks_for),
            (Means::Signal(_), _, true) if self.kills => "signals, SIGKILL the last".to_owned(),
            (Means::Signal(_), _, true) => "signal".to_owned(),
            (Means::Signal(_), _, false) => "signal (no route or command is declared)".to_owned(),
            (Means::Exec(_), _, _) => "command".to_owned(),
        };
        match self.goal {
            Goal::Start => format!("{means}, then its start command"),
            Goal::Replace if self.asks_for == SHUTDOWN => {
                format!("{means}; its supervisor starts it again")
            }
            Goal::Replace | Goal::Stop | Goal::Reload => means,
        }
    }
}

/// Returns a command line for people, without the secrets that its words give away.
pub(crate) fn shown_command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut hide_next = false;
    for word in words {
        let flag = word.trim_start_matches('-');
        shown.push(match word.split_once('=') {
            _ if hide_next => "***".to_owned(),
            Some((key, _)) if is_secret_name(key) => format!("{key}=***"),
            _ => mask_secrets(word),
        });
        hide_next = !hide_next && flag.len() < word.len() && is_secret_name(flag);
    }
    let quoted = shown.iter().map(|word| quoted(word));
    quoted.collect::<Vec<_>>().join(" ")
}

/// Quotes a word for a shell, where that is necessary.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = !word.is_empty()
        && !word.contains(|c: char| c.is_whitespace() || "'\"\\;|&<>()`".contains(c));
    if plain {
        return Cow::Borrowed(word);
    }
    // Only a null byte cannot be quoted, and no command holds one.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::samples;

    /// `shutdown | schedule` as declared, what `shutdown` and `shutdown --schedule` take.
    #[test]
    fn each_action_finds_its_means() {
        for (shutdown, schedule, blocking, scheduled) in [
            ("route waits", "route", "route waits", "route"),
            ("route waits", "", "route waits", "refused"),
            ("route", "", "route", "route"),
            ("", "route", "route", "route"),
            ("signal", "", "signal", "signal"),
            ("command", "", "command", "command"),
            ("command", "route", "command", "route"),
            ("route waits", "signal", "route waits", "signal"),
            ("", "", "SIGTERM", "SIGTERM"),
        ] {
            let service = samples::service("api", shutdown, schedule);
            let case = format!("shutdown: {shutdown}, schedule: {schedule}");
            assert_eq!(taken(&service, Action::Shutdown), blocking, "{case}");
            assert_eq!(taken(&service, Action::Schedule), scheduled, "{case}");
        }
    }

    fn taken(service: &Service, action: Action) -> &'static str {
        let Ok(plan) = plan_action(service, action) else {
            return "refused";
        };
        let Some(method) = plan.request else {
            return "nothing";
        };
        match (method.means, method.waits, plan.declared) {
            (Means::Http(_), true, _) => "route waits",
            (Means::Http(_), false, _) => "route",
            (Means::Signal(_), _, true) => "signal",
            (Means::Signal(Signal::Term), _, false) => "SIGTERM",
            (Means::Signal(_), _, false) => "?",
            (Means::Exec(_), _, _) => "command",
        }
    }

    #[test]
    fn commands_are_shown_without_their_secrets() {
        for (command, expected) in [
            ("systemctl stop api", "systemctl stop api"),
            ("stop --token abc --now", "stop --token *** --now"),
            ("stop --token=abc", "stop --token=***"),
            ("stop API_TOKEN=abc", "stop API_TOKEN=***"),
            (
                "curl http://me:abc@host/stop",
                "curl http://me:***@host/stop",
            ),
            ("stop --timeout=5 token", "stop --timeout=5 token"),
        ] {
            assert_eq!(shown_command(command.split(' ')), expected);
        }
        let words = ["sh", "-c", "sleep 1; exec it's", ""];
        assert_eq!(shown_command(words), "sh -c \"sleep 1; exec it's\" ''");
    }

    #[test]
    fn a_reload_is_never_made_up() {
        let mut service = samples::service("api", "route", "signal");
        let reason = plan_action(&service, Action::Reload).unwrap_err().reason;
        assert_eq!(reason, "it offers no reload");
        service.actions.reload = service.actions.schedule.clone();
        let plan = plan_action(&service, Action::Reload).unwrap();
        assert_eq!(plan.describe(), "signal");
        assert!(plan.declared && plan.request.is_some_and(|method| !method.waits));
        assert_eq!(plan.goal, Goal::Reload);
    }

    /// `words` of what it declares; the request, what comes then, and the means in words.
    fn check(words: &str, action: Action, expected: Result<(&str, Goal, &str), &str>) {
        let shutdown = if words.contains("waits") {
            "route waits"
        } else {
            ""
        };
        let mut service = samples::service("api", shutdown, "");
        service.start = words.contains("start").then(samples::start);
        service.supervised = words.contains("supervised");
        if words.contains("command") {
            service.actions.restart = samples::service("api", "command", "").actions.shutdown;
        }
        match (plan_action(&service, action), expected) {
            (Err(no), Err(reason)) => assert_eq!(no.reason, reason, "{words}"),
            (Ok(plan), Ok((request, then, means))) => {
                assert_eq!(taken(&service, action), request, "{words}");
                assert_eq!(plan.goal, then, "{words}");
                assert_eq!(plan.describe(), means, "{words}");
            }
            (found, _) => panic!("{words}: {found:?}"),
        }
    }

    #[test]
    fn a_restart_ends_with_whoever_starts_it_again() {
        use Action::{Restart, Start};
        check(
            "start waits",
            Restart,
            Ok((
                "route waits",
                Goal::Start,
                "shutdown route (waits for the end), then its start command",
            )),
        );
        check(
            "start",
            Restart,
            Ok((
                "SIGTERM",
                Goal::Start,
                "signal (no route or command is declared), then its start command",
            )),
        );
        check(
            "command start",
            Restart,
            Ok(("command", Goal::Replace, "command")),
        );
        check(
            "supervised waits",
            Restart,
            Ok((
                "route waits",
                Goal::Replace,
                "shutdown route (waits for the end); its supervisor starts it again",
            )),
        );
        check(
            "waits",
            Restart,
            Err("it could be stopped, but nothing is known to start it again"),
        );
        check(
            "start",
            Start,
            Ok(("nothing", Goal::Start, "start command")),
        );
        check(
            "supervised start waits",
            Restart,
            Ok((
                "route waits",
                Goal::Replace,
                "shutdown route (waits for the end); its supervisor starts it again",
            )),
        );
        check(
            "supervised start",
            Start,
            Ok(("nothing", Goal::Start, "start command")),
        );
        check("waits", Start, Err("it does not say how it is started"));
        check(
            "supervised",
            Start,
            Err("it is `supervised` and has no `start`"),
        );
    }
}
