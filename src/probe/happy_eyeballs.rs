//! Happy eyeballs (RFC 8305): tries the addresses of a name with a delay between them, and takes the first connection.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use reqwest::{Client, Request, Response};
use tokio::time::{Instant, sleep_until};

use crate::inventory::Connection;

use super::classify;
use super::connector::{ATTEMPT, ConnectAttempt};
use super::error::ProbeError;
use super::timeline::{Peer, ProbePhase, Timeline};

/// The delay between two connection attempts (RFC 8305 recommends 250 ms).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// An attempt that failed.
pub(super) struct FailedAttempt {
    pub(super) error: ProbeError,
    /// True when the request may have been sent.
    pub(super) sent: bool,
}

/// Connects to the first of several addresses that accepts.
pub(super) struct HappyEyeballs<'a> {
    pub(super) connection: Connection,
    pub(super) timeline: &'a Timeline,
    pub(super) deadline: Instant,
}

impl HappyEyeballs<'_> {
    /// Starts an attempt at each address in turn (the closure gets the number of addresses after it), and returns the result
    /// of the first one that connects. An attempt is abandoned only while nothing was sent.
    pub(super) async fn run<T, F>(
        &self,
        peers: &[Peer],
        attempt: impl Fn(Peer, usize) -> Result<F, ProbeError>,
    ) -> Result<T, ProbeError>
    where
        F: Future<Output = (Peer, Result<T, FailedAttempt>)>,
    {
        let mut failed: Vec<(Peer, ProbeError)> = Vec::new();
        let mut running = FuturesUnordered::new();
        let mut waiting = peers.iter();
        let mut next_at = Instant::now();
        loop {
            let is_due = !self.timeline.claimed() && waiting.len() > 0 && Instant::now() >= next_at;
            if running.is_empty() || is_due {
                let Some(peer) = waiting.next() else {
                    return Err(ProbeError::of_all(&failed));
                };
                running.push(attempt(peer.clone(), waiting.len())?);
                next_at = self.next_attempt(waiting.len());
            }
            let finished = tokio::select! {
                finished = running.next() => finished,
                () = sleep_until(next_at), if waiting.len() > 0 && !self.timeline.claimed() => None,
            };
            match finished {
                Some((_, Ok(reached))) => return Ok(reached),
                Some((_, Err(FailedAttempt { error, sent: true }))) => return Err(error),
                Some((peer, Err(FailedAttempt { error, .. }))) => {
                    failed.push((peer, error));
                    next_at = Instant::now();
                }
                None => {}
            }
        }
    }

    /// Returns when the next address is tried if this one does not respond. With kept connections the next one waits until
    /// this one has given up: a request on a kept connection is not noticed, and might be sent twice.
    fn next_attempt(&self, left: usize) -> Instant {
        match self.connection {
            Connection::Fresh => Instant::now() + ATTEMPT_DELAY.min(self.share(left)),
            Connection::Reuse => self.deadline,
        }
    }

    /// Returns the time that is left, divided by the number of addresses that are left.
    fn share(&self, left: usize) -> Duration {
        let shares = u32::try_from(left + 1).unwrap_or(u32::MAX);
        self.deadline.saturating_duration_since(Instant::now()) / shares
    }
}

/// Sends one request to the first of several addresses that accepts.
pub(super) struct RequestSender<'a> {
    pub(super) client: &'a Client,
    pub(super) addresses: HappyEyeballs<'a>,
}

impl RequestSender<'_> {
    /// Sends the request that `build` makes, once, on the first connection.
    pub(super) async fn send(
        &self,
        peers: &[Peer],
        build: impl Fn() -> Result<Request, ProbeError>,
    ) -> Result<Response, ProbeError> {
        let attempt = |peer, left| Ok(self.attempt(peer, left, build()?));
        self.addresses.run(peers, attempt).await
    }

    async fn attempt(
        &self,
        peer: Peer,
        left: usize,
        request: Request,
    ) -> (Peer, Result<Response, FailedAttempt>) {
        let timeline = self.addresses.timeline;
        let number = timeline.attempt(peer.clone());
        let attempt = Arc::new(ConnectAttempt {
            number,
            address: match &peer {
                Peer::Address(address) => Some(*address),
                Peer::Socket(_) => None,
            },
            give_up: self.give_up(left),
            timeline: timeline.clone(),
        });
        let result = ATTEMPT.scope(attempt, self.client.execute(request)).await;
        let result = result.map_err(|error| {
            let sent = timeline.claimed_by(number) || !error.is_connect();
            let phase = if sent {
                ProbePhase::Head
            } else {
                timeline.phase_of(number)
            };
            let error = classify::request_error(&error, phase, Some(&peer));
            timeline.failed(number, &error.message);
            FailedAttempt { error, sent }
        });
        (peer, result)
    }

    /// Returns when an attempt gives up. With kept connections, addresses are tried one after the other, each with its share
    /// of the time.
    fn give_up(&self, left: usize) -> Option<Instant> {
        (self.addresses.connection == Connection::Reuse && left > 0)
            .then(|| Instant::now() + self.addresses.share(left))
    }
}
