//! The command line: the global flags and one variant per command. The flags of each command live in its file.

use clap::{Parser, Subcommand};

use crate::commands::{
    Global, act, check, demo, init, list, logs, profiles, show, validate, watch,
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

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The dashboard; a stream of changes without a terminal
    Watch(watch::Args),
    /// Ask every probe once and print a report
    Check(check::Args),
    /// Stop services, with proof
    Shutdown(act::ShutdownArgs),
    /// Have services read their configuration again, and tell what came of it
    Reload(act::Args),
    /// Start services, and wait until they are ready
    Start(act::Args),
    /// Stop services, start them again, and prove that the new process is a new one
    Restart(act::RestartArgs),
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
