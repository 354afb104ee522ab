//! A TCP connection: that it can be made is all that is asked.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::health::{FailureKind, Outcome, ProbeResult};
use crate::inventory::{Connection, Probe};
use crate::profile::HostPort;

use super::asker::{Asker, address, result_of};
use super::exchange::{self, Exchange};
use super::explain::{self, Cause};
use super::race::{Failed, Lanes};
use super::trail::{Peer, Phase, Trail};

/// Asks the question, at this very address where one is given.
pub(super) async fn ask(
    asker: &Asker,
    probe: &Probe,
    to: &HostPort,
    pin: Option<SocketAddr>,
) -> Outcome {
    let trail = Trail::new();
    let started = Instant::now();
    let deadline = exchange::deadline(probe.timeout);
    let result = connect_first(&asker.exchange, to, pin, &trail, probe.timeout, deadline).await;
    let latency = started.elapsed();
    let outcome = Outcome {
        address: address(&trail),
        phases: trail.phases(),
        ..Outcome::bare(ProbeResult::Pass, asker.clock.now())
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

/// Connects to whichever address answers first, and leaves its marks on the trail.
async fn connect_first(
    exchange: &Exchange,
    to: &HostPort,
    pin: Option<SocketAddr>,
    trail: &Trail,
    timeout: Duration,
    deadline: Instant,
) -> Result<(), Cause> {
    let connecting = async {
        let peers = exchange.peers_of(&to.host, to.port, pin, trail).await?;
        let lanes = Lanes {
            connection: Connection::Fresh,
            trail,
            deadline,
        };
        let attempt = |peer, _| Ok(connect(peer, trail));
        lanes.run(&peers, attempt).await
    };
    timeout_at(deadline, connecting)
        .await
        .unwrap_or_else(|_| Err(Cause::new(FailureKind::Timeout, trail.out_of_time(timeout))))
}

async fn connect(peer: Peer, trail: &Trail) -> (Peer, Result<(), Failed>) {
    let Peer::Address(address) = peer else {
        let cause = Cause::local("a socket file has no TCP");
        return (peer, Err(Failed { cause, sent: false }));
    };
    let number = trail.attempt(peer.clone());
    trail.connecting(number);
    let cause = match TcpStream::connect(address).await {
        Ok(stream) if is_its_own_peer(&stream) => Cause::refused("connection refused"),
        Ok(_) => {
            trail.claim(number);
            return (peer, Ok(()));
        }
        Err(error) => explain::request(&error, Phase::Connect, Some(&peer)),
    };
    trail.failed(number, &cause.words);
    (peer, Err(Failed { cause, sent: false }))
}

/// Where nothing listens on a local port, the system may give that very port to who wants to connect, and connect it to itself.
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
