//! What can be typed: the global flags and one variant per command. Each command's own flags live with it.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands::{
    check, demo, init, list, logs, profiles, reload, restart, show, shutdown, start, validate,
    watch,
};

/// See whether your services live, why not and since when; act on them with proof that it worked.
#[derive(Debug, Parser)]
#[command(
    name = "healthctl",
    version,
    max_term_width = 100,
    after_help = crate::exit::help()
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    /// Without a command: `watch` on a terminal, `check` elsewhere.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

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
    /// Refuse every action.
    #[arg(long, global = true, env = "HEALTHCTL_READ_ONLY", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) read_only: bool,
    /// Say more on stderr.
    #[arg(short, long, global = true, env = "HEALTHCTL_VERBOSE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) verbose: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The dashboard; a stream of changes without a terminal
    Watch(watch::Args),
    /// Ask every probe once and print a report
    Check(check::Args),
    /// Stop services, with proof
    Shutdown(shutdown::Args),
    /// Have services read their configuration again, and tell what came of it
    Reload(reload::Args),
    /// Start services, and wait until they are ready
    Start(start::Args),
    /// Stop services, start them again, and prove that the new process is a new one
    Restart(restart::Args),
    /// What the inventory holds
    List(list::Args),
    /// One service resolved, with where each value came from
    Show(show::Args),
    /// What a service wrote that healthctl has started
    Logs(logs::Args),
    /// Every problem of inventories and profiles
    Validate(validate::Args),
    /// The conventions known
    Profiles(profiles::Args),
    /// Write a commented healthctl.yaml
    Init(init::Args),
    /// A small fleet of real services with the dashboard on it
    Demo(demo::Args),
}
