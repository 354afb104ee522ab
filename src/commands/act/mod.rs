//! What all actions have in common on the command line: whom they mean, who agrees, what is shown meanwhile
//! and at the end.

mod ask;

use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use super::choose::Choice;
use super::{Context, Error, Signals, duration};
use crate::action::{Action, Consent, Proposal, Refusal, RolloutPolicy, exit_code};
use crate::event::{ActionResult, Input};
use crate::execute::{Executor, Policy, PreparedAction};
use crate::exit::Exit;
use crate::host::Clock;
use crate::output::Account;
use crate::probe::Asker;

/// The flags of every action.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Which services: names, globs, group:NAME, KEY=VALUE, state:STATE, flag:FLAG.
    #[arg(value_name = "SELECTOR", required_unless_present = "all")]
    selectors: Vec<String>,
    /// All services of the inventory.
    #[arg(long, conflicts_with = "selectors")]
    all: bool,
    /// Do it without asking; protected services want `--confirm`.
    #[arg(short, long)]
    yes: bool,
    /// Do it to this service without asking, even where it is protected.
    #[arg(long, value_name = "NAME")]
    confirm: Vec<String>,
    /// Show the exact requests and send nothing.
    #[arg(long, env = "HEALTHCTL_DRY_RUN", value_parser = clap::builder::FalseyValueParser::new())]
    dry_run: bool,
    /// How long each may take, the proof included, instead of what the inventory says.
    #[arg(long, value_name = "DURATION", value_parser = limit, env = "HEALTHCTL_ACTION_TIMEOUT")]
    timeout: Option<Duration>,
    /// Act on so many services at once, as far as they do not depend on each other.
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        env = "HEALTHCTL_PARALLEL"
    )]
    parallel: NonZeroUsize,
    /// After a failure go on with what does not build on it.
    #[arg(long, env = "HEALTHCTL_KEEP_GOING", value_parser = clap::builder::FalseyValueParser::new())]
    keep_going: bool,
    /// Act even where the audit file cannot be written, and write none.
    #[arg(long, env = "HEALTHCTL_NO_AUDIT", value_parser = clap::builder::FalseyValueParser::new())]
    no_audit: bool,
    /// How the end is told on stdout.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text, env = "HEALTHCTL_ACTION_OUTPUT")]
    output: Format,
}

/// How the end of an action is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A line for each service.
    Text,
    /// An array with an object for each service.
    Json,
}

fn limit(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("no time is too short for any action".to_owned()),
        time => Ok(time),
    }
}

/// What only some of the actions know.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Special {
    /// What has not stopped in time is killed.
    pub(super) force: bool,
    /// What was stopped is not started again after a failed stop.
    pub(super) leave_stopped: bool,
}

/// Carries an action out on what the flags mean.
pub(super) async fn run(
    context: &Context,
    action: Action,
    args: &Args,
    special: Special,
) -> Result<Exit, Error> {
    let clock = Clock::start();
    let asker = Asker::new(clock);
    let choice = Choice {
        selectors: args.selectors.clone(),
        ..Choice::default()
    };
    let mut chosen = choice.services(context)?;
    if chosen.selection.needs_picture() {
        context.tell("asking every probe once, for the selectors by state and flag");
    }
    chosen.settle(context, &asker, clock).await;
    let names: Vec<String> = chosen.services.iter().map(|one| one.name.clone()).collect();
    if let Some(stranger) = args.confirm.iter().find(|name| !names.contains(name)) {
        return Err(Error::usage_hint(
            format!("--confirm names `{stranger}`, which is not among the services meant"),
            format!("meant are: {}", list(&names)),
        ));
    }
    if names.is_empty() {
        context.tell("no service is meant: there is nothing to do");
        show(context, args, &[])?;
        return Ok(Exit::Done);
    }
    let executor = Executor::new(asker, clock, policy(context, args, special)?);
    let prepared = match executor
        .prepare(action, &chosen.loaded.inventory, &names)
        .await
    {
        Ok(prepared) => prepared,
        Err(refusals) => return refuse(context, args, &executor, refusals, None),
    };
    let proposal = prepared.proposal();
    if args.dry_run {
        let plan = match args.output {
            Format::Text => Account::plan(&proposal, context.color_stdout()),
            Format::Json => Account::json(&Account::offered(&proposal)),
        };
        print(context, &plan)?;
        if proposal.offers.len() < names.len() {
            context.tell(match action {
                Action::Start => "the other services meant run already",
                _ => "the other services meant have stopped already",
            });
        }
        return Ok(Exit::Done);
    }
    if let Err(refusals) = agreed(context, args, &proposal).await {
        return refuse(context, args, &executor, refusals, Some(&prepared));
    }
    let signals = Signals::new()?;
    let (dones, ending) = carry_out(context, &executor, prepared, signals).await;
    finish(context, args, &proposal, &dones, ending)
}

/// What holds for this action.
fn policy(context: &Context, args: &Args, special: Special) -> Result<Policy, Error> {
    let mut policy = context.policy();
    if args.no_audit || args.dry_run {
        // What sends nothing leaves no record either.
        policy.audit = None;
    } else if policy.audit.is_none() {
        return Err(Error::usage_hint(
            "there is no home directory, so the audit file has no place",
            "set `HOME` or `XDG_STATE_HOME`, or use `--no-audit`",
        ));
    }
    policy.timeout = args.timeout;
    policy.force = special.force;
    policy.manner = RolloutPolicy {
        parallel: args.parallel.get(),
        keep_going: args.keep_going,
        leave_stopped: special.leave_stopped,
    };
    Ok(policy)
}

/// Whether somebody agrees, who is shown exactly what.
async fn agreed(context: &Context, args: &Args, proposal: &Proposal) -> Result<(), Vec<Refusal>> {
    let consent = Consent {
        yes: args.yes,
        confirmed: args.confirm.iter().cloned().collect(),
    };
    let questions = consent.missing(&proposal.offers, ask::possible())?;
    if questions.agree || !questions.type_names.is_empty() {
        ask::show(context, proposal);
        if !ask::all(context, &proposal.offers, &questions).await {
            return Err(proposal
                .offers
                .iter()
                .map(|offer| Refusal {
                    service: offer.service.clone(),
                    action: offer.action,
                    reason: "it was not confirmed".to_owned(),
                    hint: None,
                })
                .collect());
        }
    }
    Ok(())
}

/// Runs the plan, telling each step on stderr, until its end or a signal of ours. After a first signal nothing more is
/// begun and the account is waited for; after a second one nothing is.
async fn carry_out(
    context: &Context,
    executor: &Executor,
    prepared: PreparedAction,
    mut signals: Signals,
) -> (Vec<ActionResult>, Option<Exit>) {
    let (events, mut account) = unbounded_channel();
    let stop = CancellationToken::new();
    let action = executor.run(prepared, &events, &stop);
    tokio::pin!(action);
    let mut ending = None;
    // What has ended, for when there is no time for the account of all.
    let mut ended = Vec::new();
    let dones = loop {
        tokio::select! {
            biased;
            signal = signals.recv() => {
                if ending.replace(signal).is_some() {
                    context.tell(
                        "ended at once: what was under way goes on by itself; the audit file tells what was sent",
                    );
                    break ended;
                }
                context.tell("interrupted: nothing more is sent; once more ends at once");
                stop.cancel();
            }
            Some(event) = account.recv() => hear(context, event, &mut ended),
            dones = &mut action => break dones,
        }
    };
    while let Ok(event) = account.try_recv() {
        hear(context, event, &mut Vec::new());
    }
    (dones, ending)
}

fn hear(context: &Context, event: Input, ended: &mut Vec<ActionResult>) {
    match event {
        Input::ActionStep(told) => context.tell(&format!(
            "{:>6.1}s {}: {}",
            told.elapsed.as_secs_f64(),
            told.service,
            told.text
        )),
        Input::ActionResult(done) => ended.push(*done),
        _ => {}
    }
}

/// Tells the end of each service, with what was weighed where it is not a good one.
fn finish(
    context: &Context,
    args: &Args,
    proposal: &Proposal,
    dones: &[ActionResult],
    ending: Option<Exit>,
) -> Result<Exit, Error> {
    for done in dones.iter().filter(|done| done.verdict.exit_code() != 0) {
        for line in &done.evidence {
            context.tell(&format!("{}: {line}", done.service));
        }
        if !done.details.log.is_empty() {
            context.tell(&format!("{}: it wrote:", done.service));
        }
        for line in &done.details.log {
            context.tell(&format!("    {line}"));
        }
    }
    let mut accounts: Vec<(Option<usize>, Account)> = dones
        .iter()
        .map(|done| {
            let place = proposal
                .offers
                .iter()
                .position(|offer| offer.service == done.service);
            let offer = place.and_then(|place| proposal.offers.get(place));
            (place, Account::ended(done, offer))
        })
        .collect();
    // As it was agreed to; those to which nothing was to be done come last.
    accounts.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
    let accounts: Vec<Account> = accounts.into_iter().map(|(_, account)| account).collect();
    let exit = match ending {
        Some(ending) => ending,
        None => match exit_code(dones.iter().map(|done| done.verdict)) {
            0 => Exit::Done,
            4 => Exit::Refused,
            5 => Exit::Unproved,
            124 => Exit::Deadline,
            other => Exit::Code(other),
        },
    };
    match show(context, args, &accounts) {
        // What became of the services weighs more than that it could not be written.
        Err(error) if exit != Exit::Done => {
            context.report(&error);
            Ok(exit)
        }
        shown => shown.map(|()| exit),
    }
}

/// Nothing was sent to anybody: tells why.
fn refuse(
    context: &Context,
    args: &Args,
    executor: &Executor,
    refusals: Vec<Refusal>,
    prepared: Option<&PreparedAction>,
) -> Result<Exit, Error> {
    let dones = executor.refuse(&refusals, prepared);
    let accounts: Vec<Account> = dones
        .iter()
        .map(|done| Account::ended(done, None))
        .collect();
    show(context, args, &accounts)?;
    context.tell("nothing was sent to any service");
    let mut hints: Vec<String> = refusals.into_iter().filter_map(|one| one.hint).collect();
    hints.dedup();
    for hint in hints {
        context.tell(&format!("hint: {hint}"));
    }
    Ok(Exit::Refused)
}

fn show(context: &Context, args: &Args, accounts: &[Account]) -> Result<(), Error> {
    let text = match args.output {
        Format::Text => Account::lines(accounts, context.color_stdout()),
        Format::Json => Account::json(accounts),
    };
    print(context, &text)
}

fn print(context: &Context, text: &str) -> Result<(), Error> {
    match context.print(text) {
        // The exit code still tells the verdict when nobody reads the account.
        Err(Error::BrokenPipe) => Ok(()),
        other => other,
    }
}

/// The first of many names.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 {
        shown.join(", ")
    } else {
        format!("{} and {more} more", shown.join(", "))
    }
}
