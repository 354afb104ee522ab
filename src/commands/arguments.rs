//! Arguments that several commands take, and how their environment variables are read. Must not run a command.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::FalseyValueParser;

use crate::text::parse_duration;

/// Flags that every command takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// Inventory file; found in the current directory and above when left out.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "HEALTHCTL_FILE"
    )]
    pub(crate) file: Vec<PathBuf>,
    /// When to use colour; `NO_COLOR` is respected.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, env = "HEALTHCTL_COLOR")]
    pub(crate) color: Color,
    /// Refuse all actions; only read.
    #[arg(long, global = true, env = "HEALTHCTL_READ_ONLY", value_parser = FalseyValueParser::new())]
    pub(crate) read_only: bool,
    /// Say more on stderr.
    #[arg(short, long, global = true, env = "HEALTHCTL_VERBOSE", value_parser = FalseyValueParser::new())]
    pub(crate) verbose: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// Use colour on a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Use colour also where the output is no terminal.
    Always,
    /// Use no colour at all.
    Never,
}

/// Format of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// A table for people.
    Table,
    /// One JSON document for programs.
    Json,
}

/// Reads a duration as the inventory does. The error names the likely meaning.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|(reason, hint)| {
        let hint = hint.map(|hint| format!(": {hint}")).unwrap_or_default();
        format!("`{text}` {reason}{hint}")
    })
}

/// Lets an environment variable that is set to nothing count as not set: a pipeline that fills in an empty variable
/// leaves such ones behind.
pub(crate) fn ignore_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| {
            if is_empty(&arg) {
                // clap cannot forget a variable; no variable has an empty name.
                arg.env("").hide_env(true)
            } else {
                arg
            }
        })
        .mut_subcommands(ignore_empty_variables)
}

/// Returns the arguments of a command that was typed without any; environment variables count.
pub(crate) fn default_args<T: clap::Args + clap::FromArgMatches>() -> T {
    let command = ignore_empty_variables(T::augment_args(clap::Command::new("healthctl")));
    let matches = command.get_matches_from(["healthctl"]);
    T::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}
