//! From the arguments to an exit code.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use color_eyre::config::{HookBuilder, Theme};

use crate::action::Action;
use crate::cli::{Cli, Command};
use crate::commands::act::ActionCommand;
use crate::commands::{self, Context, Error, default_args, ignore_empty_variables};
use crate::exit::Exit;
use crate::host::{check_spare_descriptors, keeper, launch, limits};
use crate::probe::Commands;
use crate::text;

/// The number of files and sockets that must be free to begin.
const DESCRIPTORS: usize = 8;

/// Parses the words typed, runs the command and gives the exit code.
///
/// It is not generic, so that the program is compiled with the library, in parallel, and not again with `main`.
pub fn run(words: Vec<OsString>) -> ExitCode {
    // Before anything else: a keeper is small and stays.
    if let Some(code) = keeper::step(&words, launch::stand_in) {
        return code;
    }
    if let Some(code) = limits::step(&words) {
        return code;
    }
    // One TLS provider for all clients; it fails only where one is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match parse(words) {
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
    install_hooks(context.color_stderr());
    if let Err(error) = check_spare_descriptors(DESCRIPTORS) {
        let hint = "let this process have more files open: `ulimit -n 1024`";
        let error = Error::usage_hint(format!("cannot begin: {error}"), hint);
        return context.report(&error).into();
    }
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
    let commands = Commands::allow();
    let result = runtime.block_on(dispatch(&context, cli.command));
    drop(commands);
    // A name lookup that hangs cannot be cancelled; it must not hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => context.report(&error).into(),
    }
}

fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let words = attach_wait(words);
    let command = ignore_empty_variables(Cli::command()).color(color_typed(&words));
    let mut matches = command.try_get_matches_from(words)?;
    if let Some(("demo", demo)) = matches.subcommand()
        && let Some((flag, subcommand)) = commands::demo::flag_before_subcommand(demo)
    {
        let message = format!("the subcommand '{subcommand}' cannot be used with '{flag}'");
        return Err(Cli::command().error(ErrorKind::ArgumentConflict, message));
    }
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut Cli::command()))
}

/// Returns whether help and mistakes may be coloured. They are printed before the arguments are understood.
fn color_typed(words: &[OsString]) -> clap::ColorChoice {
    let typed = words.iter().enumerate().rev().find_map(|(place, word)| {
        if word == "--color" {
            words.get(place + 1).cloned()
        } else {
            let value = word.to_str()?.strip_prefix("--color=")?;
            Some(OsString::from(value))
        }
    });
    match typed.or_else(|| std::env::var_os("HEALTHCTL_COLOR")) {
        Some(value) if value == "never" => clap::ColorChoice::Never,
        Some(value) if value == "always" => clap::ColorChoice::Always,
        _ => clap::ColorChoice::Auto,
    }
}

/// Reports of our own faults, coloured only where colour is wanted: the library asks no terminal.
fn install_hooks(color: bool) {
    let theme = if color { Theme::dark() } else { Theme::new() };
    let (panic_hook, eyre_hook) = HookBuilder::default()
        .theme(theme)
        .panic_section("this is a fault of healthctl, not of your services")
        .into_hooks();
    // It fails only where a hook is installed already, as when `run` is called twice.
    let _ = eyre_hook.install();
    std::panic::set_hook(Box::new(move |info| {
        // A terminal that has gone takes no report; a panic about that would end the process without any cleaning up.
        let _ = writeln!(std::io::stderr(), "{}", panic_hook.panic_report(info));
    }));
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
        Command::Shutdown(args) => commands::act::run(context, args.into()).await,
        Command::Start(args) => commands::act::run(context, args.into()).await,
        Command::Restart(args) => commands::act::run(context, args.into()).await,
        Command::Reload(args) => {
            commands::act::run(context, ActionCommand::new(Action::Reload, args)).await
        }
        Command::List(args) => commands::list::run(context, &args).await,
        Command::Show(args) => commands::show::run(context, &args).await,
        Command::Logs(args) => commands::logs::run(context, &args).await,
        Command::Validate(args) => commands::validate::run(context, &args).await,
        Command::Profiles(args) => commands::profiles::run(context, &args).await,
        Command::Init(args) => commands::init::run(context, &args).await,
        Command::Demo(args) => commands::demo::run(context, &args).await,
    }
}

/// Ties `--wait 30s` together to `--wait=30s`.
///
/// The duration may be left out, so a parser that takes the next word would swallow the selector in `--wait api`.
fn attach_wait(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut tied: Vec<OsString> = Vec::new();
    for word in words {
        match tied.last_mut() {
            Some(last) if last == "--wait" && word.to_str().is_some_and(text::is_duration) => {
                last.push("=");
                last.push(word);
            }
            _ => tied.push(word),
        }
    }
    tied
}

#[cfg(test)]
pub(crate) mod tests;
