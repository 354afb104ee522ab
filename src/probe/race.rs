//! One question put to whichever address of a name connects first.

use std::future::Future;
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
pub(super) struct Failed {
    pub(super) cause: Cause,
    pub(super) sent: bool,
}

/// What a race of connections is run with.
pub(super) struct Lanes<'a> {
    pub(super) connection: Connection,
    pub(super) trail: &'a Trail,
    pub(super) deadline: Instant,
}

impl Lanes<'_> {
    /// Starts an attempt at each address in its turn, given how many come after it, and gives what the first one brings. An
    /// address is given up for another one only as long as nothing was sent.
    pub(super) async fn run<T, F>(
        &self,
        peers: &[Peer],
        attempt: impl Fn(Peer, usize) -> Result<F, Cause>,
    ) -> Result<T, Cause>
    where
        F: Future<Output = (Peer, Result<T, Failed>)>,
    {
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
                running.push(attempt(peer.clone(), waiting.len())?);
                next_at = self.next_turn(waiting.len());
            }
            let finished = tokio::select! {
                finished = running.next() => finished,
                () = sleep_until(next_at), if waiting.len() > 0 && !self.trail.claimed() => None,
            };
            match finished {
                Some((_, Ok(reached))) => return Ok(reached),
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

    /// The time that is left, divided among this address and those after it.
    fn share(&self, left: usize) -> Duration {
        let shares = u32::try_from(left + 1).unwrap_or(u32::MAX);
        self.deadline.saturating_duration_since(Instant::now()) / shares
    }
}

/// A race of one request.
pub(super) struct Race<'a> {
    pub(super) client: &'a Client,
    pub(super) lanes: Lanes<'a>,
}

impl Race<'_> {
    /// Sends the request that `build` makes, once: it goes out on the first connection that stands.
    pub(super) async fn run(
        &self,
        peers: &[Peer],
        build: impl Fn() -> Result<Request, Cause>,
    ) -> Result<Response, Cause> {
        let attempt = |peer, left| Ok(self.attempt(peer, left, build()?));
        self.lanes.run(peers, attempt).await
    }

    async fn attempt(
        &self,
        peer: Peer,
        left: usize,
        request: Request,
    ) -> (Peer, Result<Response, Failed>) {
        let trail = self.lanes.trail;
        let number = trail.attempt(peer.clone());
        let attempt = Arc::new(Attempt {
            number,
            address: match &peer {
                Peer::Address(address) => Some(*address),
                Peer::Socket(_) => None,
            },
            give_up: self.give_up(left),
            trail: trail.clone(),
        });
        let result = ATTEMPT.scope(attempt, self.client.execute(request)).await;
        let result = result.map_err(|error| {
            let sent = trail.claimed_by(number) || !error.is_connect();
            let phase = if sent {
                Phase::Head
            } else {
                trail.phase_of(number)
            };
            let cause = explain::request(&error, phase, Some(&peer));
            trail.failed(number, &cause.words);
            Failed { cause, sent }
        });
        (peer, result)
    }

    /// With kept connections, addresses are tried one after the other, each with its share of the time.
    fn give_up(&self, left: usize) -> Option<Instant> {
        (self.lanes.connection == Connection::Reuse && left > 0)
            .then(|| Instant::now() + self.lanes.share(left))
    }
}
