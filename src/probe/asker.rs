//! Asks: a probe's question, judged; or a request of an action, sent once.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::health::{Failure, FailureKind, Outcome, Phases, ProbeResult};
use crate::host::Clock;
use crate::inventory::{Connection, HttpRequest, Probe, ProbeKind, Service};
use crate::profile::{self, Answer, Judgement};
use crate::text;

use super::exchange::{self, Answered, Body, Exchange, Question};
use super::exec;
use super::explain::Cause;
use super::masks::Masks;
use super::tcp;
use super::trail::Trail;

/// A larger body is decoded apart from the tasks that others wait for.
const LARGE: usize = 128 * 1024;

/// Asks questions. Cheap to clone; the clones share connections and settings.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    exchange: Exchange,
    clock: Clock,
}

/// The answer to a request that was sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) code: u16,
    /// Lower-case names, values as text. Not cleaned.
    pub(crate) headers: Vec<(String, String)>,
    /// The body. Not cleaned.
    pub(crate) body: Vec<u8>,
    /// What in the request is not to be told, though the reply may hold it.
    pub(crate) masks: Masks,
    /// Who answered: `ip:port` or a socket path.
    pub(crate) address: Option<String>,
    /// Where the time went.
    pub(crate) phases: Phases,
    /// From the start to the end of the body.
    pub(crate) latency: Duration,
}

/// Why there is no complete answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SendError {
    /// The request cannot have reached the service. False: it may have, and may be acted upon.
    pub(crate) before_sending: bool,
    /// Why.
    pub(crate) failure: Failure,
    /// Nothing listens there: every address refused, or the socket file is gone.
    pub(crate) refused: bool,
    /// Who was asked.
    pub(crate) address: Option<String>,
    /// The status code, where the answer broke off after its head.
    pub(crate) code: Option<u16>,
}

impl Asker {
    /// An asker with this clock. It has to be used within a tokio runtime.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            exchange: Exchange::new(),
            clock,
        }
    }

    /// Asks a probe's question, at whichever address of the service answers.
    pub(crate) async fn ask(&self, service: &Service, probe: &Probe) -> Outcome {
        self.ask_at(service, probe, None).await
    }

    /// Asks a probe's question, at this very address where one is given.
    pub(crate) async fn ask_at(
        &self,
        _service: &Service,
        probe: &Probe,
        pin: Option<SocketAddr>,
    ) -> Outcome {
        match &probe.kind {
            ProbeKind::Http(request) => self.ask_http(probe, request, pin).await,
            ProbeKind::Tcp { host, port } => self.ask_tcp(probe, (host, *port), pin).await,
            ProbeKind::Exec(exec) => {
                let question = exec::Question {
                    exec,
                    most: probe.max_body,
                    timeout: probe.timeout,
                };
                self.run(question).await
            }
        }
    }

    /// All addresses of a name, `localhost` being both families.
    ///
    /// # Errors
    ///
    /// The failed lookup, as a probe would tell it.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        self.exchange
            .addresses(host, port)
            .await
            .map_err(|cause| cause.failure())
    }

    /// Sends a request once, over a fresh connection, to this very address where one is given. Redirects are not followed.
    ///
    /// # Errors
    ///
    /// No complete answer came; the error tells whether the request may have reached the service all the same.
    pub(crate) async fn send(
        &self,
        request: &HttpRequest,
        pin: Option<SocketAddr>,
        timeout: Duration,
        max_body: u64,
    ) -> Result<Reply, SendError> {
        let question = Question {
            request,
            pin,
            connection: Connection::Fresh,
            expect: None,
            body: Body::Raw(max_body),
        };
        let trail = Trail::new();
        let started = Instant::now();
        let deadline = exchange::deadline(timeout);
        let result = self
            .exchange
            .ask(&question, &trail, timeout, deadline)
            .await;
        let address = address(&trail);
        match result {
            Ok(answered) => Ok(Reply {
                code: answered.code,
                headers: answered.headers,
                body: answered.body,
                masks: answered.masks,
                address,
                phases: trail.phases(),
                latency: started.elapsed(),
            }),
            Err(cause) => Err(SendError {
                before_sending: !trail.claimed(),
                failure: cause.failure(),
                refused: cause.refused,
                address,
                code: trail.code(),
            }),
        }
    }

    async fn ask_http(
        &self,
        probe: &Probe,
        request: &HttpRequest,
        pin: Option<SocketAddr>,
    ) -> Outcome {
        let needs_body =
            probe.expect.needs_body() || probe.decode.as_ref().is_some_and(|d| d.needs_body());
        let question = Question {
            request,
            pin,
            connection: request.connection,
            expect: Some(&probe.expect),
            body: if needs_body {
                Body::Plain(probe.max_body)
            } else {
                Body::Unread
            },
        };
        let trail = Trail::new();
        let started = Instant::now();
        let deadline = exchange::deadline(probe.timeout);
        let result = self
            .exchange
            .ask(&question, &trail, probe.timeout, deadline)
            .await;
        let latency = started.elapsed();
        let mut masks = Masks::default();
        let judged = match result {
            Ok(mut answered) => {
                masks = std::mem::take(&mut answered.masks);
                self.judge(probe, answered, latency, deadline).await
            }
            Err(cause) => Err(cause),
        };
        let outcome = Outcome {
            address: address(&trail),
            code: trail.code(),
            phases: trail.phases(),
            ..Outcome::bare(ProbeResult::Unknown, self.clock.now())
        };
        let mut outcome = match judged {
            Ok(judgement) => Outcome {
                result: judgement.result,
                failure: judgement.failure,
                reading: judgement.reading,
                latency: Some(latency),
                ..outcome
            },
            Err(cause) => Outcome {
                result: result_of(&cause, probe, outcome.code),
                failure: Some(cause.failure()),
                refused: cause.refused,
                ..outcome
            },
        };
        masks.hide_in(&mut outcome);
        outcome
    }

    async fn ask_tcp(&self, probe: &Probe, to: (&str, u16), pin: Option<SocketAddr>) -> Outcome {
        let trail = Trail::new();
        let started = Instant::now();
        let deadline = exchange::deadline(probe.timeout);
        let result = tcp::ask(&self.exchange, to, pin, &trail, probe.timeout, deadline).await;
        let latency = started.elapsed();
        let outcome = Outcome {
            address: address(&trail),
            phases: trail.phases(),
            ..Outcome::bare(ProbeResult::Pass, self.clock.now())
        };
        match result {
            Ok(()) => Outcome {
                latency: Some(latency),
                ..outcome
            },
            Err(cause) => Outcome {
                result: result_of(&cause, probe, None),
                failure: Some(cause.failure()),
                refused: cause.refused,
                ..outcome
            },
        }
    }

    async fn run(&self, question: exec::Question<'_>) -> Outcome {
        let started = Instant::now();
        let ran = exec::ask(question, exchange::deadline(question.timeout)).await;
        let latency = ran.ended.map(|ended| ended.duration_since(started));
        let now = self.clock.now();
        let outcome = match ran.cause {
            None => Outcome::bare(ProbeResult::Pass, now),
            Some(cause) => {
                let failure = cause.failure();
                Outcome::failed(failure.kind, failure.message, now)
            }
        };
        Outcome { latency, ..outcome }
    }

    /// What the answer amounts to. A large body is judged elsewhere: the deadline stands around that, too.
    async fn judge(
        &self,
        probe: &Probe,
        answered: Answered,
        latency: Duration,
        deadline: Instant,
    ) -> Result<Judgement, Cause> {
        let at = self.clock.now();
        let decode = probe.decode.clone();
        if answered.body.len() <= LARGE {
            let answer = answer(&answered, at, latency);
            return Ok(profile::judge(decode.as_deref(), &probe.expect, &answer));
        }
        let expect = probe.expect.clone();
        let judging = tokio::task::spawn_blocking(move || {
            profile::judge(decode.as_deref(), &expect, &answer(&answered, at, latency))
        });
        match timeout_at(deadline, judging).await {
            Ok(Ok(judgement)) => Ok(judgement),
            Ok(Err(_)) => Err(Cause::local(
                "the body could not be decoded: a fault in healthctl",
            )),
            Err(_) => Err(Cause::new(
                FailureKind::Timeout,
                format!(
                    "the body was not decoded within {}",
                    text::format_duration(probe.timeout)
                ),
            )),
        }
    }
}

fn answer(answered: &Answered, at: crate::health::Moment, latency: Duration) -> Answer<'_> {
    Answer {
        code: answered.code,
        headers: &answered.headers,
        body: &answered.body,
        at,
        latency,
    }
}

/// What a probe that came to no complete answer counts as.
fn result_of(cause: &Cause, probe: &Probe, code: Option<u16>) -> ProbeResult {
    match cause.kind {
        FailureKind::Local | FailureKind::Auth => ProbeResult::Unknown,
        FailureKind::Decode if code.is_some_and(|code| probe.expect.accepts(code)) => {
            ProbeResult::Unknown
        }
        _ => ProbeResult::Fail,
    }
}

fn address(trail: &Trail) -> Option<String> {
    trail.peer().map(|peer| text::clean(&peer.to_string(), 300))
}
