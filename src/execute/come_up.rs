//! Starts a service, or waits for the successor that something else starts, until it is ready and proved to be the one
//! that was waited for.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::process::Child;
use tokio::select;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::choose::name;
use super::ending::Ending;
use super::gates::Gates;
use super::halves::With;
use super::identify::{Found, Trace};
use super::look::look_at;
use super::owners::{belongs, heads};
use super::run::Teller;
use super::{Executor, Target};
use crate::action::{Arrival, Arrived, Expected, Glance, Holder, Look, Started, Verdict};
use crate::event::StepKind;
use crate::health::Process;
use crate::host::launch::{Launched, Order, excerpt, launch, startable};
use crate::host::records::{Key, Record};
use crate::host::{Running, alive, process};
use crate::inventory::{Means, Secret, Service, StartSpec};
use crate::probe::{Masks, reveal};
use crate::text;

/// Between two looks.
const TICK: Duration = Duration::from_millis(25);
/// Between the end of a round of questions and the next.
const QUESTION: Duration = Duration::from_millis(50);
/// No deadline is further away: a longer one must not overflow the clock.
const FURTHEST: Duration = Duration::from_secs(366 * 24 * 3600);

const NOWHERE: &str = "there is nowhere to record what is started";

/// Who has come up.
pub(super) struct Up {
    /// All that is known of it now.
    pub(super) found: Found,
    /// It is the process that was started here, by what the kernel says of its listening socket, or it has none.
    pub(super) is_ours: bool,
    /// Until its program ran and listened.
    pub(super) start: Duration,
    /// From there until it was ready.
    pub(super) ready: Duration,
}

/// Who is waited for.
struct Wait<'a> {
    executor: &'a Executor,
    target: &'a Target,
    means: Option<&'a Means>,
    process: Option<Running>,
    record: Option<Record>,
    child: Option<Child>,
    began: Instant,
    listened: Option<Instant>,
}

/// A round of questions: the gates to ask again, and what is missing; where nothing is, who answers.
type Round = (Gates, Vec<String>, Option<Found>);

impl Executor {
    /// Starts the service and waits until it is up.
    pub(super) async fn start(
        &self,
        target: &Target,
        teller: Teller<'_>,
        stop: &CancellationToken,
    ) -> Result<Up, Ending> {
        let began = Instant::now();
        let failed = |why: String| {
            let text = format!("it could not be started: {why}");
            Ending::new(Verdict::Died, text)
        };
        let (order, masks) = self
            .order(&target.service, &target.key)
            .await
            .map_err(failed)?;
        let (Some(records), Some(program)) = (&self.policy.records, &self.policy.program) else {
            return Err(failed(NOWHERE.to_owned()));
        };
        let log = order.log.clone();
        let launched = launch(program, records, &order).await.map_err(failed)?;
        let Launched {
            process: started,
            record,
            child,
        } = launched;
        let running = process(started.pid)
            .filter(|running| running.process == started)
            .unwrap_or_else(|| named(started, &order.shown));
        teller.step(
            self.clock.now(),
            StepKind::Started,
            &format!(
                "started {}, its output goes to {}",
                name(&running),
                log.display()
            ),
        );
        let wait = Wait {
            executor: self,
            target,
            means: None,
            process: Some(running),
            record: Some(record.clone()),
            child: Some(child),
            began,
            listened: None,
        };
        let limit = self.ready_timeout(&target.service);
        let mut ended = wait.until_up(limit, teller, stop).await;
        if let Err(ending) = &mut ended {
            let told = excerpt(&log, record.log_offset).await;
            ending.log = told.iter().map(|line| masks.apply(line)).collect();
            let last = ending.log.iter().rev().find(|line| !line.trim().is_empty());
            if let (Verdict::Died, Some(last)) = (ending.verdict, last) {
                let last = text::clean(last.trim(), 160);
                ending.text = format!("{}; its last words: {last}", ending.text);
            }
        }
        let up = ended?;
        if let Some(other) = up.in_background(started) {
            let record = Record {
                process: other,
                ..record
            };
            records.write(&target.key, &record).map_err(|why| {
                Ending::new(
                    Verdict::Unverified,
                    format!(
                        "it runs as pid {}, which could not be recorded: {why}",
                        other.pid
                    ),
                )
            })?;
        }
        Ok(up)
    }

    /// Waits until something else has started a successor and that is up.
    pub(super) async fn succeed(
        &self,
        target: &Target,
        means: &Means,
        limit: Duration,
        teller: Teller<'_>,
        stop: &CancellationToken,
    ) -> Result<Up, Ending> {
        let wait = Wait {
            executor: self,
            target,
            means: Some(means),
            process: None,
            record: None,
            child: None,
            began: Instant::now(),
            listened: None,
        };
        wait.until_up(limit, teller, stop).await
    }

    /// Waits until one that runs already, as `ending` tells, is ready.
    pub(super) async fn ready_already(
        &self,
        target: &Target,
        ending: Ending,
        with: With<'_>,
    ) -> Ending {
        let service = &target.service;
        let limit = self.ready_timeout(service).min(FURTHEST);
        let deadline = Instant::now() + limit;
        let mut gates = Gates::of(service);
        let mut told = String::new();
        loop {
            let missing = select! {
                biased;
                () = with.stop.cancelled() => {
                    let text = format!("{}; interrupted before it was ready", ending.text);
                    return Ending::new(Verdict::Unverified, text);
                }
                missing = gates.ask(service, &self.asker) => missing.join(", "),
            };
            if missing.is_empty() {
                return ending;
            }
            let processes = target.found.processes();
            if !processes.is_empty()
                && processes
                    .iter()
                    .all(|one| alive(one.process) == Some(false))
            {
                let text = "it ran already and has ended before it was ready; nothing was started";
                return Ending::new(Verdict::Died, text.to_owned());
            }
            if Instant::now() >= deadline {
                let after = text::format_duration(limit);
                let text = format!("{}; it is not ready after {after}: {missing}", ending.text);
                return Ending::new(Verdict::NotReady, text);
            }
            if missing != told {
                let what = format!("it runs already and is not ready yet: {missing}");
                with.teller.step(self.clock.now(), StepKind::Remark, &what);
                told = missing;
            }
            sleep_until(deadline.min(Instant::now() + QUESTION)).await;
        }
    }

    /// Why it could not be started, as far as that is known before it is stopped.
    pub(super) async fn startable(&self, service: &Service, key: &Key) -> Result<(), String> {
        let (order, _) = self.order(service, key).await?;
        let Some(records) = self.policy.records.clone() else {
            return Err(NOWHERE.to_owned());
        };
        tokio::task::spawn_blocking(move || startable(&records, &order))
            .await
            .map_err(|error| error.to_string())?
    }

    /// All that a start needs, secrets read; and what of that is not to be told, whatever it writes.
    async fn order(&self, service: &Service, key: &Key) -> Result<(Order, Masks), String> {
        let Some(start) = &service.start else {
            return Err("it does not say how".to_owned());
        };
        let exec = &start.exec;
        let mut env = Vec::with_capacity(exec.env.len());
        let mut read = Vec::new();
        for (name, secret) in &exec.env {
            let value = reveal(secret)
                .await
                .map_err(|why| format!("its variable {name} cannot be had: {why}"))?;
            if !matches!(secret, Secret::Plain(_)) {
                read.push((name.clone(), value.clone()));
            }
            env.push((name.clone(), value));
        }
        let order = Order {
            key: key.clone(),
            command: exec.command.clone(),
            shown: exec.shown.clone(),
            env,
            cwd: exec.cwd.clone(),
            log: self.log_of(key, start),
            entry: start.fingerprint(),
        };
        Ok((order, Masks::new(exec, read)))
    }

    fn log_of(&self, key: &Key, start: &StartSpec) -> PathBuf {
        let default = || {
            let records = self.policy.records.as_ref()?;
            Some(records.default_log(key))
        };
        start.log.clone().or_else(default).unwrap_or_default()
    }
}

impl Wait<'_> {
    async fn until_up(
        mut self,
        limit: Duration,
        teller: Teller<'_>,
        stop: &CancellationToken,
    ) -> Result<Up, Ending> {
        let clock = self.executor.clock;
        let mut arrival = Arrival::new(self.expected(), clock.now());
        let deadline = self.began + limit.min(FURTHEST);
        let mut round: OptionFuture<Pin<Box<dyn Future<Output = Round> + Send>>> = None.into();
        let mut gates = Some(Gates::of(&self.target.service));
        let mut next_round = Instant::now();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = String::new();
        loop {
            let mut answered = None;
            let glance = select! {
                biased;
                () = stop.cancelled() => return Err(self.interrupted()),
                Some((back, missing, found)) = &mut round, if gates.is_none() => {
                    gates = Some(back);
                    next_round = Instant::now() + QUESTION;
                    let remark = missing.join(", ");
                    if !remark.is_empty() && remark != told && self.listened.is_some() {
                        teller.step(clock.now(), StepKind::Remark, &format!("not ready yet: {remark}"));
                        told = remark;
                    }
                    let holder = found.as_ref().map_or(Holder::Unknown, |found| self.holder(found));
                    answered = found.map(|found| (found, holder == Holder::Expected));
                    Glance::Asked { missing, holder }
                }
                () = sleep_until(deadline) => Glance::TimeUp,
                _ = ticks.tick() => {
                    let glance = self.look().await;
                    let may_answer = !matches!(glance, Glance::Look { listens: Some(false), .. });
                    if may_answer && Instant::now() >= next_round && let Some(gates) = gates.take() {
                        round = Some(self.round(gates)).into();
                    }
                    glance
                }
            };
            match (arrival.see(clock.now(), glance), answered) {
                (Some(Arrived::Ready), Some((found, is_ours))) => {
                    let listened = self.listened.unwrap_or_else(Instant::now);
                    let ready = listened.elapsed();
                    teller.step(
                        clock.now(),
                        StepKind::Ready,
                        &format!("ready {:.1}s after it was up", ready.as_secs_f64()),
                    );
                    return Ok(Up {
                        is_ours: is_ours && self.process.is_some(),
                        found,
                        start: listened.duration_since(self.began),
                        ready,
                    });
                }
                (Some(Arrived::Not(verdict, text)), _) => return Err(Ending::new(verdict, text)),
                (Some(Arrived::Ready) | None, _) => {}
            }
        }
    }

    fn expected(&self) -> Expected {
        let found = &self.target.found;
        Expected {
            process: self.process.as_ref().map(name),
            addresses: found.endpoints.iter().map(ToString::to_string).collect(),
        }
    }

    /// A look at its process and its addresses.
    async fn look(&mut self) -> Glance {
        let endpoints = &self.target.found.endpoints;
        let looks = look_at(endpoints).await;
        let listens = (!endpoints.is_empty()).then(|| looks.contains(&Look::Accepted));
        // Last, so that a process seen alive was alive when its addresses were looked at.
        let status = self.child.as_mut().map(Child::try_wait);
        let (started, how) = match status {
            Some(Ok(Some(status))) if status.success() => (Started::ExitedWell, status.to_string()),
            Some(Ok(Some(status))) => (Started::Exited, status.to_string()),
            Some(Err(error)) => (Started::Exited, error.to_string()),
            Some(Ok(None)) | None => (Started::Runs, String::new()),
        };
        if self.listened.is_none() && listens != Some(false) {
            self.listened = Some(Instant::now());
        }
        Glance::Look {
            started,
            how,
            listens,
        }
    }

    /// Asks what has to pass and, where all has, who answers.
    fn round(&self, mut gates: Gates) -> Pin<Box<dyn Future<Output = Round> + Send>> {
        let service = self.target.service.clone();
        let asker = self.executor.asker.clone();
        let clock = self.executor.clock;
        let means = self.means.cloned();
        // Who listens tells more; without an address only the record tells who it is.
        let record = self.record.clone();
        let record = record.filter(|_| self.target.found.endpoints.is_empty());
        Box::pin(async move {
            let mut missing = gates.ask(&service, &asker).await;
            let mut found = None;
            if missing.is_empty() {
                let trace = Trace {
                    record,
                    ended: false,
                };
                match Found::of(&service, means.as_ref(), &asker, clock, trace).await {
                    Ok(known) => found = Some(known),
                    Err(why) => missing.push(why),
                }
            }
            (gates, missing, found)
        })
    }

    /// Who of those that listen now is whom.
    fn holder(&self, found: &Found) -> Holder {
        let owners = found.owning();
        if owners.is_empty() {
            // Without an address there is nothing that anybody else could hold.
            let alone = found.endpoints.is_empty() && self.process.is_some();
            return if alone {
                Holder::Expected
            } else {
                Holder::Unknown
            };
        }
        let Some(started) = &self.process else {
            return Holder::Unknown;
        };
        let family = std::slice::from_ref(started);
        let is_ours = |owner: &Running| {
            belongs(owner.process, family)
                || owner.process.start_ticks >= started.process.start_ticks
        };
        let strangers: Vec<String> = owners
            .iter()
            .filter(|owner| !is_ours(owner))
            .map(name)
            .collect();
        let shared = self.target.service.replicas && strangers.len() < owners.len();
        if strangers.is_empty() || shared {
            Holder::Expected
        } else {
            Holder::Stranger(strangers.join(", "))
        }
    }

    /// What was done and what was not, for somebody who did not want to wait.
    fn interrupted(&self) -> Ending {
        let text = match &self.process {
            Some(process) => format!(
                "interrupted: {} was started and runs on; whether it gets ready was not waited for",
                name(process)
            ),
            None => "interrupted: whether it is started again was not waited for".to_owned(),
        };
        Ending::new(Verdict::Unverified, text)
    }
}

impl Up {
    /// The process that listens in place of the one that was started, which has gone into the background.
    fn in_background(&self, started: Process) -> Option<Process> {
        let heads = heads(self.found.owning());
        let [head] = heads.as_slice() else {
            return None;
        };
        let gone = process(started.pid).is_none_or(|running| running.process != started);
        (gone && self.is_ours).then_some(head.process)
    }
}

/// A process that has exited before it could be looked at, by the name of its program.
fn named(process: Process, command: &[String]) -> Running {
    let program = command.first().map(String::as_str).unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    Running {
        process,
        parent: 0,
        name: text::clean(name, 40),
    }
}
