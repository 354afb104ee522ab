//! The commands that act on services: `shutdown`, `start`, `restart` and `reload`. They select the services, ask for consent,
//! show the progress and print the results.

mod args;
mod ask;

use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use self::args::ActionFormat;
pub(crate) use self::args::{ActionCommand, Args, RestartArgs, ShutdownArgs, StartArgs};
use super::select::ServiceArgs;
use super::{Context, Error, Signals, candidate};
use crate::action::{Action, Consent, Proposal, Refusal, RolloutPolicy, exit_code};
use crate::event::{ActionResult, Input};
use crate::execute::{Executor, Force, Policy, PreparedAction, startable_beside};
use crate::exit::Exit;
use crate::host::Clock;
use crate::output::ActionReport;
use crate::probe::Prober;

/// Carries out an action on the services that were chosen.
pub(crate) async fn run(context: &Context, command: ActionCommand) -> Result<Exit, Error> {
    let (action, args) = (command.action, &command.args);
    let clock = Clock::start();
    let prober = Prober::new(clock);
    let choice = ServiceArgs {
        selectors: args.selectors.clone(),
        ..ServiceArgs::default()
    };
    let mut chosen = choice.services(context)?;
    if chosen.selection.needs_snapshot() {
        context.message("probing every service once, for the selectors by state and flag");
    }
    chosen.settle(context, &prober, clock).await;
    let selection = &chosen.selection;
    chosen
        .services
        .sort_by_key(|service| selection.position(candidate(service)));
    let mut names: Vec<String> = chosen.services.iter().map(|one| one.name.clone()).collect();
    let mut confirmable = names.clone();
    if action == Action::Start && !command.no_deps {
        confirmable.extend(startable_beside(&chosen.loaded.inventory, &names));
    }
    if let Some(other) = args.confirm.iter().find(|name| !confirmable.contains(name)) {
        return Err(Error::usage_hint(
            format!("--confirm names `{other}`, which is not selected"),
            format!("selected: {}", first_names(&confirmable)),
        ));
    }
    if names.is_empty() {
        context.message("no service is selected: nothing to do");
        print_reports(context, args, &[])?;
        return Ok(Exit::Done);
    }
    if command.pid.is_some() && names.len() > 1 {
        return Err(Error::usage_hint(
            "--pid names one process, and several services are selected".to_owned(),
            format!("selected: {}", first_names(&names)),
        ));
    }
    let executor = Executor::new(prober, clock, policy(context, &command)?);
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
            ActionFormat::Text => ActionReport::plan(&proposal, context.color_stdout()),
            ActionFormat::Json => ActionReport::json(&ActionReport::of_proposal(&proposal)),
        };
        print(context, &plan)?;
        let is_proposed = |name: &String| proposal.offers.iter().any(|it| it.service == *name);
        names.retain(|name| !is_proposed(name));
        if !names.is_empty() {
            let state = match action {
                Action::Start => "already running",
                _ => "already stopped",
            };
            context.message(&format!("{state}: {}", first_names(&names)));
        }
        return Ok(Exit::Done);
    }
    if let Err(refusals) = confirm(context, args, &proposal).await {
        return refuse(context, args, &executor, refusals, Some(&prepared));
    }
    let signals = Signals::new()?;
    let (results, interrupted) = carry_out(context, &executor, prepared, signals).await;
    finish(context, args, &proposal, &results, interrupted)
}

fn policy(context: &Context, command: &ActionCommand) -> Result<Policy, Error> {
    let args = &command.args;
    let mut policy = context.policy();
    if args.no_audit || args.dry_run {
        // A dry run sends nothing, so there is nothing to record.
        policy.audit = None;
    } else if policy.audit.is_none() {
        return Err(Error::usage_hint(
            "there is no home directory, so the audit file has no place",
            "set `HOME` or `XDG_STATE_HOME`, or use `--no-audit`",
        ));
    }
    policy.timeout = args.timeout;
    policy.force = if command.force {
        Force::InTheEnd
    } else {
        Force::Never
    };
    policy.no_deps = command.no_deps;
    policy.pid = command.pid;
    // A dry run shows the process, and sends nothing.
    policy.is_shown = args.dry_run || (!args.yes && args.confirm.is_empty() && ask::possible());
    policy.rollout = RolloutPolicy {
        parallel: args.parallel.get(),
        keep_going: args.keep_going,
        leave_stopped: command.leave_stopped,
    };
    Ok(policy)
}

/// Asks for what the arguments do not confirm already.
async fn confirm(context: &Context, args: &Args, proposal: &Proposal) -> Result<(), Vec<Refusal>> {
    let consent = Consent {
        yes: args.yes,
        confirmed: args.confirm.iter().cloned().collect(),
    };
    let missing = consent.missing(&proposal.offers, ask::possible())?;
    if !missing.agree && missing.type_names.is_empty() {
        return Ok(());
    }
    ask::show(context, proposal);
    if ask::all(context, &proposal.offers, &missing).await {
        return Ok(());
    }
    let offers = proposal.offers.iter();
    Err(offers
        .map(|offer| offer.refused("it was not confirmed", None))
        .collect())
}

/// Carries out the plan, and shows each step on stderr. After a first signal nothing more is begun, and the results are
/// waited for; a second one ends the command at once.
async fn carry_out(
    context: &Context,
    executor: &Executor,
    prepared: PreparedAction,
    mut signals: Signals,
) -> (Vec<ActionResult>, Option<Exit>) {
    let (inputs, mut received) = unbounded_channel();
    let stop = CancellationToken::new();
    let action = executor.run(prepared, &inputs, &stop);
    tokio::pin!(action);
    let mut interrupted = None;
    // These stand in for all results after a second signal.
    let mut first_results = Vec::new();
    let results = loop {
        tokio::select! {
            biased;
            signal = signals.recv() => {
                if interrupted.replace(signal).is_some() {
                    context.message(
                        "exited at once: actions in progress go on by themselves; the audit file shows what was sent",
                    );
                    break first_results;
                }
                context.message("interrupted: nothing more is sent; interrupt again to exit at once");
                stop.cancel();
            }
            Some(input) = received.recv() => match input {
                Input::ActionResult(result) => first_results.push(*result),
                other => show_step(context, &other),
            },
            results = &mut action => break results,
        }
    };
    while let Ok(input) = received.try_recv() {
        show_step(context, &input);
    }
    (results, interrupted)
}

fn show_step(context: &Context, input: &Input) {
    if let Input::ActionStep(step) = input {
        let elapsed = step.elapsed.as_secs_f64();
        context.message(&format!("{elapsed:>6.1}s {}: {}", step.service, step.text));
    }
}

/// Prints the result of each service; of those that failed also the evidence and the log.
fn finish(
    context: &Context,
    args: &Args,
    proposal: &Proposal,
    results: &[ActionResult],
    interrupted: Option<Exit>,
) -> Result<Exit, Error> {
    for result in results.iter().filter(|it| it.verdict.exit_code() != 0) {
        for line in &result.evidence {
            context.message(&format!("{}: {line}", result.service));
        }
        if !result.details.log.is_empty() {
            context.message(&format!("{}: it wrote:", result.service));
        }
        for line in &result.details.log {
            context.message(&format!("    {line}"));
        }
    }
    // In the order of the proposal; services on which nothing was to be done come last.
    let proposed = proposal.offers.iter().filter_map(|offer| {
        let result = results.iter().find(|it| it.service == offer.service)?;
        Some(ActionReport::of_result(result, Some(offer)))
    });
    let is_proposed = |service: &str| proposal.offers.iter().any(|it| it.service == service);
    let others = results.iter().filter(|it| !is_proposed(&it.service));
    let others = others.map(|result| ActionReport::of_result(result, None));
    let reports: Vec<_> = proposed.chain(others).collect();
    let exit = match interrupted {
        Some(exit) => exit,
        None => match exit_code(results.iter().map(|result| result.verdict)) {
            0 => Exit::Done,
            4 => Exit::Refused,
            5 => Exit::Unproved,
            124 => Exit::Deadline,
            other => Exit::Code(other),
        },
    };
    match print_reports(context, args, &reports) {
        // A bad result weighs more than that it could not be written.
        Err(error) if exit != Exit::Done => {
            context.report(&error);
            Ok(exit)
        }
        printed => printed.map(|()| exit),
    }
}

/// Prints why nothing was sent to any service.
fn refuse(
    context: &Context,
    args: &Args,
    executor: &Executor,
    refusals: Vec<Refusal>,
    prepared: Option<&PreparedAction>,
) -> Result<Exit, Error> {
    let results = executor.refuse(&refusals, prepared);
    let reports: Vec<ActionReport<'_>> = results
        .iter()
        .map(|result| ActionReport::of_result(result, None))
        .collect();
    print_reports(context, args, &reports)?;
    context.message("nothing was sent to any service");
    let mut hints: Vec<String> = refusals.into_iter().filter_map(|one| one.hint).collect();
    hints.dedup();
    for hint in hints {
        context.message(&format!("hint: {hint}"));
    }
    Ok(Exit::Refused)
}

fn print_reports(
    context: &Context,
    args: &Args,
    reports: &[ActionReport<'_>],
) -> Result<(), Error> {
    let text = match args.output {
        ActionFormat::Text => ActionReport::text(reports, context.color_stdout()),
        ActionFormat::Json => ActionReport::json(reports),
    };
    print(context, &text)
}

fn print(context: &Context, text: &str) -> Result<(), Error> {
    match context.print(text) {
        // The exit code still tells the verdict when nobody reads the report.
        Err(Error::BrokenPipe) => Ok(()),
        other => other,
    }
}

fn first_names(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
