//! Actions as written.

use crate::text::nearest;
use crate::yaml::{Entry, Fields, Node, Problem, Problems, Value};

use std::sync::Arc;

use super::super::{ReplyDecode, Signal};
use super::{Action, Actions, At, Exec, Http, Means, Request, beside, exec, is_off, read_path};

impl Actions {
    /// Reads `actions:`.
    pub fn read(entry: &Entry, problems: &mut Problems) -> Self {
        let Some(mut fields) = Fields::read(
            &entry.value,
            "a map of actions: `shutdown`, `schedule`, `reload`, `restart`",
            problems,
        ) else {
            return Self::default();
        };
        let mut action = |key, problems: &mut Problems| {
            fields
                .take(key)
                .and_then(|entry| Action::read(entry, problems))
        };
        let shutdown = action("shutdown", problems);
        let schedule = action("schedule", problems);
        let reload = action("reload", problems);
        let restart = action("restart", problems);
        fields.finish_with(problems, |key| match key {
            "stop" | "quit" | "terminate" | "kill" => Some("did you mean `shutdown`?".to_owned()),
            "start" => Some(
                "how it is started stands beside `actions`: `start: {command: […]}`".to_owned(),
            ),
            "refresh" | "hup" => Some("did you mean `reload`?".to_owned()),
            _ => None,
        });
        Self {
            shutdown,
            schedule,
            reload,
            restart,
        }
    }
}

impl Action {
    fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        const EXPECTED: &str = "a map with `http`, `signal` or `exec`";
        let node = &entry.value;
        let mut action = Self {
            name: At {
                value: entry.key.clone(),
                place: entry.key_place.clone(),
            },
            off: is_off(node),
            means: None,
            waits: None,
            timeout: None,
            env: Vec::new(),
            cwd: None,
            particular: Vec::new(),
            request: Request::default(),
            reply: None,
            reply_written: None,
        };
        if action.off {
            return Some(action);
        }
        if let Value::Text(text) = &node.value {
            let hint = if text.starts_with('/') || text.contains("://") {
                format!("did you mean `{{http: {text}}}`?")
            } else if Signal::parse(text).is_some() {
                format!("did you mean `{{signal: {text}}}`?")
            } else {
                format!("did you mean `{{exec: [{}]}}`?", words(text))
            };
            problems.push(node.wrong(EXPECTED).hint(hint));
            return None;
        }
        let mut fields = Fields::read(node, EXPECTED, problems)?;
        let http = fields.take("http");
        let signal = fields.take("signal");
        let command = fields.take("exec");
        let given: Vec<&Entry> = [http, signal, command].into_iter().flatten().collect();
        if let [first, second, ..] = given.as_slice() {
            problems.push(
                Problem::at(
                    &second.key_place,
                    format!("both `{}` and `{}`", first.key, second.key),
                )
                .label("expected one of them")
                .related(&first.key_place, "the other one")
                .hint("an action is done in one way"),
            );
        }
        action.means = if let Some(entry) = http {
            Http::read(entry, problems).map(|http| Means::Http(Box::new(http)))
        } else if let Some(entry) = signal {
            read_signal(&entry.value, problems).map(Means::Signal)
        } else {
            command.and_then(|entry| Exec::read(entry, problems).map(Means::Exec))
        };
        action.env = fields
            .take("env")
            .map(|entry| exec::env(entry, problems))
            .unwrap_or_default();
        action.cwd = fields
            .take("cwd")
            .and_then(|entry| read_path(&entry.value, "the path of a directory", problems));
        let reloads = entry.key == "reload";
        if reloads {
            action.read_reply(fields.take("reply"), given.first(), problems);
            action.no_end(problems);
        } else {
            action.waits = fields.take("waits").and_then(|entry| {
                let value = entry.value.boolean(problems)?;
                Some(At::new(value, &entry.value))
            });
        }
        action.timeout = fields.take("timeout").and_then(|entry| {
            let value = entry.value.positive_duration(problems)?;
            Some(At::new(value, &entry.value))
        });
        action.request = Request::take(&mut fields, problems);
        action.particular = particular(node);
        if let Some(means) = &action.means {
            action.check_keys(means.name(), problems);
        }
        fields.finish_with(problems, |key| match key {
            "path" | "url" | "method" | "body" => {
                Some(format!("it stands inside `http`: `http: {{{key}: …}}`"))
            }
            "command" => Some("did you mean `exec`?".to_owned()),
            "environment" => Some("did you mean `env`?".to_owned()),
            "waits" if reloads => {
                Some("take it out: the reply to a reload is always waited for".to_owned())
            }
            "reply" => Some("only the reply to a `reload` is read".to_owned()),
            "parts" if reloads => {
                Some("it stands inside `reply`: `reply: {parts: {at: …}}`".to_owned())
            }
            _ => None,
        });
        // Nothing could be read of the means that were written: told already.
        (given.is_empty() || action.means.is_some()).then_some(action)
    }

    /// Tells keys that mean nothing to an action that is done in this way.
    pub fn check_keys(&self, means: &str, problems: &mut Problems) {
        for key in &self.particular {
            let Some(owner) = owner(&key.value).filter(|owner| *owner != means) else {
                continue;
            };
            problems.push(
                Problem::at(
                    &key.place,
                    format!("`{}` means nothing to an action by `{means}`", key.value),
                )
                .label(format!("belongs to `{owner}`"))
                .hint("take it out"),
            );
        }
    }

    /// Only a route has a reply.
    fn read_reply(
        &mut self,
        entry: Option<&Entry>,
        means: Option<&&Entry>,
        problems: &mut Problems,
    ) {
        let Some(entry) = entry else { return };
        if let Some(means) = means.filter(|means| means.key != "http") {
            problems.push(
                Problem::at(
                    &entry.key_place,
                    format!("`{}` gives no reply that could be read", means.key),
                )
                .label("has a meaning only beside `http`")
                .related(&means.key_place, "what is done")
                .hint("take `reply` out"),
            );
        }
        if let Some(decode) = ReplyDecode::parse(&entry.value, problems) {
            self.reply = Some(At::new(Arc::new(decode), &entry.value));
            self.reply_written = Some(entry.value.to_json());
        }
    }

    /// A reload that asks the process to end is none.
    fn no_end(&self, problems: &mut Problems) {
        if let Some(Means::Signal(signal)) = &self.means
            && matches!(signal.value, Signal::Term | Signal::Int | Signal::Quit)
        {
            problems.push(
                Problem::at(
                    &signal.place,
                    format!("SIG{} asks a process to end", signal.value.as_str()),
                )
                .label("expected `HUP`, `USR1` or `USR2`")
                .hint("did you mean `HUP`?"),
            );
        }
    }
}

/// The one means that gives a key its meaning, where it is not any of them.
fn owner(key: &str) -> Option<&'static str> {
    match key {
        "env" | "cwd" => Some("exec"),
        "headers" | "auth" | "tls" | "proxy" | "follow_redirects" | "connection" => Some("http"),
        _ => None,
    }
}

/// The keys of an action that belong to one means only.
fn particular(node: &Node) -> Vec<At<String>> {
    let Value::Map(entries) = &node.value else {
        return Vec::new();
    };
    let particular = entries.iter().filter(|entry| owner(&entry.key).is_some());
    particular
        .map(|entry| At {
            value: entry.key.clone(),
            place: entry.key_place.clone(),
        })
        .collect()
}

fn read_signal(node: &Node, problems: &mut Problems) -> Option<At<Signal>> {
    let expected = format!(
        "one of {}",
        Signal::ALL.map(|(name, _)| format!("`{name}`")).join(", ")
    );
    let text = node.line(&expected, problems)?;
    if let Some(signal) = Signal::parse(&text) {
        return Some(At::new(signal, node));
    }
    let name = text.to_ascii_uppercase();
    let hint = match name.trim_start_matches("SIG") {
        "KILL" | "9" => Some(
            "SIGKILL leaves no chance to clean up; it is never sent first, only by `--force`"
                .to_owned(),
        ),
        "1" => Some("did you mean `HUP`?".to_owned()),
        "2" => Some("did you mean `INT`?".to_owned()),
        "3" => Some("did you mean `QUIT`?".to_owned()),
        "15" => Some("did you mean `TERM`?".to_owned()),
        other => nearest(other, Signal::ALL.iter().map(|(name, _)| *name))
            .map(|near| format!("did you mean `{near}`?")),
    };
    problems.push(
        Problem::at(
            &node.place,
            format!("{} is no signal that an action sends", node.shown()),
        )
        .label(format!("expected {expected}"))
        .maybe_hint(hint),
    );
    None
}

/// A program and its arguments; a program with a `/` in it stands beside the file.
pub(super) fn command(node: &Node, problems: &mut Problems) -> Option<At<Vec<String>>> {
    const EXPECTED: &str = "a list: the program, then its arguments";
    let Value::List(items) = &node.value else {
        let hint = node
            .as_text()
            .map(|text| format!("no shell reads it: write `[{}]`", words(text)));
        problems.push(node.wrong(EXPECTED).maybe_hint(hint));
        return None;
    };
    let mut command = Vec::with_capacity(items.len());
    for item in items {
        let text = item.text("a word of the command", problems)?;
        if text.contains('\0') {
            problems.push(Problem::at(
                &item.place,
                "a command cannot hold a null byte",
            ));
            return None;
        }
        command.push(text);
    }
    let Some(program) = command.first_mut().filter(|program| !program.is_empty()) else {
        problems.push(
            Problem::at(&node.place, "a command without a program")
                .label(format!("expected {EXPECTED}")),
        );
        return None;
    };
    if program.contains('/') {
        let plain = program.strip_prefix("./").unwrap_or(program);
        let path = beside(&node.place, plain).display().to_string();
        // Without a slash it would be looked for in `PATH`.
        *program = if path.contains('/') {
            path
        } else {
            format!("./{path}")
        };
    }
    Some(At::new(command, node))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(", ")
}
