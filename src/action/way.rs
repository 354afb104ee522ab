//! Which course an action on a service takes: by which of its means, and what has to come of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::Action;
use crate::inventory::{ActionSpec, Means, Service, Signal};
use crate::profile::ReplyDecode;
use crate::yaml::{is_secret_name, mask_secrets};

/// How an action would be carried out.
#[derive(Debug, Clone)]
pub struct Way {
    /// The route, signal or command.
    pub means: Means,
    /// Whether a reply is expected only when the work is done.
    pub waits: bool,
    /// How long it may take, the proof included.
    pub timeout: Duration,
    /// False where the inventory names no means and SIGTERM is taken because every process knows it.
    pub declared: bool,
    /// How its reply is read.
    pub reply: Option<Arc<ReplyDecode>>,
}

/// Why an action has no way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoWay {
    /// One sentence.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What an action on one service consists of: a request, and what has to come of it.
#[derive(Debug, Clone)]
pub struct Course {
    /// What is sent; `None` where it is only started.
    pub request: Option<Way>,
    /// What that asks for: a shutdown, also as the first half of a restart; a restart or a reload by itself.
    pub asks_for: &'static str,
    /// What is waited for after it.
    pub then: Then,
}

const SHUTDOWN: &str = "shutdown";

/// The means of whatever is only started, as it is told.
pub const START_COMMAND: &str = "start command";

/// What has to come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Its end.
    End,
    /// It goes on, with its configuration read again.
    GoesOn,
    /// Its end; then it is started here.
    Start,
    /// Another process in its place, which something else starts.
    Successor,
}

/// The course that `action` takes on `service`. Whether a pid is known is not looked at here.
///
/// # Errors
/// There is no way to do it.
pub fn course(service: &Service, action: Action) -> Result<Course, NoWay> {
    let actions = &service.actions;
    let stopping = || actions.shutdown.as_ref().or(actions.schedule.as_ref());
    let (spec, asks_for, then) = match action {
        Action::Shutdown => (stopping(), SHUTDOWN, Then::End),
        Action::Schedule => (scheduling(service)?, SHUTDOWN, Then::End),
        Action::Reload => (Some(reloading(service)?), "reload", Then::GoesOn),
        Action::Start => {
            startable(service)?;
            return Ok(Course {
                request: None,
                asks_for: "start",
                then: Then::Start,
            });
        }
        Action::Restart if actions.restart.is_some() => {
            (actions.restart.as_ref(), "restart", Then::Successor)
        }
        Action::Restart if service.start.is_some() => (stopping(), SHUTDOWN, Then::Start),
        Action::Restart if service.supervised => (stopping(), SHUTDOWN, Then::Successor),
        Action::Restart => return Err(nothing_starts_it(service)),
    };
    Ok(Course {
        request: Some(request(service, action, spec)),
        asks_for,
        then,
    })
}

/// No signal is taken for granted: one that nobody expects ends the process.
fn reloading(service: &Service) -> Result<&ActionSpec, NoWay> {
    service.actions.reload.as_ref().ok_or_else(|| NoWay {
        reason: "it offers no reload".to_owned(),
        hint: Some(
            "where it can do it, say how: `actions: {reload: {signal: HUP}}`, or `http` or `exec`"
                .to_owned(),
        ),
    })
}

/// The means to ask for its end and return: those declared for it, else those of a shutdown that does not wait.
fn scheduling(service: &Service) -> Result<Option<&ActionSpec>, NoWay> {
    match (&service.actions.schedule, &service.actions.shutdown) {
        (Some(schedule), _) => Ok(Some(schedule)),
        (None, Some(shutdown)) if waits_for_reply(shutdown) => Err(NoWay {
            reason: "its only shutdown route waits for the end, so it cannot be scheduled"
                .to_owned(),
            hint: Some(format!(
                "`healthctl shutdown {}` uses it, or add `actions: {{schedule: …}}`",
                service.name
            )),
        }),
        (None, shutdown) => Ok(shutdown.as_ref()),
    }
}

fn startable(service: &Service) -> Result<(), NoWay> {
    match &service.start {
        Some(_) => Ok(()),
        None if service.supervised => Err(NoWay {
            reason: "it is `supervised`: something else starts it".to_owned(),
            hint: Some(format!(
                "`healthctl restart {}` asks it to make room for another process",
                service.name
            )),
        }),
        None => Err(NoWay {
            reason: "it does not say how it is started".to_owned(),
            hint: Some("add `start: {command: [PROGRAM, ARGUMENT]}` to it".to_owned()),
        }),
    }
}

fn nothing_starts_it(service: &Service) -> NoWay {
    NoWay {
        reason: "it could be stopped, but nothing is known to start it again".to_owned(),
        hint: Some(format!(
            "add `start: {{command: […]}}`; or, where something else starts it, `supervised: true` or `actions: {{restart: {{exec: [systemctl, restart, {}]}}}}`",
            service.name
        )),
    }
}

/// The means declared, else SIGTERM.
fn request(service: &Service, action: Action, spec: Option<&ActionSpec>) -> Way {
    match spec {
        Some(spec) => Way {
            means: spec.means.clone(),
            // Whoever only asks does not wait for the reply that comes at the end.
            waits: action != Action::Schedule && spec.waits,
            timeout: spec.timeout,
            declared: true,
            reply: spec.reply.clone(),
        },
        None => Way {
            means: Means::Signal(Signal::Term),
            waits: false,
            timeout: service.shutdown_timeout(),
            declared: false,
            reply: None,
        },
    }
}

fn waits_for_reply(spec: &ActionSpec) -> bool {
    spec.waits && matches!(spec.means, Means::Http(_))
}

impl Course {
    /// The means for people, without the request itself.
    pub fn describe(&self) -> String {
        let Some(way) = &self.request else {
            return START_COMMAND.to_owned();
        };
        let means = match (&way.means, way.waits, way.declared) {
            (Means::Http(_), true, _) => format!("{} route (waits for the end)", self.asks_for),
            (Means::Http(_), false, _) => format!("{} route", self.asks_for),
            (Means::Signal(_), _, true) => "signal".to_owned(),
            (Means::Signal(_), _, false) => "signal (no route or command is declared)".to_owned(),
            (Means::Exec(_), _, _) => "command".to_owned(),
        };
        match self.then {
            Then::Start => format!("{means}, then its start command"),
            Then::Successor if self.asks_for == SHUTDOWN => {
                format!("{means}; something else starts it again")
            }
            Then::Successor | Then::End | Then::GoesOn => means,
        }
    }
}

/// A command as it may be shown: without the secrets that its words give away.
pub fn shown_command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
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

/// A word as a shell would take it, where it would take it apart otherwise.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = !word.is_empty()
        && !word.contains(|c: char| c.is_whitespace() || "'\"\\;|&<>()`".contains(c));
    if plain {
        return Cow::Borrowed(word);
    }
    // Only a null byte cannot be quoted, and no command holds one.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

impl Signal {
    /// Its name with `SIG`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Term => "SIGTERM",
            Self::Int => "SIGINT",
            Self::Hup => "SIGHUP",
            Self::Quit => "SIGQUIT",
            Self::Usr1 => "SIGUSR1",
            Self::Usr2 => "SIGUSR2",
        }
    }
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
        let Ok(course) = course(service, action) else {
            return "refused";
        };
        let Some(way) = course.request else {
            return "nothing";
        };
        match (way.means, way.waits, way.declared) {
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
        let reason = course(&service, Action::Reload).unwrap_err().reason;
        assert_eq!(reason, "it offers no reload");
        service.actions.reload = service.actions.schedule.clone();
        let course = course(&service, Action::Reload).unwrap();
        assert_eq!(course.describe(), "signal");
        assert!(course.request.is_some_and(|way| way.declared && !way.waits));
        assert_eq!(course.then, Then::GoesOn);
    }

    /// `words` of what it declares; the request, what comes then, and the means in words.
    fn check(words: &str, action: Action, expected: Result<(&str, Then, &str), &str>) {
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
        match (course(&service, action), expected) {
            (Err(no), Err(reason)) => assert_eq!(no.reason, reason, "{words}"),
            (Ok(course), Ok((request, then, means))) => {
                assert_eq!(taken(&service, action), request, "{words}");
                assert_eq!(course.then, then, "{words}");
                assert_eq!(course.describe(), means, "{words}");
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
                Then::Start,
                "shutdown route (waits for the end), then its start command",
            )),
        );
        check(
            "start",
            Restart,
            Ok((
                "SIGTERM",
                Then::Start,
                "signal (no route or command is declared), then its start command",
            )),
        );
        check(
            "command start",
            Restart,
            Ok(("command", Then::Successor, "command")),
        );
        check(
            "supervised waits",
            Restart,
            Ok((
                "route waits",
                Then::Successor,
                "shutdown route (waits for the end); something else starts it again",
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
            Ok(("nothing", Then::Start, "start command")),
        );
        check("waits", Start, Err("it does not say how it is started"));
        check(
            "supervised",
            Start,
            Err("it is `supervised`: something else starts it"),
        );
    }
}
