//! What every command is given, and how every command fails.

use std::io::{self, IsTerminal, Write};

use crate::action::{RolloutPolicy, shown_command};
use crate::execute::Policy;
use crate::exit::Exit;
use crate::health::{Candidate, SelectError, Selection};
use crate::host::directories;
use crate::host::launch::own_program;
use crate::host::records::Records;
use crate::inventory::{self, AdHoc, Inventory, LoadedInventory, Service};
use crate::text;
use crate::yaml::Problems;

use super::arguments::{Color, Global};
use super::surroundings;

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// The global flags.
    pub(crate) global: Global,
}

/// Why a command could not do its work. What a user can fix is told without a trace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Wrong usage: what is wrong, and what to do.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// This machine does not give what it takes to begin.
    #[error("cannot begin: {0}")]
    Starved(io::Error),
    /// The inventory has mistakes.
    #[error("the inventory has mistakes")]
    Inventory(Problems),
    /// Selectors that are malformed or match nothing.
    #[error("a selector matches nothing")]
    Selection(Vec<SelectError>),
    /// A pipe that we write to was closed by its reader: a quiet end.
    #[error("the reader of the output has gone")]
    BrokenPipe,
    /// A fault that is not the user's.
    #[error(transparent)]
    Bug(#[from] color_eyre::eyre::Report),
}

impl Error {
    /// Wrong usage.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: None,
        }
    }

    /// Wrong usage, with what to do.
    pub(crate) fn usage_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// A name that no service of the inventory has.
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
        } else {
            Self::usage_hint(
                format!("cannot write the output: {error}"),
                "is the disk full, or the file not writable?",
            )
        }
    }
}

#[expect(
    clippy::unused_self,
    reason = "the context is the one door through which a command reads and writes"
)]
impl Context {
    /// The inventory named by `-f` or `HEALTHCTL_FILE`, or the one that is found; its warnings are told.
    pub(crate) fn inventory(&self) -> Result<LoadedInventory, Error> {
        let loaded = surroundings::with(|around| {
            let chosen = inventory::find(&self.global.file, around)?;
            inventory::load(chosen, around)
        });
        let loaded = loaded.map_err(Error::Inventory)?;
        self.tell_problems(&loaded.warnings);
        if self.global.verbose {
            for file in &loaded.inventory.files {
                self.tell(&format!("inventory: {}", file.display()));
            }
        }
        Ok(loaded)
    }

    /// The inventory of one service that was typed.
    pub(crate) fn adhoc(&self, typed: &AdHoc<'_>) -> Result<LoadedInventory, Error> {
        surroundings::with(|around| inventory::adhoc(typed, around)).map_err(Error::Inventory)
    }

    /// The services that are meant; none named means all.
    pub(crate) fn selection(
        &self,
        loaded: &LoadedInventory,
        typed: &[String],
    ) -> Result<Selection, Error> {
        let services = loaded.inventory.services.values();
        Selection::parse(typed, services.map(|service| candidate(service)))
            .map_err(Error::Selection)
    }

    /// Tells problems with their places.
    pub(crate) fn tell_problems(&self, problems: &Problems) {
        let text = problems.render(self.color_stderr());
        if !text.is_empty() {
            self.tell(text.trim_end());
        }
    }

    /// Whether what goes to stdout may carry colour.
    pub(crate) fn color_stdout(&self) -> bool {
        self.color(io::stdout().is_terminal())
    }

    /// Whether what goes to stderr may carry colour.
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

    /// What holds for the actions of this run, unless its flags say otherwise.
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
            force: false,
            only_running: false,
            manner: RolloutPolicy::default(),
            program: own_program(),
        }
    }

    /// Writes machine output or a report to stdout, all at once.
    pub(crate) fn print(&self, text: &str) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// Writes a line for people to stderr.
    pub(crate) fn tell(&self, text: &str) {
        // Nobody is left to tell when stderr is closed.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Tells an error and gives the exit code that it leads to.
    pub(crate) fn report(&self, error: &Error) -> Exit {
        match error {
            Error::Usage { message, hint } => {
                self.tell(&format!("error: {message}"));
                if let Some(hint) = hint {
                    self.tell(&format!("hint: {hint}"));
                }
                Exit::Usage
            }
            Error::Starved(_) => {
                self.tell(&format!("error: {error}"));
                self.tell("hint: let this process have more files open: `ulimit -n 1024`");
                Exit::Usage
            }
            Error::Inventory(problems) => {
                self.tell_problems(problems);
                Exit::Usage
            }
            Error::Selection(errors) => {
                for error in errors {
                    self.tell(&format!("error: {error}"));
                    if let Some(hint) = &error.hint {
                        self.tell(&format!("hint: {hint}"));
                    }
                }
                Exit::Usage
            }
            Error::BrokenPipe => Exit::Done,
            Error::Bug(report) => {
                self.tell(&format!("{report:?}"));
                Exit::Code(101)
            }
        }
    }
}

/// A service as far as a selector cares.
pub(crate) fn candidate(service: &Service) -> Candidate<'_> {
    Candidate {
        name: &service.name,
        group: service.group.as_deref(),
        labels: &service.labels,
    }
}
