//! Probes by a TCP connection, on which nothing is sent.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::health::{Outcome, ProbeResult};
use crate::inventory::{Connection, Probe};
use crate::profile::HostPort;

use super::classify;
use super::error::ProbeError;
use super::exchange;
use super::happy_eyeballs::{FailedAttempt, HappyEyeballs};
use super::prober::Prober;
use super::timeline::{Peer, ProbePhase, Timeline};

/// Runs a TCP probe once: it passes when any address of the service, or the address `pin`, accepts a connection.
pub(super) async fn probe(
    prober: &Prober,
    probe: &Probe,
    to: &HostPort,
    pin: Option<SocketAddr>,
) -> Outcome {
    let timeline = &Timeline::new();
    let started = Instant::now();
    let deadline = exchange::deadline(probe.timeout);
    let clock = prober.clock;
    let connecting = async {
        let peers = prober.exchange.peers_of(&to.host, to.port, pin, timeline);
        let peers = peers.await?;
        let addresses = HappyEyeballs {
            connection: Connection::Fresh,
            timeline,
            deadline,
        };
        let attempt = |peer, _| Ok(connect(peer, timeline));
        addresses.run(&peers, attempt).await
    };
    let result = timeout_at(deadline, connecting).await;
    let latency = started.elapsed();
    let outcome = match result {
        Ok(Ok(())) => Outcome {
            latency: Some(latency),
            ..Outcome::bare(ProbeResult::Pass, clock.now())
        },
        Ok(Err(error)) => error.outcome(clock.now()),
        Err(_) => timeline.timed_out(probe.timeout).outcome(clock.now()),
    };
    Outcome {
        address: timeline.address(),
        phases: timeline.phases(),
        ..outcome
    }
}

async fn connect(peer: Peer, timeline: &Timeline) -> (Peer, Result<(), FailedAttempt>) {
    let Peer::Address(address) = peer else {
        let error = ProbeError::local("a socket file has no TCP");
        return (peer, Err(FailedAttempt { error, sent: false }));
    };
    let number = timeline.attempt(peer.clone());
    timeline.enter(number, ProbePhase::Connect);
    let error = match TcpStream::connect(address).await {
        Ok(stream) if is_its_own_peer(&stream) => ProbeError::refused("connection refused"),
        Ok(_) => {
            timeline.claim(number);
            return (peer, Ok(()));
        }
        Err(error) => classify::request_error(&error, ProbePhase::Connect, Some(&peer)),
    };
    timeline.failed(number, &error.message);
    (peer, Err(FailedAttempt { error, sent: false }))
}

/// Returns whether a connection was made to itself: when nothing listens on a local port, the system may choose that very
/// port for the connecting side.
fn is_its_own_peer(stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    use super::is_its_own_peer;

    #[tokio::test]
    async fn a_connection_to_itself_is_known() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let itself = socket.local_addr().unwrap();
        assert!(is_its_own_peer(&socket.connect(itself).await.unwrap()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        assert!(!is_its_own_peer(&stream));
    }
}
