//! Connections without a word: the TCP prober.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpStream;

use super::server::{reserve, serve_on};
use crate::profile::HostPort;

use super::{
    FailureKind, Probe, ProbeKind, ProbeResult, failed, get, hurried, passed, probe, prober, run,
};

fn tcp(host: &str, port: u16) -> Probe {
    Probe {
        kind: ProbeKind::Tcp(HostPort {
            host: host.to_owned(),
            port,
        }),
        ..probe(get("http://unused/"))
    }
}

#[tokio::test]
async fn a_connection_is_enough() {
    let reserved = reserve();
    // Nobody accepts: the kernel does.
    let listener = reserved.four.listen(9).unwrap();
    let address = listener.local_addr().unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let outcome = run(&tcp(host, address.port())).await;
        passed(&outcome);
        assert_eq!(outcome.address, Some(address.to_string()));
        assert!(outcome.latency.is_some() && outcome.phases.connect.is_some());
        assert_eq!((outcome.code, outcome.refused), (None, false));
    }
}

#[tokio::test]
async fn both_families_are_tried() {
    let reserved = reserve();
    let six = serve_on(reserved.six.listen(9).unwrap(), async |_| ());
    let outcome = run(&tcp("localhost", six.port())).await;
    passed(&outcome);
    assert_eq!(outcome.address, Some(six.to_string()));
    let outcome = run(&tcp("::1", six.port())).await;
    passed(&outcome);
    // The other family does not listen.
    let outcome = run(&tcp("127.0.0.1", six.port())).await;
    assert_eq!(outcome.result, ProbeResult::Fail);
}

#[tokio::test]
async fn nobody_listens() {
    let reserved = reserve();
    let port = reserved.port;
    let outcome = run(&tcp("localhost", port)).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Connect,
        &format!("connection refused (127.0.0.1:{port}, [::1]:{port})"),
    );
    assert!(outcome.refused);
    assert_eq!(outcome.latency, None);
}

#[tokio::test]
async fn a_queue_that_is_full() {
    let reserved = reserve();
    let port = reserved.port;
    // A queue of length 0 holds one.
    let _mute = reserved.four.listen(0).unwrap();
    let _waiting = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    let outcome = run(&hurried(tcp("127.0.0.1", port))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Timeout,
        &format!("no connection within 400ms (127.0.0.1:{port})"),
    );
    assert!(!outcome.refused);
    // The other family gets its turn in time.
    let six = serve_on(reserved.six.listen(9).unwrap(), async |_| ());
    let outcome = run(&tcp("localhost", port)).await;
    passed(&outcome);
    assert_eq!(outcome.address, Some(six.to_string()));
}

#[tokio::test]
async fn a_name_that_is_none() {
    let outcome = run(&tcp("no-such-host.invalid", 1)).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Dns,
        "cannot look up no-such-host.invalid: …",
    );
}

#[tokio::test]
async fn a_pin_wins_over_the_name() {
    let reserved = reserve();
    let four = serve_on(reserved.four.listen(9).unwrap(), async |_| ());
    let probe = tcp("no-such-host.invalid", 1);
    let outcome = prober().probe(&probe, Some(four)).await;
    passed(&outcome);
    assert_eq!(
        outcome.address,
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, four.port())).to_string())
    );
}
