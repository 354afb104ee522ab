//! Commands: as written, resolved and shown, with their environment and their directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_yaml::Value as Yaml;

use crate::text;
use crate::yaml::{
    Entry, Fields, Node, Place, Problem, Problems, Style, Value, is_secret_name, mask_secrets,
};

use super::super::Secret;
use super::super::annotated::AnnotatedYaml;
use super::super::setting::{Level, Levels, Origin, Spanned, origin, strongest};
use super::read::{beside, directory, path};
use super::secret::{self, Variables};

/// A command as written: program and arguments, without a shell.
#[derive(Debug, Clone)]
pub(crate) struct RawExec {
    pub(crate) command: Spanned<Vec<String>>,
    /// The words as they may be shown: where a variable's value is in one, what was written.
    shown: Vec<String>,
    /// Each text of the words that must not be shown, with what is shown in its place.
    hidden: Vec<(String, String)>,
    limits: ExecLimits,
}

/// The limits on the resources of a command: what is `None` is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ExecLimits {
    /// CPU time, in whole seconds.
    pub(crate) cpu: Option<Duration>,
    /// Memory that it may write to, in bytes.
    pub(crate) memory: Option<u64>,
}

/// The keys that belong to a command and stand beside it.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawExecSettings {
    pub(crate) env: Vec<RawVariable>,
    pub(crate) cwd: Option<Spanned<PathBuf>>,
}

/// A variable of a command's environment as written.
#[derive(Debug, Clone)]
pub(crate) struct RawVariable {
    pub(crate) name: Spanned<String>,
    pub(crate) value: Spanned<Secret>,
    /// Each text of the value that must not be shown, with what is shown in its place.
    hidden: Vec<(String, String)>,
}

/// A command with everything that it needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exec {
    /// Program and arguments, no shell.
    pub(crate) command: Vec<String>,
    /// The words as they may be shown: where a variable's value is in one, which may be a secret, what was written.
    pub(crate) shown: Vec<String>,
    /// Variables that are added to the environment.
    pub(crate) env: BTreeMap<String, Secret>,
    pub(crate) cwd: PathBuf,
    /// The values that were put in for variables, each with what was written for it: the output of the command may
    /// repeat them.
    pub(crate) hidden: Vec<(String, String)>,
    pub(crate) limits: ExecLimits,
}

/// The least memory with which a program of any kind starts, in bytes.
const LEAST_MEMORY: u64 = 1024 * 1024;

impl ExecLimits {
    /// Returns whether there is any limit.
    pub(crate) fn any(&self) -> bool {
        *self != Self::default()
    }

    /// Reads `{cpu: 5s, memory: 256MiB}`.
    fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        const EXPECTED: &str = "a map such as `{cpu: 5s, memory: 256MiB}`";
        let mut fields = Fields::read(&entry.value, EXPECTED, problems)?;
        let cpu = fields.read_key("cpu", problems, |entry, problems| {
            let cpu = entry.value.positive_duration(problems)?;
            if cpu.subsec_nanos() > 0 {
                return entry
                    .value
                    .problem("is no number of whole seconds")
                    .label("expected whole seconds of CPU time")
                    .hint("the system counts no less; `timeout` limits the time on the clock")
                    .reject(problems);
            }
            Some(cpu)
        });
        let memory = fields.read_key("memory", problems, |entry, problems| {
            let memory = entry.value.size(problems)?;
            if memory < LEAST_MEMORY {
                return entry
                    .value
                    .problem("is too little for any program to start")
                    .label("expected 1MiB or more")
                    .reject(problems);
            }
            Some(memory)
        });
        fields.finish(problems);
        if entry.value.map(EXPECTED, problems)?.is_empty() {
            return entry.value.wrong(EXPECTED).reject(problems);
        }
        Some(Self { cpu, memory })
    }

    fn yaml(self) -> Yaml {
        let cpu = self.cpu.map(|cpu| text::format_duration(cpu).to_string());
        let memory = self.memory.map(text::format_size);
        let limits = [("cpu", cpu), ("memory", memory)].into_iter();
        let limits = limits.filter_map(|(key, limit)| Some((Yaml::from(key), Yaml::from(limit?))));
        Yaml::Mapping(limits.collect())
    }
}

impl RawExec {
    /// Reads a command with limits: `{command: [./check.sh], limits: {cpu: 5s}}`, or the command alone.
    pub(crate) fn read_limited(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        const EXPECTED: &str = "a list, or a map with `command` and `limits`";
        if !matches!(entry.value.value, Value::Map(_)) {
            return Self::read(entry, problems);
        }
        let mut fields = Fields::read(&entry.value, EXPECTED, problems)?;
        let command = fields.take("command");
        let limits = fields.take("limits");
        fields.not_yet("codes", problems);
        fields.finish(problems);
        let Some(command) = command else {
            return Problem::at(&entry.value.place, "an `exec` without a `command`")
                .expected(EXPECTED)
                .reject(problems);
        };
        let exec = Self::read(command, problems)?;
        let limits = match limits {
            Some(limits) => ExecLimits::read(limits, problems)?,
            None => ExecLimits::default(),
        };
        Some(Self { limits, ..exec })
    }

    pub(crate) fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        let command = words(&entry.value, problems)?;
        let items = entry.value.one_or_many();
        let mut shown: Vec<String> = items.iter().map(shown).collect();
        if let (Some(item), Some(first), Some(program)) =
            (items.first(), shown.first_mut(), command.value.first())
            && item.style != Style::Interpolated
        {
            first.clone_from(program);
        }
        Some(Self {
            hidden: items.iter().flat_map(hidden).collect(),
            command,
            shown,
            limits: ExecLimits::default(),
        })
    }

    /// Resolves the command with the variables that were written for it, the strongest first.
    pub(crate) fn resolve<'a>(
        &self,
        variables: impl IntoIterator<Item = &'a RawVariable>,
        cwd: PathBuf,
    ) -> Exec {
        let mut hidden = self.hidden.clone();
        let mut env = BTreeMap::new();
        for variable in variables {
            let name = &variable.name.value;
            if !env.contains_key(name) {
                hidden.extend_from_slice(&variable.hidden);
                env.insert(name.clone(), variable.value.value.clone());
            }
        }
        Exec {
            command: self.command.value.clone(),
            shown: self.shown.clone(),
            env,
            cwd,
            hidden,
            limits: self.limits,
        }
    }
}

/// Resolves a command with its settings. It runs in `cwd`; without that, a command of a service runs in the directory of
/// the file that it is written in, and any other in that of the file in which `service` is written.
pub(crate) fn resolve(
    commands: Levels<'_, '_, RawExec>,
    beside: Levels<'_, '_, RawExecSettings>,
    service: &Place,
) -> Option<Exec> {
    let (level, command) = commands.last()?;
    let cwd = strongest(beside, |raw| raw.cwd.as_ref());
    let cwd = match (cwd, level) {
        // Without the `.` at the end that `cwd: .` leaves.
        (Some(cwd), _) => cwd.value.components().collect(),
        (None, Level::Service { .. }) => directory(&command.command.place),
        (None, _) => directory(service),
    };
    let variables = beside.iter().rev().flat_map(|(_, raw)| &raw.env);
    Some(command.resolve(variables, cwd))
}

/// Shows a command and the keys beside it.
pub(crate) fn show(
    exec: &Exec,
    commands: Levels<'_, '_, RawExec>,
    beside: Levels<'_, '_, RawExecSettings>,
    out: &mut AnnotatedYaml,
) {
    if let Some(setting) = strongest(commands, |raw| Some(&raw.command)) {
        let mut shown = exec.yaml();
        if exec.limits.any() {
            let limits = exec.limits.yaml();
            let keys = [("command", shown), ("limits", limits)];
            shown = Yaml::Mapping(
                keys.map(|(key, value)| (key.into(), value))
                    .into_iter()
                    .collect(),
            );
        }
        out.leaf("exec", shown, setting.origin);
    }
    if exec.cwd != Path::new("") {
        let origin = origin(beside, |raw| raw.cwd.as_ref());
        out.leaf("cwd", exec.cwd.display().to_string(), origin);
    }
    show_env(exec, exec.env.keys(), beside, out);
}

/// Shows these variables as far as they were written here. Those of an `env_file` belong to all services.
pub(crate) fn show_env<'n>(
    exec: &Exec,
    names: impl Iterator<Item = &'n String>,
    beside: Levels<'_, '_, RawExecSettings>,
    out: &mut AnnotatedYaml,
) {
    let written = names.filter_map(|name| {
        let (level, value) = beside.iter().rev().find_map(|(level, raw)| {
            let mut variables = raw.env.iter();
            let variable = variables.find(|variable| variable.name.value == *name)?;
            Some((*level, &variable.value))
        })?;
        Some((name, exec.env.get(name)?, level, &value.place))
    });
    let mut written = written.peekable();
    if written.peek().is_none() {
        return;
    }
    out.open("env", None);
    for (name, secret, level, place) in written {
        secret::show_value(name, secret, place, Origin::Written(level, place), out);
    }
    out.close();
}

impl Exec {
    /// Adds the variables of an `env_file` to the environment, and lets its secrets fall back on them.
    pub(crate) fn add_variables(&mut self, variables: &Variables) {
        for secret in self.env.values_mut() {
            secret.add_variables(variables);
        }
        for (name, value) in variables {
            self.env
                .entry(name.clone())
                .or_insert_with(|| Secret::EnvOr {
                    name: name.clone(),
                    otherwise: value.clone(),
                });
        }
    }

    /// Returns the words as they could stand in an inventory.
    pub(crate) fn yaml(&self) -> Yaml {
        let words = self.shown.iter().zip(&self.command);
        let words = words.map(|(shown, run)| {
            // A word that is shown as it is run has to be read as that again.
            if shown == run {
                Yaml::from(run.replace('$', "$$"))
            } else {
                shown.as_str().into()
            }
        });
        words.collect::<Vec<_>>().into()
    }
}

impl RawExecSettings {
    pub(crate) fn take(fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self {
            env: Self::take_env(fields, problems).env,
            cwd: fields.read_key("cwd", problems, path("the path of a directory")),
        }
    }

    /// Takes the keys of a command that always runs in the directory of its file.
    pub(crate) fn take_env(fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let env = fields.read_key("env", problems, variables);
        Self {
            env: env.unwrap_or_default(),
            cwd: None,
        }
    }
}

/// Reads a program and its arguments. A program with a `/` in it stands beside the file.
fn words(node: &Node, problems: &mut Problems) -> Option<Spanned<Vec<String>>> {
    const EXPECTED: &str = "a list: the program, then its arguments";
    let Value::List(items) = &node.value else {
        let hint = node
            .as_text()
            .map(|text| format!("no shell reads it: write `[{}]`", split(text)));
        return node.wrong(EXPECTED).maybe_hint(hint).reject(problems);
    };
    let mut command = Vec::with_capacity(items.len());
    for item in items {
        let text = item.text("a word of the command", problems)?;
        if text.contains('\0') {
            return Problem::at(&item.place, "a command cannot hold a null byte").reject(problems);
        }
        command.push(text);
    }
    let Some(program) = command.first_mut().filter(|program| !program.is_empty()) else {
        return Problem::at(&node.place, "a command without a program")
            .expected(EXPECTED)
            .reject(problems);
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
    Some(Spanned::new(command, node))
}

pub(super) fn split(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(", ")
}

/// Returns a word as it may be shown: where a variable is put in, which may be a secret, as it was written.
fn shown(word: &Node) -> String {
    match word.style {
        Style::Interpolated => word.place.text().trim_matches(['"', '\'']).to_owned(),
        Style::Plain | Style::Quoted => mask_secrets(word.as_text().unwrap_or_default()),
    }
}

/// Returns each text of a word that must not be shown, with what is shown in its place.
fn hidden(word: &Node) -> Vec<(String, String)> {
    let mut hidden = word.put_in.clone();
    if hidden.is_empty() {
        let text = word.as_text().unwrap_or_default();
        hidden.push(different(text, &shown(word)));
    }
    hidden.retain(|(value, _)| !value.is_empty());
    hidden
}

/// Returns the part of a word that differs from the part that is shown.
fn different(word: &str, shown: &str) -> (String, String) {
    let alike = |pair: &(char, char)| pair.0 == pair.1;
    let before = std::iter::zip(word.chars(), shown.chars());
    let before: usize = before.take_while(alike).map(|(c, _)| c.len_utf8()).sum();
    let (word, shown) = (
        word.get(before..).unwrap_or_default(),
        shown.get(before..).unwrap_or_default(),
    );
    let behind = std::iter::zip(word.chars().rev(), shown.chars().rev());
    let behind: usize = behind.take_while(alike).map(|(c, _)| c.len_utf8()).sum();
    let part = |text: &str| {
        let part = text.get(..text.len() - behind).unwrap_or_default();
        part.to_owned()
    };
    (part(word), part(shown))
}

/// Reads `env:`, names to values.
fn variables(entry: &Entry, problems: &mut Problems) -> Option<Vec<RawVariable>> {
    const EXPECTED: &str = "a map of variables, as in `{MODE: fast}`";
    let entries = entry.value.map(EXPECTED, problems)?;
    let mut variables = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.key.is_empty() || entry.key.contains(['=', '\0', ' ']) {
            entry
                .problem("does not name a variable")
                .label("expected a name such as `MODE`")
                .report(problems);
            continue;
        }
        let Some(value) = value(entry, problems) else {
            continue;
        };
        let mut hidden = Vec::new();
        if let Secret::Plain(text) = &value {
            hidden.clone_from(&entry.value.put_in);
            if hidden.is_empty() && is_secret_name(&entry.key) {
                hidden.push((text.clone(), format!("${{{}}}", entry.key)));
            }
        }
        variables.push(RawVariable {
            name: Spanned::key(entry),
            value: Spanned::new(value, &entry.value),
            hidden,
        });
    }
    Some(variables)
}

/// Text, which may be empty here, or a secret that is read elsewhere.
fn value(entry: &Entry, problems: &mut Problems) -> Option<Secret> {
    let node = &entry.value;
    if matches!(node.value, Value::Map(_)) {
        return secret::reference(node, problems);
    }
    let text = match &node.value {
        // `NAME:` alone is as good as `NAME: ""`.
        Value::Null => String::new(),
        _ => node.text(secret::FORMS, problems)?,
    };
    if text.contains('\0') {
        return Problem::at(&node.place, "the environment cannot hold a null byte")
            .reject(problems);
    }
    let secret = Secret::Plain(text);
    if is_secret_name(&entry.key) {
        secret::warn_plain(node, &secret, &format!("`{}`", entry.key), problems);
    }
    Some(secret)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::yaml::{SourceFile, interpolate, parse};

    #[test]
    fn values_of_variables_are_hidden() {
        let env = |name: &str| match name {
            "TOKEN" => Some("hunter22".to_owned()),
            "USER" => Some("me".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (word, expected) in [
            ("plain", ""),
            ("${TOKEN}", "hunter22 is ${TOKEN}"),
            ("--token=${TOKEN}/x", "hunter22 is ${TOKEN}"),
            // Masked where it was written.
            ("http://me:abc@host", "abc is ***"),
            ("x${EMPTY}", ""),
            ("$$HOME ${USER}", "me is ${USER}"),
            (
                "http://${USER}:${PASS:-${TOKEN}}@host/x",
                "me is ${USER}; hunter22 is ${PASS:-${TOKEN}}",
            ),
            ("${USER}${TOKEN}", "me is ${USER}; hunter22 is ${TOKEN}"),
        ] {
            let file = Arc::new(SourceFile::new(
                "x.yaml",
                format!("exec: [run, \"{word}\"]"),
            ));
            let mut problems = Problems::default();
            let mut node = parse(&file, &mut problems).unwrap();
            interpolate(&mut node, &env, &mut problems);
            let exec = RawExec::read(node.get("exec").unwrap(), &mut problems).unwrap();
            let found: Vec<String> = exec
                .hidden
                .iter()
                .map(|(value, written)| format!("{value} is {written}"))
                .collect();
            assert_eq!(found.join("; "), expected, "{word}");
        }
    }
}
