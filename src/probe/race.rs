//! One request to whichever address of a name connects first.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use reqwest::{Client, Request, Response};
use tokio::time::{Instant, sleep_until};

use crate::inventory::Connection;

use super::connector::{ATTEMPT, Attempt};
use super::explain::{self, Cause};
use super::trail::{Peer, Phase, Trail};

/// The head start of an address over the next one (RFC 8305 recommends 250 ms).
const HEAD_START: Duration = Duration::from_millis(250);

/// Why an attempt came to nothing, and whether the request may have gone out with it.
struct Failed {
    cause: Cause,
    sent: bool,
}

/// What a race is run with.
pub(super) struct Race<'a> {
    pub(super) client: &'a Client,
    pub(super) connection: Connection,
    pub(super) trail: &'a Trail,
    pub(super) deadline: Instant,
}

impl Race<'_> {
    /// Sends the request that `build` makes, once: it goes out on the first connection that stands, and an address is given up
    /// for another one only as long as nothing was sent.
    pub(super) async fn run(
        &self,
        peers: &[Peer],
        build: impl Fn() -> Result<Request, Cause>,
    ) -> Result<Response, Cause> {
        let mut failed: Vec<(Peer, Cause)> = Vec::new();
        let mut running = FuturesUnordered::new();
        let mut waiting = peers.iter();
        let mut next_at = Instant::now();
        loop {
            let turn = !self.trail.claimed() && waiting.len() > 0 && Instant::now() >= next_at;
            if running.is_empty() || turn {
                let Some(peer) = waiting.next() else {
                    return Err(explain::all(&failed));
                };
                running.push(self.attempt(peer.clone(), waiting.len(), build()?));
                next_at = self.next_turn(waiting.len());
            }
            let finished = tokio::select! {
                finished = running.next() => finished,
                () = sleep_until(next_at), if waiting.len() > 0 && !self.trail.claimed() => None,
            };
            match finished {
                Some((_, Ok(response))) => return Ok(response),
                Some((_, Err(Failed { cause, sent: true }))) => return Err(cause),
                Some((peer, Err(Failed { cause, .. }))) => {
                    failed.push((peer, cause));
                    next_at = Instant::now();
                }
                None => {}
            }
        }
    }

    /// When the next address has its turn even if this one has said nothing. With kept connections it waits until this one has
    /// given up: a request that found a kept connection would not be noticed, and might be sent twice.
    fn next_turn(&self, left: usize) -> Instant {
        match self.connection {
            Connection::Fresh => Instant::now() + HEAD_START.min(self.share(left)),
            Connection::Reuse => self.deadline,
        }
    }

    async fn attempt(
        &self,
        peer: Peer,
        left: usize,
        request: Request,
    ) -> (Peer, Result<Response, Failed>) {
        let number = self.trail.attempt(peer.clone());
        let attempt = Arc::new(Attempt {
            number,
            address: match &peer {
                Peer::Address(address) => Some(*address),
                Peer::Socket(_) => None,
            },
            give_up: self.give_up(left),
            trail: self.trail.clone(),
        });
        let result = ATTEMPT.scope(attempt, self.client.execute(request)).await;
        let result = result.map_err(|error| {
            let sent = self.trail.claimed_by(number) || !error.is_connect();
            let phase = if sent {
                Phase::Head
            } else {
                self.trail.phase_of(number)
            };
            let cause = explain::request(&error, phase, Some(&peer));
            self.trail.failed(number, &cause.words);
            Failed { cause, sent }
        });
        (peer, result)
    }

    /// With kept connections, addresses are tried one after the other, each with its share of the time.
    fn give_up(&self, left: usize) -> Option<Instant> {
        (self.connection == Connection::Reuse && left > 0)
            .then(|| Instant::now() + self.share(left))
    }

    /// The time that is left, divided among this address and those after it.
    fn share(&self, left: usize) -> Duration {
        let shares = u32::try_from(left + 1).unwrap_or(u32::MAX);
        self.deadline.saturating_duration_since(Instant::now()) / shares
    }
}
