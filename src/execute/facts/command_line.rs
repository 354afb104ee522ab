//! Compares the command line of a process with a start command, by the cases of the table below. Pure: files are looked up by
//! a function that is given.
//!
//! | start command | process | it runs it |
//! | --- | --- | --- |
//! | any | the same words, launcher included, in the same directory | yes |
//! | any | the same words behind the interpreter that its `#!` names | yes |
//! | `env`, `uv run`, `npx`, …: launchers that give way | what they run, word for word | yes |
//! | `npm run SCRIPT` | a process with the script's `npm_lifecycle_event` and `npm_package_json` | yes |
//! | `cargo run` | a program below the workspace's `target` | yes |
//! | any | a rewritten title, on the socket, by the same program or of the script's name | yes |
//! | a shell's script, `make`, …: nothing to compare | anything else | cannot be told |
//! | any | the same words behind a debugger, a title of another name, what may not be read | cannot be told |
//! | any | another program, other arguments, another directory | no |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::launchers::{
    cargo_run, is_interpreter, is_shell, last, launched, package_script, starts_others,
};
use crate::action::shown_command;
use crate::execute::ownership::CommandMatch;
use crate::host::ProcessLine;
use crate::inventory::{Exec, Service};
use crate::text;

/// A start command, with where it is run and where its program is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StartLine {
    pub(super) words: Vec<String>,
    /// The directory, as the kernel names it.
    pub(super) cwd: PathBuf,
    /// The directories of `PATH`.
    pub(super) path: Vec<PathBuf>,
    /// The variables that the inventory gives it, those left out whose values are kept elsewhere.
    pub(super) env: BTreeMap<String, String>,
}

/// A file that may be a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileHead {
    /// The file itself, behind all links.
    pub(super) path: PathBuf,
    /// The words behind `#!`.
    pub(super) interpreter: Option<Vec<String>>,
}

/// Returns the head of a file; `None` where there is none.
pub(super) type FileLookup<'a> = &'a dyn Fn(&Path) -> Option<FileHead>;

/// Returns a command in backticks, with the directory in which it is run unless that is the current one.
pub(crate) fn shown(exec: &Exec) -> String {
    let command = shown_command(exec.shown.iter().map(String::as_str));
    if exec.cwd == Path::new("") {
        format!("`{command}`")
    } else {
        format!("`{command}` in {}", exec.cwd.display())
    }
}

/// Returns the start command of the service: `uvicorn app:app` in services/api.
pub(crate) fn start_command(service: &Service) -> Option<String> {
    let start = service.start.as_ref()?;
    Some(text::clean(&shown(&start.exec), 300))
}

/// Compares a process with the start command. `owns` says that it owns the socket that listens at the service's address.
pub(super) fn compare(
    start: &StartLine,
    line: &ProcessLine,
    owns: bool,
    files: FileLookup<'_>,
) -> CommandMatch {
    let Some(cwd) = &line.cwd else {
        return CommandMatch::Unclear("its directory cannot be read");
    };
    if line.words.iter().all(String::is_empty) {
        return CommandMatch::Unclear("its command line cannot be read");
    }
    let comparison = CommandComparison {
        start,
        line,
        cwd,
        files,
    };
    let commands = comparison.commands();
    let forms = comparison.forms();
    let is_equal = |command: &Vec<String>| {
        comparison.is_title_of(command)
            || forms.iter().any(|form| comparison.is_equal(command, form))
    };
    let found = commands.iter().find(|command| is_equal(command));
    let same_place = *cwd == start.cwd;
    let by_other_means = || {
        same_place
            && owns
            && (comparison.is_package_script(&commands)
                || comparison.is_cargo_run(&commands)
                || commands.iter().any(|it| comparison.is_renamed(it)))
    };
    if (found.is_some() && same_place) || by_other_means() {
        return CommandMatch::Runs;
    }
    match found {
        Some(command) => comparison.elsewhere(command),
        None => comparison.unlike(&commands, &forms, same_place),
    }
}

/// A process beside a start command.
struct CommandComparison<'a> {
    start: &'a StartLine,
    line: &'a ProcessLine,
    cwd: &'a Path,
    files: FileLookup<'a>,
}

impl CommandComparison<'_> {
    /// Returns the start command, and what is left of it behind each launcher that gives way.
    fn commands(&self) -> Vec<Vec<String>> {
        let mut commands = vec![self.start.words.clone()];
        while let Some(inner) = commands.last().and_then(|words| launched(words)) {
            if commands.len() > 8 {
                break;
            }
            commands.push(inner);
        }
        // What npm calls `npx` is `npm exec`.
        if let Some((program, rest)) = self.start.words.split_first()
            && last(program) == "npx"
        {
            let exec = ["npm", "exec"].iter().map(|word| (*word).to_owned());
            commands.insert(1, exec.chain(rest.iter().cloned()).collect());
        }
        commands
    }

    /// Returns the words of the process, and those behind the interpreter of its script.
    fn forms(&self) -> Vec<Vec<String>> {
        let words = &self.line.words;
        let mut forms = vec![words.clone()];
        // The kernel puts at most the interpreter and one word in front; `env` makes words of that.
        for at in 1..words.len().min(6) {
            let Some(expected) = (self.files)(&self.cwd.join(&words[at])) else {
                continue;
            };
            if expected
                .interpreter
                .is_some_and(|it| self.is_interpreter_of(&it, &words[..at]))
            {
                forms.push(words[at..].to_vec());
                break;
            }
        }
        forms
    }

    /// Returns whether these words are what the line behind `#!` makes of them.
    fn is_interpreter_of(&self, line: &[String], words: &[String]) -> bool {
        let line = match line {
            [program, rest @ ..] if last(program) == "env" => {
                let rest = rest.strip_prefix(&["-S".to_owned()]).unwrap_or(rest);
                let assigned = rest.iter().take_while(|it| it.contains('=')).count();
                &rest[assigned..]
            }
            line => line,
        };
        let (Some((expected, arguments)), Some((program, others))) =
            (line.split_first(), words.split_first())
        else {
            return false;
        };
        // A line may give several words for one, and a shim may add its own.
        let same_arguments = arguments == others || arguments.join(" ") == others.join(" ");
        same_arguments && self.is_program(expected, program)
    }

    /// Returns whether two names mean one program: by the file, or by its name.
    fn is_program(&self, wanted: &str, found: &str) -> bool {
        if last(wanted) == last(found) {
            return true;
        }
        let Some(executable) = &self.line.executable else {
            return false;
        };
        // Only the program that runs has its file in the executable.
        let is_first = self.line.words.first().is_some_and(|it| it == found);
        is_first && self.file(wanted).is_some_and(|it| it.path == *executable)
    }

    /// Returns the file of a program: beside the command, in the environment's own directories, in `PATH`.
    fn file(&self, program: &str) -> Option<FileHead> {
        let cwd = &self.start.cwd;
        if program.contains('/') {
            return (self.files)(&cwd.join(program));
        }
        let above = cwd.ancestors().map(|it| it.join("node_modules/.bin"));
        let environment = std::iter::once(cwd.join(".venv/bin"));
        let path = self.start.path.iter().map(|it| cwd.join(it));
        let mut places = above.chain(environment).chain(path);
        places.find_map(|place| (self.files)(&place.join(program)))
    }

    fn is_equal(&self, command: &[String], form: &[String]) -> bool {
        let (Some((wanted, arguments)), Some((found, others))) =
            (command.split_first(), form.split_first())
        else {
            return false;
        };
        arguments == others && self.is_program(wanted, found)
    }

    /// Returns whether the title of the process is the whole command, as npm shows itself.
    fn is_title_of(&self, command: &[String]) -> bool {
        let Some(title) = self.title() else {
            return false;
        };
        let (Some((program, arguments)), Some((found, rest))) =
            (command.split_first(), title.split_once(' '))
        else {
            return false;
        };
        last(program) == last(found) && !arguments.is_empty() && arguments.join(" ") == rest.trim()
    }

    /// Returns the title that the process has written over its words: the first of them holds a space, or ends in a colon.
    fn title(&self) -> Option<String> {
        let first = self.line.words.first()?;
        let rest_is_empty = self.line.words[1..].iter().all(String::is_empty);
        if first.contains(' ') && rest_is_empty {
            return Some(first.clone());
        }
        first.ends_with(':').then(|| self.line.text())
    }

    /// Returns whether it was renamed, and is the program of the command or is named after its script.
    fn is_renamed(&self, command: &[String]) -> bool {
        let (Some(title), Some(program)) = (self.title(), command.first()) else {
            return false;
        };
        let Some(executable) = &self.line.executable else {
            return false;
        };
        let name = executable.to_string_lossy();
        if !is_interpreter(&name) && !is_shell(&name) {
            let is_file = self.file(program).is_some_and(|it| it.path == *executable);
            return is_file || last(program) == last(&name);
        }
        let end = title.find([' ', ':']).unwrap_or(title.len());
        let script = if is_interpreter(program) {
            command[1..].iter().find(|word| !word.starts_with('-'))
        } else {
            Some(program)
        };
        script.is_some_and(|script| last(script) == &title[..end])
    }

    fn is_package_script(&self, commands: &[Vec<String>]) -> bool {
        let Some((event, file)) = &self.line.script else {
            return false;
        };
        let is_it = |command: &Vec<String>| {
            package_script(command, &self.start.cwd).is_some_and(|(name, declared)| {
                let same_file = || {
                    let real = |path: &Path| (self.files)(path).map(|it| it.path);
                    real(&declared).is_some() && real(&declared) == real(file)
                };
                name == *event && (declared == *file || same_file())
            })
        };
        commands.iter().any(is_it)
    }

    fn is_cargo_run(&self, commands: &[Vec<String>]) -> bool {
        let Some(executable) = &self.line.executable else {
            return false;
        };
        let workspaces = self.start.cwd.ancestors().filter(|place| {
            (self.files)(&place.join("Cargo.toml")).is_some()
                && executable.starts_with(place.join("target"))
        });
        let below = workspaces.count() > 0;
        let is_it = |command: &Vec<String>| {
            cargo_run(command).is_some_and(|handed| self.line.words.get(1..) == Some(handed))
        };
        below && commands.iter().any(is_it)
    }

    /// Judges a process with the words of the command in another directory.
    fn elsewhere(&self, command: &[String]) -> CommandMatch {
        let is_code = command.first().is_some_and(|program| {
            is_interpreter(program)
                || self
                    .file(program)
                    .is_some_and(|it| it.interpreter.is_some())
        });
        let is_absolute = command.iter().any(|word| word.starts_with('/'));
        // A daemon goes to the root, a database to its data.
        if is_code && !is_absolute && self.cwd != Path::new("/") {
            CommandMatch::Differs("another directory")
        } else {
            CommandMatch::Unclear("its directory is another one")
        }
    }

    /// Judges a process whose words are not those of the command.
    fn unlike(
        &self,
        commands: &[Vec<String>],
        forms: &[Vec<String>],
        same_place: bool,
    ) -> CommandMatch {
        let any = |test: &dyn Fn(&[String]) -> bool| commands.iter().any(|it| test(it));
        let is_shell_script = |words: &[String]| {
            let program = words.first().filter(|program| !is_interpreter(program));
            // A shim of pyenv, rbenv or asdf gives way to the program of its own name.
            let head = program.and_then(|program| self.file(program));
            let head = head.filter(|it| !it.path.iter().any(|part| part == "shims"));
            let line = head.and_then(|it| it.interpreter).unwrap_or_default();
            line.iter().any(|word| is_shell(word))
        };
        // What a launcher gives way to can be compared, whatever the launcher is.
        if commands.last().is_some_and(|it| starts_others(it)) || any(&is_shell_script) {
            return CommandMatch::Unclear("its start command may have started any program");
        }
        let is_behind = |command: &[String]| {
            forms.iter().any(|form| {
                let front = form.len().checked_sub(command.len());
                front.is_some_and(|front| front > 0 && is_same_text(command, &form[front..]))
            })
        };
        if any(&is_behind) {
            return CommandMatch::Unclear("another program stands in front of its command");
        }
        // Some programs set something up and give way to the rest of their words (taskset, setpriv, direnv).
        let is_rest = |command: &[String]| {
            forms.iter().filter(|form| !form.is_empty()).any(|form| {
                let front = command.len().checked_sub(form.len());
                front.is_some_and(|front| front > 0 && is_same_text(form, &command[front..]))
            })
        };
        if any(&is_rest) {
            return CommandMatch::Unclear("its start command may have given way to it");
        }
        let program = |command: &[String]| {
            let wanted = command.first().map_or("", String::as_str);
            forms.iter().any(|form| {
                let found = form.first().map_or("", String::as_str);
                self.is_program(wanted, found)
            }) || self.runs_file_of(wanted)
        };
        let same_program = any(&program);
        if self.title().is_some() && (same_program || self.line.executable.is_none()) {
            return CommandMatch::Unclear("it shows another title than its command");
        }
        let spawned = self.line.words.iter().any(|word| {
            word.starts_with("from multiprocessing.") || word == "--multiprocessing-fork"
        });
        if spawned && same_place {
            return CommandMatch::Unclear("it was started as a worker, and its master has gone");
        }
        CommandMatch::Differs(if same_program {
            "other arguments"
        } else {
            "another program"
        })
    }

    /// Returns whether the process has loaded the file of this program, or the interpreter of this script.
    fn runs_file_of(&self, program: &str) -> bool {
        let (Some(executable), Some(head)) = (&self.line.executable, self.file(program)) else {
            return false;
        };
        let interpreter = head.interpreter.unwrap_or_default();
        let mut words = interpreter.iter().filter(|word| last(word) != "env");
        head.path == *executable
            || words.any(|word| {
                let name = executable.to_string_lossy();
                last(word) == last(&name)
                    || self.file(word).is_some_and(|it| it.path == *executable)
            })
    }
}

/// Returns whether these are the words of the command, its program by name.
fn is_same_text(command: &[String], words: &[String]) -> bool {
    let (Some((wanted, arguments)), Some((found, others))) =
        (command.split_first(), words.split_first())
    else {
        return false;
    };
    arguments == others && last(wanted) == last(found)
}

impl StartLine {
    /// Returns the start command of a service as it is run.
    pub(super) fn of(service: &Service) -> Option<Self> {
        let exec = &service.start.as_ref()?.exec;
        let own = || std::env::var("PATH").unwrap_or_default();
        let path = match exec.env.get("PATH") {
            Some(crate::inventory::Secret::Plain(path)) => path.clone(),
            _ => own(),
        };
        let env = exec.env.iter().filter_map(|(name, value)| match value {
            crate::inventory::Secret::Plain(value) => Some((name.clone(), value.clone())),
            _ => None,
        });
        Some(Self {
            words: exec.command.clone(),
            // An empty path is the current directory.
            cwd: std::fs::canonicalize(exec.cwd.join(".")).unwrap_or_else(|_| exec.cwd.clone()),
            path: std::env::split_paths(&path).collect(),
            env: env.collect(),
        })
    }

    /// Returns whether another start command makes processes that have the same command line and directory.
    fn has_line_of(&self, other: &Self) -> bool {
        self.words == other.words && self.cwd == other.cwd
    }

    /// Compares the environment of a process that runs this command and owns no socket, by which it could be told from those
    /// of the other services with these commands.
    pub(super) fn compare_environment<'a>(
        &self,
        line: &ProcessLine,
        others: impl Iterator<Item = &'a Self>,
    ) -> CommandMatch {
        let value = |name: &String| line.environment.value(name);
        let differs = |(name, wanted): (&String, &String)| {
            value(name).is_some_and(|found| found != wanted.as_bytes())
        };
        if self.env.iter().any(differs) {
            return CommandMatch::Differs("another environment");
        }
        let mut alike = others.filter(|other| self.has_line_of(other)).peekable();
        if alike.peek().is_none() {
            return CommandMatch::Runs;
        }
        let is_set = |(name, wanted): (&String, &String)| value(name) == Some(wanted.as_bytes());
        if self.env.iter().all(is_set) && alike.all(|other| other.env.iter().any(|it| !is_set(it)))
        {
            CommandMatch::Runs
        } else {
            CommandMatch::Unclear("another service of the inventory has the same start command")
        }
    }
}

/// Reads the head of a file.
pub(super) fn file_head(path: &Path) -> Option<FileHead> {
    use std::io::Read;
    let path = std::fs::canonicalize(path).ok()?;
    if !std::fs::metadata(&path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    // A program that may be executed and not be read is none that could be compared.
    if let Ok(file) = std::fs::File::open(&path) {
        let _ = file.take(512).read_to_end(&mut bytes);
    }
    Some(FileHead {
        path,
        interpreter: interpreter(&String::from_utf8_lossy(&bytes)),
    })
}

/// Returns the words behind `#!`. A script of Python with a long path begins as one of the shell, which executes it.
fn interpreter(text: &str) -> Option<Vec<String>> {
    let mut lines = text.strip_prefix("#!")?.lines();
    let first = lines.next()?;
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    let executes = |line: &str| {
        let rest = line.strip_prefix("'''exec' ")?;
        Some(vec![
            rest.split_whitespace().next()?.trim_matches('"').to_owned(),
        ])
    };
    Some(
        lines
            .next()
            .and_then(executes)
            .unwrap_or_else(|| words(first)),
    )
}

#[cfg(test)]
mod tests;
