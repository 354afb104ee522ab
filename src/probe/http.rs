//! Probes by HTTP, and judges the response.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::health::{FailureKind, Moment, Outcome, ProbeResult};
use crate::inventory::{HttpRequest, Probe};
use crate::profile::{self, Expect, HttpResponse, Judgement};
use crate::text;

use super::error::ProbeError;
use super::exchange::{BodyUse, ExchangeRequest, ExchangeResponse, ExchangeResult};
use super::prober::Prober;
use super::redact::Redactions;

/// The size from which on a body is decoded in a thread of its own.
const LARGE_BODY: usize = 128 * 1024;

/// Runs an HTTP probe once, at any address of the service, or only at the address `pin`.
pub(super) async fn probe(
    prober: &Prober,
    probe: &Probe,
    http: &HttpRequest,
    pin: Option<SocketAddr>,
) -> Outcome {
    let needs_body =
        probe.expect.needs_body() || probe.decode.as_ref().is_some_and(|d| d.needs_body());
    let request = ExchangeRequest {
        http,
        pin,
        connection: prober.connection(http.connection),
        expect: Some(&probe.expect),
        body: if needs_body {
            BodyUse::Plain(probe.max_body)
        } else {
            BodyUse::Unread
        },
    };
    let clock = prober.clock;
    let ExchangeResult {
        response,
        timeline,
        latency,
        deadline,
    } = prober.exchange.send(&request, probe.timeout).await;
    let mut redactions = Redactions::default();
    let judged = match response {
        Ok(mut response) => {
            redactions = std::mem::take(&mut response.redactions);
            judge(probe, response, clock.now(), latency, deadline).await
        }
        Err(error) => Err(error),
    };
    let now = clock.now();
    let code = timeline.code();
    let outcome = match judged {
        Ok(judgement) => Outcome {
            result: judgement.result,
            failure: judgement.failure,
            reading: judgement.reading,
            latency: Some(latency),
            ..Outcome::bare(ProbeResult::Unknown, now)
        },
        Err(error) => {
            let mut outcome = error.outcome(now);
            let accepted = code.is_some_and(|code| probe.expect.accepts(code));
            if error.kind == FailureKind::Decode && accepted {
                outcome.result = ProbeResult::Unknown;
            }
            outcome
        }
    };
    let mut outcome = Outcome {
        address: timeline.address(),
        code,
        phases: timeline.phases(),
        ..outcome
    };
    redactions.apply_to_outcome(&mut outcome);
    outcome
}

/// Judges a response. A large body is judged in a thread of its own; the deadline holds for that, too.
async fn judge(
    probe: &Probe,
    response: ExchangeResponse,
    at: Moment,
    latency: Duration,
    deadline: Instant,
) -> Result<Judgement, ProbeError> {
    let decode = probe.decode.clone();
    let judge = move |response: &ExchangeResponse, expect: &Expect| {
        let response = HttpResponse {
            code: response.code,
            headers: &response.headers,
            body: &response.body,
            at,
            latency,
        };
        profile::judge(decode.as_deref(), expect, &response)
    };
    if response.body.len() <= LARGE_BODY {
        return Ok(judge(&response, &probe.expect));
    }
    let expect = probe.expect.clone();
    let judging = tokio::task::spawn_blocking(move || judge(&response, &expect));
    match timeout_at(deadline, judging).await {
        Ok(Ok(judgement)) => Ok(judgement),
        Ok(Err(_)) => Err(ProbeError::local(
            "the body could not be decoded: a fault in healthctl",
        )),
        Err(_) => Err(ProbeError::new(
            FailureKind::Timeout,
            format!(
                "the body was not decoded within {}",
                text::format_duration(probe.timeout)
            ),
        )),
    }
}
