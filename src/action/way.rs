//! Which of its means an action on a service takes.

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

/// The way that `action` takes on `service`: the means declared for the action itself, else those of its twin
/// (`shutdown` and `schedule` serve each other), else SIGTERM. Whether a pid is known is not looked at here.
///
/// # Errors
/// There is no way to do it, or none yet.
pub fn way(service: &Service, action: Action) -> Result<Way, NoWay> {
    let actions = &service.actions;
    let spec = match action {
        Action::Shutdown => actions.shutdown.as_ref().or(actions.schedule.as_ref()),
        Action::Schedule => match (&actions.schedule, &actions.shutdown) {
            (Some(schedule), _) => Some(schedule),
            (None, Some(shutdown)) if waits_for_reply(shutdown) => {
                return Err(NoWay {
                    reason: "its only shutdown route waits for the end, so it cannot be scheduled"
                        .to_owned(),
                    hint: Some(format!(
                        "`healthctl shutdown {}` uses it, or add `actions: {{schedule: …}}`",
                        service.name
                    )),
                });
            }
            (None, shutdown) => shutdown.as_ref(),
        },
        Action::Reload => match &actions.reload {
            Some(spec) => Some(spec),
            // No signal is taken for granted: one that nobody expects ends the process.
            None => {
                return Err(NoWay {
                    reason: "it offers no reload".to_owned(),
                    hint: Some(
                        "where it can do it, say how: `actions: {reload: {signal: HUP}}`, or `http` or `exec`"
                            .to_owned(),
                    ),
                });
            }
        },
        Action::Start | Action::Restart => {
            return Err(NoWay {
                reason: format!("`{action}` is not supported yet"),
                hint: None,
            });
        }
    };
    Ok(match spec {
        Some(spec) => Way {
            means: spec.means.clone(),
            waits: action == Action::Shutdown && spec.waits,
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
    })
}

fn waits_for_reply(spec: &ActionSpec) -> bool {
    spec.waits && matches!(spec.means, Means::Http(_))
}

impl Way {
    /// The means for people, without the request itself.
    pub fn describe(&self, action: Action) -> &'static str {
        match (&self.means, self.waits, self.declared) {
            (Means::Http(_), ..) if action == Action::Reload => "reload route",
            (Means::Http(_), true, _) => "shutdown route (waits for the end)",
            (Means::Http(_), false, _) => "shutdown route",
            (Means::Signal(_), _, true) => "signal",
            (Means::Signal(_), _, false) => "signal (no route or command is declared)",
            (Means::Exec(_), _, _) => "command",
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
    shown.join(" ")
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
        match way(service, action) {
            Err(_) => "refused",
            Ok(way) => match (way.means, way.waits, way.declared) {
                (Means::Http(_), true, _) => "route waits",
                (Means::Http(_), false, _) => "route",
                (Means::Signal(_), _, true) => "signal",
                (Means::Signal(Signal::Term), _, false) => "SIGTERM",
                (Means::Signal(_), _, false) => "?",
                (Means::Exec(_), _, _) => "command",
            },
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
    }

    #[test]
    fn a_reload_is_never_made_up() {
        let mut service = samples::service("api", "route", "signal");
        let reason = way(&service, Action::Reload).unwrap_err().reason;
        assert_eq!(reason, "it offers no reload");
        service.actions.reload = service.actions.schedule.clone();
        let way = way(&service, Action::Reload).unwrap();
        assert_eq!(way.describe(Action::Reload), "signal");
        assert!(way.declared && !way.waits);
    }

    #[test]
    fn what_comes_later_says_so() {
        let service = samples::service("api", "route", "");
        for action in [Action::Start, Action::Restart] {
            let reason = way(&service, action).unwrap_err().reason;
            assert!(reason.ends_with("is not supported yet"), "{reason}");
        }
    }
}
