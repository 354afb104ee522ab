//! The engine under a paused clock, asking a script instead of a service.

mod check;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use url::Url;

use super::Ask;
use crate::health::{FailureKind, Outcome, ProbeResult, Role};
use crate::host::Clock;
use crate::inventory::{HttpRequest, Probe, ProbeKind, Service, Target};

/// What a scripted service does when it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reply {
    /// Passes after so long.
    Pass(Duration),
    /// Fails after so long.
    Fail(Duration),
    /// Refuses the connection.
    Refuse,
    /// Never answers: ends with the probe's time-out.
    Hang,
    /// Brings down the prober.
    Panic,
}

/// Answers at once.
pub(super) const PASS: Reply = Reply::Pass(Duration::ZERO);

type Script = dyn Fn(&str, &str, Duration) -> Reply + Send + Sync;

/// Asks a script and keeps account of it.
#[derive(Clone)]
pub(super) struct Scripted {
    clock: Clock,
    start: Instant,
    script: Arc<Script>,
    account: Arc<Mutex<Account>>,
}

/// What was asked.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Service, probe, milliseconds since the start.
    asked: Vec<(String, String, u64)>,
    under_way: HashMap<(String, String), usize>,
    most_of_one_probe: usize,
    most_of_one_port: HashMap<u16, (usize, usize)>,
    now: usize,
    most: usize,
}

impl Scripted {
    /// The script is given service, probe and the time since the start.
    pub(super) fn new(
        script: impl Fn(&str, &str, Duration) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self {
            clock: Clock::start(),
            start: Instant::now(),
            script: Arc::new(script),
            account: Arc::default(),
        }
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// When this probe was asked, in milliseconds since the start.
    pub(super) fn times(&self, service: &str, probe: &str) -> Vec<u64> {
        self.account
            .lock()
            .unwrap()
            .asked
            .iter()
            .filter(|(s, p, _)| s == service && p == probe)
            .map(|(_, _, at)| *at)
            .collect()
    }

    /// `service/probe` in the order in which they were asked.
    pub(super) fn order(&self) -> Vec<String> {
        self.account
            .lock()
            .unwrap()
            .asked
            .iter()
            .map(|(service, probe, _)| format!("{service}/{probe}"))
            .collect()
    }

    /// The most that were under way at once: of one probe, to one port, in all.
    pub(super) fn most(&self) -> (usize, usize, usize) {
        let account = self.account.lock().unwrap();
        let port = account.most_of_one_port.values().map(|(_, most)| *most);
        (
            account.most_of_one_probe,
            port.max().unwrap_or(0),
            account.most,
        )
    }

    fn enter(&self, service: &Service, probe: &Probe) -> UnderWay {
        let at = u64::try_from(self.elapsed().as_millis()).unwrap();
        let port = service.url.as_ref().unwrap().url.port().unwrap();
        let key = (service.name.clone(), probe.name.clone());
        let account = &mut *self.account.lock().unwrap();
        account.asked.push((key.0.clone(), key.1.clone(), at));
        let of_probe = account.under_way.entry(key.clone()).or_default();
        *of_probe += 1;
        account.most_of_one_probe = account.most_of_one_probe.max(*of_probe);
        let of_port = account.most_of_one_port.entry(port).or_default();
        *of_port = (of_port.0 + 1, of_port.1.max(of_port.0 + 1));
        account.now += 1;
        account.most = account.most.max(account.now);
        UnderWay {
            account: Arc::clone(&self.account),
            key,
            port,
        }
    }
}

/// Ends the account of a question, also where it is dropped.
struct UnderWay {
    account: Arc<Mutex<Account>>,
    key: (String, String),
    port: u16,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let account = &mut *self.account.lock().unwrap();
        *account.under_way.get_mut(&self.key).unwrap() -= 1;
        account.most_of_one_port.get_mut(&self.port).unwrap().0 -= 1;
        account.now -= 1;
    }
}

impl Ask for Scripted {
    async fn ask(&self, service: &Service, probe: &Probe) -> Outcome {
        let _under_way = self.enter(service, probe);
        let reply = (self.script)(&service.name, &probe.name, self.elapsed());
        match reply {
            Reply::Pass(after) => {
                sleep(after).await;
                Outcome::bare(ProbeResult::Pass, self.clock.now())
            }
            Reply::Fail(after) => {
                sleep(after).await;
                Outcome::failed(FailureKind::Status, "status 500", self.clock.now())
            }
            Reply::Refuse => Outcome {
                refused: true,
                ..Outcome::failed(FailureKind::Connect, "refused", self.clock.now())
            },
            Reply::Hang => {
                sleep(probe.timeout).await;
                Outcome::failed(FailureKind::Timeout, "no answer", self.clock.now())
            }
            Reply::Panic => panic!("scripted"),
        }
    }
}

/// A service on a port of its own, its probes written `live/1s ready/500ms`; each time-out is twice the interval.
pub(crate) fn service(name: &str, port: u16, probes: &str) -> Arc<Service> {
    let target = Target {
        url: Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap(),
        socket: None,
    };
    let probes = probes.split_whitespace().map(|text| {
        let (name, interval) = text.split_once('/').unwrap();
        probe(name, humantime::parse_duration(interval).unwrap(), &target)
    });
    Arc::new(Service {
        name: name.to_owned(),
        url: Some(target.clone()),
        probes: probes.collect(),
        ..Service::default()
    })
}

fn probe(name: &str, interval: Duration, target: &Target) -> Probe {
    Probe {
        name: name.to_owned(),
        role: Role::of(name),
        kind: ProbeKind::Http(Box::new(HttpRequest {
            target: target.clone(),
            ..HttpRequest::default()
        })),
        interval,
        timeout: interval * 2,
        failure_threshold: if name == "startup" { 9 } else { 1 },
        max_body: 1024,
        ..Probe::default()
    }
}
