//! Starting and its surroundings: `start`, `sources`, `restart_on` and `on_change`, as written, resolved and shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use globset::Glob;
use serde_yaml::Value as Yaml;
use sha2::{Digest, Sha256};

use crate::health::{HotFiles, RestartCause};
use crate::profile::Secret;
use crate::profile::annotated::AnnotatedYaml;
use crate::profile::raw::command::{self, Exec, RawExec, RawExecSettings};
use crate::profile::raw::read::{directory, path, positive_duration};
use crate::profile::setting::{
    self, Declaration, Level, Origin, Setting, SettingValue, Spanned, settings, strongest,
};
use crate::yaml::{Entry, Fields, Problem, Problems, Style, Value};

settings! {
    /// The flat settings of `start` as written.
    raw RawStartSettings;
    /// The command with which healthctl starts a service.
    #[derive(Debug, Clone)]
    resolved StartSpec {
        exec: Exec = Exec::default(),
    }

    /// The file for the output of the service; left out, a file in your state directory.
    log: PathBuf, optional, "path", since "0.1", path("the path of a file");
    /// The time that the service may take to be ready.
    ready_timeout: Duration, default(Duration::from_secs(60)), "duration", since "0.1", positive_duration;
    /// A command that has to succeed before the service is stopped or started, such as a test of its configuration; it runs
    /// with the directory and the variables of the start command.
    precheck: RawExec, optional, "command", since "0.1", precheck;
    /// The exit statuses that are no failure when the service ends by itself; 128 and its number for a signal.
    success_codes: Vec<i32>, default(vec![0]), "list of numbers", since "0.1", success_codes;
}

settings! {
    /// The flat settings of `on_change` as written.
    raw RawHookSettings;
    /// A command that is run when the state of a service changes.
    #[derive(Debug, Clone)]
    resolved Hook {
        /// The command; what changed is added to its environment.
        exec: Exec = Exec::default(),
    }

    /// The time-out of the command.
    timeout: Duration, default(Duration::from_secs(10)), "duration", since "0.1", positive_duration;
}

/// A map with a command and its settings as written.
#[derive(Debug, Clone)]
pub(crate) struct RawCommandMap<S> {
    command: RawExec,
    exec_settings: RawExecSettings,
    settings: S,
}

/// The value of `start` as written.
pub(crate) type RawStart = RawCommandMap<RawStartSettings>;

/// The value of `on_change` as written.
pub(crate) type RawHook = RawCommandMap<RawHookSettings>;

/// The files that a service's code is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sources {
    /// The directory that the patterns are relative to: that of the file that names them.
    pub(crate) root: PathBuf,
    /// Globs as written: `services/api/**/*.py`.
    pub(crate) patterns: Vec<String>,
}

impl SettingValue for RawStart {
    type Resolved = StartSpec;

    fn resolved(&self) -> StartSpec {
        let mut start = StartSpec {
            exec: self.exec(),
            ..RawStartSettings::resolve(&own(&self.settings))
        };
        if let Some(precheck) = &mut start.precheck {
            precheck.cwd.clone_from(&start.exec.cwd);
            precheck.env.clone_from(&start.exec.env);
            precheck.hidden.extend_from_slice(&start.exec.hidden);
        }
        start
    }

    fn yaml(&self) -> Yaml {
        self.resolved().exec.yaml()
    }

    fn show(key: &str, start: Setting<'_, &Self>, out: &mut AnnotatedYaml) {
        let raw = start.value;
        let exec = raw.exec();
        out.open(key, None);
        out.leaf("command", exec.yaml(), raw.command.command.place.short());
        let cwd = own(&raw.exec_settings);
        let cwd = strongest(&cwd, |raw| raw.cwd.as_ref());
        let origin = cwd.map_or(Origin::BuiltIn, |cwd| cwd.origin);
        out.leaf("cwd", setting::path(&exec.cwd), origin);
        raw.show_settings(&exec, RawStartSettings::DECLARED, out);
    }
}

impl SettingValue for RawHook {
    type Resolved = Hook;

    fn resolved(&self) -> Hook {
        Hook {
            exec: self.exec(),
            ..RawHookSettings::resolve(&own(&self.settings))
        }
    }

    fn yaml(&self) -> Yaml {
        self.resolved().exec.yaml()
    }

    fn show(key: &str, hook: Setting<'_, &Self>, out: &mut AnnotatedYaml) {
        let raw = hook.value;
        let exec = raw.exec();
        out.open(key, None);
        out.leaf("exec", exec.yaml(), raw.command.command.place.short());
        raw.show_settings(&exec, RawHookSettings::DECLARED, out);
    }
}

impl SettingValue for RawExec {
    type Resolved = Exec;

    fn resolved(&self) -> Exec {
        self.resolve([], PathBuf::new())
    }

    fn yaml(&self) -> Yaml {
        self.resolved().yaml()
    }
}

impl SettingValue for Sources {
    type Resolved = Self;

    fn resolved(&self) -> Self {
        self.clone()
    }

    fn yaml(&self) -> Yaml {
        let patterns = self.patterns.iter().map(|pattern| pattern.as_str().into());
        Yaml::Sequence(patterns.collect())
    }
}

fn own<T>(raw: &T) -> [(Level<'_>, &T); 1] {
    [(Level::Service { own: true }, raw)]
}

impl<S> RawCommandMap<S> {
    fn exec(&self) -> Exec {
        let place = &self.command.command.place;
        let exec = command::resolve(&own(&self.command), &own(&self.exec_settings), place);
        exec.unwrap_or_default()
    }

    /// Shows what stands behind the command, and closes the map.
    fn show_settings(&self, exec: &Exec, declared: &[Declaration<S>], out: &mut AnnotatedYaml) {
        let settings = &self.exec_settings;
        let names = settings.env.iter().map(|variable| &variable.name.value);
        command::show_env(exec, names, &own(settings), out);
        for setting in declared {
            (setting.show)(&own(&self.settings), out);
        }
        out.close();
    }
}

/// Reads `start`; its place is that of its key.
pub(super) fn start(entry: &Entry, problems: &mut Problems) -> Option<Spanned<RawStart>> {
    const EXAMPLE: &str = "{command: [uvicorn, \"app:app\"]}";
    read_map(entry, "command", EXAMPLE, problems, |fields, problems| {
        let exec_settings = RawExecSettings::take(fields, problems);
        (exec_settings, RawStartSettings::take(fields, problems))
    })
}

/// Reads `precheck`.
fn precheck(entry: &Entry, problems: &mut Problems) -> Option<Spanned<RawExec>> {
    Some(Spanned::new(RawExec::read(entry, problems)?, &entry.value))
}

/// Reads `on_change`; its place is that of its key.
pub(super) fn on_change(entry: &Entry, problems: &mut Problems) -> Option<Spanned<RawHook>> {
    const EXAMPLE: &str = "{exec: [./notify.sh]}";
    read_map(entry, "exec", EXAMPLE, problems, |fields, problems| {
        let exec_settings = RawExecSettings::take_env(fields, problems);
        (exec_settings, RawHookSettings::take(fields, problems))
    })
}

/// Reads a map with a command. `take` takes all its other keys.
fn read_map<S>(
    entry: &Entry,
    key: &'static str,
    example: &str,
    problems: &mut Problems,
    take: impl FnOnce(&mut Fields<'_>, &mut Problems) -> (RawExecSettings, S),
) -> Option<Spanned<RawCommandMap<S>>> {
    let expected = format!("a map with `{key}`");
    if let Some(hint) = as_command(entry, key) {
        return entry.value.wrong(&expected).hint(hint).reject(problems);
    }
    let mut fields = Fields::read(&entry.value, &expected, problems)?;
    let reported = problems.error_count();
    let written = fields.take(key);
    let command = written.and_then(|entry| RawExec::read(entry, problems));
    let (exec_settings, settings) = take(&mut fields, problems);
    fields.finish_with(problems, |unknown| {
        let hint = match (key, unknown) {
            ("command", "exec" | "cmd" | "run") => "did you mean `command`?",
            ("command", "timeout" | "wait") => "did you mean `ready_timeout`?",
            ("command", "dir" | "directory" | "working_dir") => "did you mean `cwd`?",
            ("command", "success_code" | "exit_codes" | "ok_codes") => {
                "did you mean `success_codes`?"
            }
            ("command", "environment") => "did you mean `env`?",
            ("command", "stdout" | "stderr" | "output") => {
                "did you mean `log`? Both outputs go there"
            }
            ("exec", "command" | "cmd" | "run") => "did you mean `exec`?",
            ("exec", "http" | "webhook" | "url") => "a command is run, as in `{exec: [curl, …]}`",
            _ => return None,
        };
        Some(hint.to_owned())
    });
    if written.is_none() && problems.error_count() == reported {
        entry
            .problem("does not say what to run")
            .label(format!("expected `{key}`"))
            .hint(format!("for example `{example}`"))
            .report(problems);
    }
    Some(Spanned {
        value: RawCommandMap {
            command: command?,
            exec_settings,
            settings,
        },
        place: entry.key_place.clone(),
    })
}

/// Returns what was meant where a command stands in place of the map around it.
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

/// Reads `sources` or `config_files`; an empty list is as good as none.
pub(super) fn sources(entry: &Entry, problems: &mut Problems) -> Option<Spanned<Sources>> {
    const EXPECTED: &str = "a list of patterns";
    if entry.value.as_text().is_some() {
        let hint = match entry.value.style {
            Style::Interpolated => format!("write a list: `{}: […]`", entry.key),
            Style::Plain | Style::Quoted => {
                let text = entry.value.as_text().unwrap_or_default();
                format!("did you mean `{}: [\"{text}\"]`?", entry.key)
            }
        };
        return entry.value.wrong(EXPECTED).hint(hint).reject(problems);
    }
    let mut patterns = Vec::new();
    for item in entry.value.list(EXPECTED, problems)? {
        let Some(pattern) = item.line("a pattern such as `src/**/*.py`", problems) else {
            continue;
        };
        if pattern.starts_with('!') {
            let message = "a pattern that leaves files out is not supported yet";
            Problem::at(&item.place, message)
                .label("begins with `!`")
                .hint("name them in a `.gitignore` or `.ignore`, which count here")
                .report(problems);
            continue;
        }
        match Glob::new(&pattern) {
            Ok(_) => patterns.push(pattern),
            Err(error) => item
                .problem("is no pattern")
                .label(error.kind().to_string())
                .hint("`*` is anything within a name, `**` any directories")
                .report(problems),
        }
    }
    let root = directory(&entry.value.place);
    let sources = Sources { root, patterns };
    (!sources.patterns.is_empty()).then(|| Spanned::new(sources, &entry.value))
}

/// Reads the exit statuses in `success_codes`.
fn success_codes(entry: &Entry, problems: &mut Problems) -> Option<Spanned<Vec<i32>>> {
    const EXPECTED: &str = "a list of exit statuses such as `[0, 143]`";
    if let Value::Number { text, .. } = &entry.value.value {
        let hint = format!("did you mean `success_codes: [{text}]`?");
        return entry.value.wrong(EXPECTED).hint(hint).reject(problems);
    }
    let items = entry.value.list(EXPECTED, problems)?;
    let codes = items
        .iter()
        .filter_map(|item| item.whole(0..=255, problems));
    let codes = codes.filter_map(|code| i32::try_from(code).ok()).collect();
    Some(Spanned::new(codes, &entry.value))
}

/// Reads `hot_reload`: `true` means all that a process can read again.
pub(super) fn hot_reload(
    entry: &Entry,
    problems: &mut Problems,
) -> Option<Spanned<Vec<Spanned<HotFiles>>>> {
    const EXPECTED: &str = "`true`, or a list of `sources` and `config_files`";
    let node = &entry.value;
    if let Value::Bool(on) = &node.value {
        let all = HotFiles::ALL.iter().filter(|_| *on);
        let all = all.map(|files| Spanned::new(*files, node)).collect();
        return Some(Spanned::new(all, node));
    }
    if let Some(text) = node.as_text() {
        let hint = format!("did you mean `hot_reload: [{text}]`?");
        return node.wrong(EXPECTED).hint(hint).reject(problems);
    }
    let words = HotFiles::ALL.iter().map(|word| (word.as_str(), *word));
    let words: Vec<_> = words.collect();
    let items = node.list(EXPECTED, problems)?.iter();
    let files = items.filter_map(|item| Some(Spanned::new(item.word(&words, problems)?, item)));
    Some(Spanned::new(files.collect(), node))
}

/// Reads the causes in `restart_on`.
pub(super) fn restart_on(
    entry: &Entry,
    problems: &mut Problems,
) -> Option<Spanned<Vec<Spanned<RestartCause>>>> {
    const EXPECTED: &str = "a list of causes: `stale`, `unhealthy`";
    if let Some(text) = entry.value.as_text() {
        let hint = format!("did you mean `restart_on: [{text}]`?");
        return entry.value.wrong(EXPECTED).hint(hint).reject(problems);
    }
    let words = RestartCause::ALL
        .iter()
        .map(|word| (word.as_str(), *word))
        .collect::<Vec<_>>();
    let items = entry.value.list(EXPECTED, problems)?;
    let causes = items
        .iter()
        .filter_map(|item| Some(Spanned::new(item.word(&words, problems)?, item)))
        .collect();
    Some(Spanned::new(causes, &entry.value))
}

impl StartSpec {
    /// Returns a digest of what is run and how, the same for the same entry in every run: SHA-256, hexadecimal. The log and
    /// the time-out are left out. A secret counts by where it comes from. A path counts as `resolved` gives it: the
    /// directory of the inventory may be named from elsewhere.
    pub(crate) fn fingerprint(&self, resolved: impl Fn(&Path) -> PathBuf) -> String {
        let mut digest = Sha256::new();
        let mut add = |part: &str, bytes: &[u8]| {
            digest.update(part);
            digest.update(bytes.len().to_le_bytes());
            digest.update(bytes);
        };
        for word in &self.exec.command {
            add("word", word.as_bytes());
        }
        let cwd = resolved(&self.exec.cwd);
        add("cwd", cwd.as_os_str().as_encoded_bytes());
        for (name, secret) in &self.exec.env {
            add("name", name.as_bytes());
            match secret {
                Secret::Plain(text) => add("plain", text.as_bytes()),
                Secret::Env(name) => add("env", name.as_bytes()),
                Secret::EnvOr { name, otherwise } => {
                    add("env", name.as_bytes());
                    add("otherwise", otherwise.as_bytes());
                }
                Secret::File(path) => {
                    let path = resolved(path);
                    add("file", path.as_os_str().as_encoded_bytes());
                }
            }
        }
        format!("{:x}", digest.finalize())
    }
}
