//! From typed words to an exit code.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::commands::{self, Context, Error};
use crate::exit::Exit;

/// Parses the words typed, runs the command and gives the exit code.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            // Printing fails only where nobody reads.
            let _ = error.print();
            return code.into();
        }
    };
    let context = Context { global: cli.global };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return context.report(&Error::Bug(error.into())).into();
        }
    };
    let result = runtime.block_on(dispatch(&context, cli.command));
    // A name lookup that hangs cannot be cancelled; it must not hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => context.report(&error).into(),
    }
}

async fn dispatch(context: &Context, command: Option<Command>) -> Result<Exit, Error> {
    let command = command.unwrap_or_else(|| {
        if std::io::stdout().is_terminal() {
            Command::Watch(default_args())
        } else {
            Command::Check(default_args())
        }
    });
    match command {
        Command::Watch(args) => commands::watch::run(context, &args).await,
        Command::Check(args) => commands::check::run(context, &args).await,
        Command::Shutdown(args) => commands::shutdown::run(context, &args).await,
        Command::List(args) => commands::list::run(context, &args).await,
        Command::Show(args) => commands::show::run(context, &args).await,
        Command::Validate(args) => commands::validate::run(context, &args).await,
        Command::Profiles(args) => commands::profiles::run(context, &args).await,
        Command::Init(args) => commands::init::run(context, &args).await,
        Command::Demo(args) => commands::demo::run(context, &args).await,
    }
}

/// The flags of a command that nobody typed a flag for.
pub(crate) fn default_args<T: clap::Args + clap::FromArgMatches>() -> T {
    let matches = T::augment_args(clap::Command::new("healthctl")).get_matches_from(["healthctl"]);
    T::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}
