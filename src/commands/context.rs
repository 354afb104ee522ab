//! The context of every command: global flags, output, the inventory; and how a command fails.

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use std::io::{self, IsTerminal, Write};

use crate::action::{RolloutPolicy, shown_command};
use crate::execute::{Force, Policy};
use crate::exit::Exit;
use crate::health::{Candidate, SelectError, Selection};
use crate::host::directories;
use crate::host::own_program;
use crate::host::records::Records;
use crate::inventory::{self, AdHocTarget, Inventory, LoadedInventory, Service};
use crate::text;
use crate::yaml::Problems;

use super::arguments::{Color, Global};
use super::environment;

/// The context of a command.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) global: Global,
}

/// The reason why a command failed. What a user can fix is printed without a trace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Wrong usage, with a hint what to do.
    #[error("{message}")]
    Usage {
        message: String,
        hint: Option<String>,
    },
    /// The inventory has mistakes.
    #[error("the inventory has mistakes")]
    Inventory(Problems),
    /// Selectors that are malformed or match nothing.
    #[error("a selector matches nothing")]
    Selection(Vec<SelectError>),
    /// The reader of our output has closed the pipe: the command ends quietly.
    #[error("broken pipe")]
    BrokenPipe,
    /// The terminal that our output goes to has gone.
    #[error("the terminal has gone")]
    HungUp,
    /// A fault that is not the user's.
    #[error(transparent)]
    Bug(#[from] color_eyre::eyre::Report),
}

impl Error {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn usage_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// Returns the error for a name that no service of the inventory has.
    pub(crate) fn unknown_service(inventory: &Inventory, name: &str) -> Self {
        let names = inventory.services.keys().map(String::as_str);
        let hint = text::nearest(name, names.clone()).map_or_else(
            || {
                let names: Vec<&str> = names.take(20).collect();
                format!("the inventory holds: {}", names.join(", "))
            },
            |near| format!("did you mean `{near}`?"),
        );
        let name = text::clean(name, 80);
        Self::usage_hint(format!("the inventory has no service `{name}`"), hint)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::BrokenPipe
        } else if Errno::from_io_error(&error) == Some(Errno::IO) && is_device(&io::stdout()) {
            Self::HungUp
        } else {
            Self::usage_hint(
                format!("cannot write the output: {error}"),
                "is the disk full, or the file not writable?",
            )
        }
    }
}

fn is_device(out: &io::Stdout) -> bool {
    fstat(out).is_ok_and(|it| FileType::from_raw_mode(it.st_mode).is_char_device())
}

#[expect(
    clippy::unused_self,
    reason = "the context is the one door through which a command reads and writes"
)]
impl Context {
    /// Reads the inventory named by `-f` or `HEALTHCTL_FILE`, or the one that is found, and prints its warnings.
    pub(crate) fn inventory(&self) -> Result<LoadedInventory, Error> {
        let loaded = environment::with(|environment| {
            let chosen = inventory::find(&self.global.file, environment)?;
            inventory::load(chosen, environment)
        });
        let loaded = loaded.map_err(Error::Inventory)?;
        self.print_problems(&loaded.warnings);
        if self.global.verbose {
            for file in &loaded.inventory.files {
                self.message(&format!("inventory: {}", file.display()));
            }
        }
        Ok(loaded)
    }

    /// Returns the inventory of one service that was typed.
    pub(crate) fn adhoc(
        &self,
        target: AdHocTarget<'_>,
        profile: Option<&str>,
        settings: &[(&'static str, &str)],
    ) -> Result<LoadedInventory, Error> {
        environment::with(|environment| inventory::adhoc(target, profile, settings, environment))
            .map_err(Error::Inventory)
    }

    /// Parses the selectors; none means all services.
    pub(crate) fn selection(
        &self,
        loaded: &LoadedInventory,
        typed: &[String],
    ) -> Result<Selection, Error> {
        let services = loaded.inventory.services.values();
        Selection::parse(typed, services.map(|service| candidate(service)))
            .map_err(Error::Selection)
    }

    /// Prints problems with their positions on stderr.
    pub(crate) fn print_problems(&self, problems: &Problems) {
        let text = problems.render(self.color_stderr());
        if !text.is_empty() {
            self.message(text.trim_end());
        }
    }

    /// Returns whether colour may be used on stdout.
    pub(crate) fn color_stdout(&self) -> bool {
        self.color(io::stdout().is_terminal())
    }

    /// Returns whether colour may be used on stderr.
    pub(crate) fn color_stderr(&self) -> bool {
        self.color(io::stderr().is_terminal())
    }

    fn color(&self, terminal: bool) -> bool {
        match self.global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        }
    }

    /// Returns the policy of the actions of this run, before its own flags.
    pub(crate) fn policy(&self) -> Policy {
        let words: Vec<String> = std::env::args_os()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let state = directories::state();
        Policy {
            read_only: self.global.read_only,
            records: state.as_deref().map(Records::new),
            audit: state,
            command: shown_command(words.iter().map(String::as_str)),
            timeout: None,
            force: Force::Never,
            only_running: false,
            no_deps: false,
            rollout: RolloutPolicy::default(),
            program: own_program(),
            is_shown: false,
            pid: None,
        }
    }

    /// Writes machine output or a report to stdout, all at once.
    pub(crate) fn print(&self, text: &str) -> Result<(), Error> {
        Ok(write_stdout(text)?)
    }

    /// Writes a line for people to stderr.
    pub(crate) fn message(&self, text: &str) {
        // A closed stderr leaves no way to report that.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    fn print_error(&self, message: &str, hint: Option<&str>) {
        self.message(&format!("error: {message}"));
        if let Some(hint) = hint {
            self.message(&format!("hint: {hint}"));
        }
    }

    /// Prints an error on stderr and returns its exit code.
    pub(crate) fn report(&self, error: &Error) -> Exit {
        match error {
            Error::Usage { message, hint } => {
                self.print_error(message, hint.as_deref());
                Exit::Usage
            }
            Error::Inventory(problems) => {
                self.print_problems(problems);
                Exit::Usage
            }
            Error::Selection(errors) => {
                for error in errors {
                    self.print_error(&error.to_string(), error.hint.as_deref());
                }
                Exit::Usage
            }
            Error::BrokenPipe => Exit::Done,
            Error::HungUp => Exit::HungUp,
            Error::Bug(report) => {
                self.message(&format!("{report:?}"));
                Exit::Code(101)
            }
        }
    }
}

/// Writes a text to stdout, all at once.
pub(crate) fn write_stdout(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Returns the part of a service that a selector matches.
pub(crate) fn candidate(service: &Service) -> Candidate<'_> {
    Candidate {
        name: &service.name,
        group: service.group.as_deref(),
        labels: &service.labels,
    }
}
