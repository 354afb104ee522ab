//! How a service comes to run, and what its code is, as written: `start`, `sources`, `supervised`, `restart_on`,
//! `on_change`.

use std::path::PathBuf;
use std::time::Duration;

use globset::Glob;

use crate::health::RestartCause;
use crate::profile::raw::{At, Exec, Variable, exec_env, read_path};
use crate::yaml::{Entry, Fields, Problem, Problems, Style, Value};

/// What the keys say.
#[derive(Debug, Default)]
pub(in super::super) struct Running {
    pub(in super::super) start: Option<Start>,
    pub(in super::super) sources: Option<At<Vec<String>>>,
    pub(in super::super) supervised: Option<At<bool>>,
    pub(in super::super) restart_on: Option<At<Vec<At<RestartCause>>>>,
    pub(in super::super) on_change: Option<Hook>,
}

/// `start:`
#[derive(Debug)]
pub(in super::super) struct Start {
    pub(in super::super) key: At<()>,
    pub(in super::super) command: Exec,
    pub(in super::super) cwd: Option<At<PathBuf>>,
    pub(in super::super) env: Vec<Variable>,
    pub(in super::super) log: Option<At<PathBuf>>,
    pub(in super::super) ready_timeout: Option<At<Duration>>,
}

/// `on_change:`
#[derive(Debug)]
pub(in super::super) struct Hook {
    pub(in super::super) command: Exec,
    pub(in super::super) env: Vec<Variable>,
    pub(in super::super) timeout: Option<At<Duration>>,
}

impl Running {
    /// Takes the keys of a service.
    pub(super) fn take(fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let start = fields
            .take("start")
            .and_then(|entry| Start::read(entry, problems));
        let supervised = fields.take("supervised").and_then(|entry| {
            let value = entry.value.boolean(problems)?;
            Some(At::new(value, &entry.value))
        });
        let sources = fields
            .take("sources")
            .and_then(|entry| sources(entry, problems));
        let restart_on = fields
            .take("restart_on")
            .and_then(|entry| causes(entry, problems));
        let on_change = fields
            .take("on_change")
            .and_then(|entry| Hook::read(entry, problems));
        Self {
            start,
            sources,
            supervised,
            restart_on,
            on_change,
        }
    }
}

impl Start {
    fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        const EXPECTED: &str = "a map with `command`";
        let node = &entry.value;
        if let Some(hint) = as_command(entry, "command") {
            problems.push(node.wrong(EXPECTED).hint(hint));
            return None;
        }
        let mut fields = Fields::read(node, EXPECTED, problems)?;
        let told = problems.error_count();
        let written = fields.take("command");
        let command = written.and_then(|entry| Exec::read(entry, problems));
        let cwd = fields
            .take("cwd")
            .and_then(|entry| read_path(&entry.value, "the path of a directory", problems));
        let env = fields
            .take("env")
            .map(|entry| exec_env(entry, problems))
            .unwrap_or_default();
        let log = fields
            .take("log")
            .and_then(|entry| read_path(&entry.value, "the path of a file", problems));
        let ready_timeout = fields.take("ready_timeout").and_then(|entry| {
            let value = entry.value.positive_duration(problems)?;
            Some(At::new(value, &entry.value))
        });
        fields.finish_with(problems, |key| match key {
            "exec" | "cmd" | "run" => Some("did you mean `command`?".to_owned()),
            "timeout" | "wait" => Some("did you mean `ready_timeout`?".to_owned()),
            "dir" | "directory" | "working_dir" => Some("did you mean `cwd`?".to_owned()),
            "environment" => Some("did you mean `env`?".to_owned()),
            "stdout" | "stderr" | "output" => {
                Some("did you mean `log`? Both outputs go there".to_owned())
            }
            _ => None,
        });
        if written.is_none() && problems.error_count() == told {
            problems.push(
                Problem::at(&entry.key_place, "`start` does not say what to run")
                    .label("expected `command`")
                    .hint("for example `{command: [uvicorn, \"app:app\"]}`"),
            );
        }
        Some(Self {
            key: key(entry),
            command: command?,
            cwd,
            env,
            log,
            ready_timeout,
        })
    }
}

impl Hook {
    fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        const EXPECTED: &str = "a map with `exec`";
        let node = &entry.value;
        if let Some(hint) = as_command(entry, "exec") {
            problems.push(node.wrong(EXPECTED).hint(hint));
            return None;
        }
        let mut fields = Fields::read(node, EXPECTED, problems)?;
        let told = problems.error_count();
        let written = fields.take("exec");
        let command = written.and_then(|entry| Exec::read(entry, problems));
        let env = fields
            .take("env")
            .map(|entry| exec_env(entry, problems))
            .unwrap_or_default();
        let timeout = fields.take("timeout").and_then(|entry| {
            let value = entry.value.positive_duration(problems)?;
            Some(At::new(value, &entry.value))
        });
        fields.finish_with(problems, |key| match key {
            "command" | "cmd" | "run" => Some("did you mean `exec`?".to_owned()),
            "http" | "webhook" | "url" => {
                Some("a command is run, as in `{exec: [curl, …]}`".to_owned())
            }
            _ => None,
        });
        if written.is_none() && problems.error_count() == told {
            problems.push(
                Problem::at(&entry.key_place, "`on_change` does not say what to run")
                    .label("expected `exec`")
                    .hint("for example `{exec: [./notify.sh]}`"),
            );
        }
        Some(Self {
            command: command?,
            env,
            timeout,
        })
    }
}

fn key(entry: &Entry) -> At<()> {
    At {
        value: (),
        place: entry.key_place.clone(),
    }
}

/// What was meant where a command stands in place of the map around it.
fn as_command(entry: &Entry, inside: &str) -> Option<String> {
    match &entry.value.value {
        Value::List(_) => Some(format!("did you mean `{}: {{{inside}: […]}}`?", entry.key)),
        Value::Text(_) => Some(format!(
            "no shell reads it: write `{}: {{{inside}: [PROGRAM, ARGUMENT]}}`",
            entry.key
        )),
        _ => None,
    }
}

fn sources(entry: &Entry, problems: &mut Problems) -> Option<At<Vec<String>>> {
    const EXPECTED: &str = "a list of patterns";
    if entry.value.as_text().is_some() {
        let hint = match entry.value.style {
            Style::Interpolated => "write a list: `sources: […]`".to_owned(),
            Style::Plain | Style::Quoted => {
                let text = entry.value.as_text().unwrap_or_default();
                format!("did you mean `sources: [\"{text}\"]`?")
            }
        };
        problems.push(entry.value.wrong(EXPECTED).hint(hint));
        return None;
    }
    let mut patterns = Vec::new();
    for item in entry.value.list(EXPECTED, problems)? {
        let Some(pattern) = item.line("a pattern such as `src/**/*.py`", problems) else {
            continue;
        };
        if pattern.starts_with('!') {
            problems.push(
                Problem::at(
                    &item.place,
                    "a pattern that leaves files out is not supported yet",
                )
                .label("begins with `!`")
                .hint("name them in a `.gitignore` or `.ignore`, which count here"),
            );
            continue;
        }
        match Glob::new(&pattern) {
            Ok(_) => patterns.push(pattern),
            Err(error) => problems.push(
                Problem::at(&item.place, format!("{} is no pattern", item.shown()))
                    .label(error.kind().to_string())
                    .hint("`*` is anything within a name, `**` any directories"),
            ),
        }
    }
    Some(At::new(patterns, &entry.value))
}

fn causes(entry: &Entry, problems: &mut Problems) -> Option<At<Vec<At<RestartCause>>>> {
    const EXPECTED: &str = "a list of causes: `stale`, `unhealthy`";
    if let Some(text) = entry.value.as_text() {
        let hint = format!("did you mean `restart_on: [{text}]`?");
        problems.push(entry.value.wrong(EXPECTED).hint(hint));
        return None;
    }
    let words = RestartCause::ALL
        .iter()
        .map(|word| (word.as_str(), *word))
        .collect::<Vec<_>>();
    let items = entry.value.list(EXPECTED, problems)?;
    let causes = items
        .iter()
        .filter_map(|item| Some(At::new(item.word(&words, problems)?, item)))
        .collect();
    Some(At::new(causes, &entry.value))
}
