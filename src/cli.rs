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

/// The commands of `healthctl`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Open the dashboard; without a terminal, print a stream of changes
    Watch(watch::Args),
    /// Probe every service once and print a report
    Check(check::Args),
    /// Stop services, with proof
    Shutdown(act::ShutdownArgs),
    /// Have services read their configuration again, and report the result
    Reload(act::Args),
    /// Start services, and wait until they are ready
    Start(act::StartArgs),
    /// Stop services, start them again, and prove that the process is a new one
    Restart(act::RestartArgs),
    /// List the services in the inventory
    List(list::Args),
    /// Show a service with every value and its origin
    Show(show::Args),
    /// Print the output of a service that healthctl has started
    Logs(logs::Args),
    /// Report every problem of inventories and profiles
    Validate(validate::Args),
    /// List the profiles, show one, or try one on a reply
    Profiles(profiles::Args),
    /// Write a commented healthctl.yaml
    Init(init::Args),
    /// Run a small fleet of real services with the dashboard on it
    Demo(demo::Args),
}
