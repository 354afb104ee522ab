//! Probes by HTTP: the answer, judged.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::health::{FailureKind, Moment, Outcome, ProbeResult};
use crate::inventory::{HttpRequest, Probe};
use crate::profile::{self, HttpResponse, Judgement};

use crate::text;

use super::asker::{Asker, address, result_of};
use super::exchange::{self, Answered, Body, Question};
use super::explain::Cause;
use super::masks::Masks;
use super::trail::Trail;

/// A larger body is decoded apart from the tasks that others wait for.
const LARGE: usize = 128 * 1024;

/// Asks the question, at this very address where one is given.
pub(super) async fn ask(
    asker: &Asker,
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
    let result = asker
        .exchange
        .ask(&question, &trail, probe.timeout, deadline)
        .await;
    let latency = started.elapsed();
    let mut masks = Masks::default();
    let judged = match result {
        Ok(mut answered) => {
            masks = std::mem::take(&mut answered.masks);
            judge(asker, probe, answered, latency, deadline).await
        }
        Err(cause) => Err(cause),
    };
    let outcome = Outcome {
        address: address(&trail),
        code: trail.code(),
        phases: trail.phases(),
        ..Outcome::bare(ProbeResult::Unknown, asker.clock.now())
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

/// Judges the answer. A large body is judged elsewhere: the deadline stands around that, too.
async fn judge(
    asker: &Asker,
    probe: &Probe,
    answered: Answered,
    latency: Duration,
    deadline: Instant,
) -> Result<Judgement, Cause> {
    let at = asker.clock.now();
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

fn answer(answered: &Answered, at: Moment, latency: Duration) -> HttpResponse<'_> {
    HttpResponse {
        code: answered.code,
        headers: &answered.headers,
        body: &answered.body,
        at,
        latency,
    }
}
