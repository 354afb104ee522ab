//! Where a question goes: families, sockets, pins, kept connections; and how a connection breaks.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixListener};

use super::server::{answering, head, reserve, serve, serve_on};
use super::{
    Connection, FailureKind, ProbeResult, failed, get, hurried, passed, probe, prober, reading,
    run, run_by,
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn nobody_listens() {
    let reserved = reserve();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, reserved.port));
    let outcome = run(&probe(get(&format!("http://{address}/")))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Connect,
        &format!("connection refused ({address})"),
    );
    assert!(outcome.refused);
    assert_eq!(outcome.address, Some(address.to_string()));
}

#[tokio::test]
async fn localhost_is_both_families() {
    let ok = async |mut stream: TcpStream| {
        head(&mut stream).await;
        let _ = stream.write_all(OK).await;
    };
    let (only_four, only_six) = (reserve(), reserve());
    let four = serve_on(only_four.four.listen(9).unwrap(), ok);
    let six = serve_on(only_six.six.listen(9).unwrap(), ok);
    for address in [four, six] {
        for connection in [Connection::Fresh, Connection::Reuse] {
            let mut request = get(&format!("http://localhost:{}/", address.port()));
            request.connection = connection;
            let outcome = run(&probe(request)).await;
            passed(&outcome);
            assert_eq!(outcome.address, Some(address.to_string()));
        }
    }
    let reserved = reserve();
    let port = reserved.port;
    let outcome = run(&probe(get(&format!("http://localhost:{port}/")))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Connect,
        &format!("connection refused (127.0.0.1:{port}, [::1]:{port})"),
    );
    assert!(outcome.refused);
}

/// One family takes no connections and refuses none: the other one gets its turn in time.
#[tokio::test]
async fn a_family_that_swallows_everything() {
    let reserved = reserve();
    let port = reserved.port;
    // A queue of length 0 holds one.
    let _mute = reserved.four.listen(0).unwrap();
    let _waiting = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    let address = serve_on(reserved.six.listen(9).unwrap(), async |mut stream| {
        head(&mut stream).await;
        let _ = stream.write_all(OK).await;
    });
    for connection in [Connection::Fresh, Connection::Reuse] {
        let mut request = get(&format!("http://localhost:{port}/"));
        request.connection = connection;
        let mut probe = reading(request);
        if connection == Connection::Reuse {
            probe.timeout = std::time::Duration::from_secs(2);
        }
        let outcome = run(&probe).await;
        passed(&outcome);
        assert_eq!(outcome.address, Some(address.to_string()));
    }
}

/// One address refuses, the other swallows: nothing proves that the service is gone.
#[tokio::test]
async fn a_refusal_and_a_silence_are_no_refusal() {
    let reserved = reserve();
    let port = reserved.port;
    let _mute = reserved.four.listen(0).unwrap();
    let _waiting = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    let outcome = run(&hurried(probe(get(&format!("http://localhost:{port}/"))))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Timeout,
        &format!(
            "no connection within 400ms (127.0.0.1:{port}: no reply yet, [::1]:{port}: connection refused)"
        ),
    );
    assert!(!outcome.refused);
}

#[tokio::test]
async fn a_name_that_is_none() {
    let outcome = run(&probe(get("http://no-such-host.invalid/"))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Dns,
        "cannot look up no-such-host.invalid: …",
    );
    assert!(!outcome.refused);
    assert_eq!(outcome.address, None);
}

#[tokio::test]
async fn a_pin_wins_over_the_name() {
    let address = answering(OK).await;
    let probe = probe(get("http://no-such-host.invalid/"));
    let outcome = prober().probe(&probe, Some(address)).await;
    passed(&outcome);
    assert_eq!(outcome.address, Some(address.to_string()));
}

#[tokio::test]
async fn addresses_of_a_name() {
    let texts = async |host: &str| {
        let found = prober().resolve(host, 80).await;
        found.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(
        texts("localhost").await.unwrap(),
        ["127.0.0.1:80", "[::1]:80"]
    );
    assert_eq!(texts("[::1]").await.unwrap(), ["[::1]:80"]);
    let (one, other) = tokio::join!(texts("no-such-host.invalid"), texts("no-such-host.invalid"));
    assert_eq!(one.unwrap_err().kind, FailureKind::Dns);
    assert!(other.is_err());
}

#[tokio::test]
async fn a_proxy_is_asked_instead() {
    let address = serve("127.0.0.1:0", async |mut stream| {
        let head = head(&mut stream).await;
        let reply: &[u8] = if head.starts_with("GET http://service.invalid/health HTTP/1.1\r\n") {
            OK
        } else {
            b"HTTP/1.1 400 Bad Request\r\n\r\n"
        };
        let _ = stream.write_all(reply).await;
    })
    .await;
    let mut request = get("http://service.invalid/health");
    request.proxy = crate::inventory::Proxy::Url(format!("http://{address}").parse().unwrap());
    let outcome = run(&reading(request)).await;
    passed(&outcome);
    assert_eq!(outcome.address, Some(address.to_string()));
}

#[tokio::test]
async fn sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let url = format!("unix:{}", path.display());
    let outcome = run(&probe(get(&url))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Connect,
        &format!("no such socket ({})", path.display()),
    );
    assert!(outcome.refused);

    let listener = UnixListener::bind(&path).unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(head(&mut stream).await.starts_with("GET / HTTP/1.1\r\n"));
        stream.write_all(OK).await.unwrap();
    });
    let outcome = run(&reading(get(&url))).await;
    passed(&outcome);
    assert_eq!(outcome.address, Some(path.display().to_string()));
    serving.await.unwrap();

    // The listener is gone, its file is not.
    let outcome = run(&probe(get(&url))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Connect,
        "nothing listens on the socket (…)",
    );
    assert!(outcome.refused);

    let file = folder.path().join("plain");
    std::fs::write(&file, "").unwrap();
    let outcome = run(&probe(get(&format!("unix:{}", file.display())))).await;
    assert_eq!(outcome.result, ProbeResult::Fail);

    let long = format!("unix:/{}", "x".repeat(300));
    let outcome = run(&probe(get(&long))).await;
    failed(
        &outcome,
        ProbeResult::Unknown,
        FailureKind::Local,
        "…too long…",
    );
}

/// A kept connection hides that nobody accepts any more; a fresh one does not.
#[tokio::test]
async fn a_listener_that_is_closed_while_its_connection_lives() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(listener);
        while !head(&mut stream).await.is_empty() {
            stream.write_all(OK).await.unwrap();
        }
    });
    let mut kept = get(&format!("http://{address}/"));
    kept.connection = Connection::Reuse;
    let prober = prober();
    passed(&run_by(&prober, &probe(kept.clone())).await);
    passed(&run_by(&prober, &probe(kept)).await);
    let fresh = get(&format!("http://{address}/"));
    let outcome = run_by(&prober, &probe(fresh)).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Connect,
        "connection refused (…)",
    );
    drop(prober);
    serving.await.unwrap();
}

/// A service that ends when its last connection has closed is not held up by a kept one.
#[tokio::test]
async fn b7_kept_connections_are_dropped_and_not_made_while_something_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            while !head(&mut stream).await.is_empty() {
                stream.write_all(OK).await.unwrap();
            }
        }
    });
    let mut kept = get(&format!("http://{address}/"));
    kept.connection = Connection::Reuse;
    let prober = prober();
    passed(&run_by(&prober, &probe(kept.clone())).await);
    let fresh = prober.fresh_connections();
    passed(&run_by(&prober, &probe(kept)).await);
    // Both connections have closed, though the prober lives.
    serving.await.unwrap();
    drop(fresh);
    assert_eq!(prober.connection(Connection::Reuse), Connection::Reuse);
}

#[tokio::test]
async fn a_fresh_connection_each_time() {
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    let address = serve("127.0.0.1:0", move |mut stream| {
        counting.fetch_add(1, Ordering::SeqCst);
        async move {
            while !head(&mut stream).await.is_empty() {
                let _ = stream.write_all(OK).await;
            }
        }
    })
    .await;
    let prober = prober();
    for _ in 0..3 {
        let probe = reading(get(&format!("http://{address}/")));
        passed(&run_by(&prober, &probe).await);
    }
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

/// A server that closes idle connections may do so just when one is used again.
#[tokio::test]
async fn a_kept_connection_that_is_closed_when_it_is_used_again() {
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    let address = serve("127.0.0.1:0", move |mut stream| {
        counting.fetch_add(1, Ordering::SeqCst);
        async move {
            head(&mut stream).await;
            let _ = stream.write_all(OK).await;
            head(&mut stream).await;
        }
    })
    .await;
    let prober = prober();
    let mut kept = get(&format!("http://{address}/"));
    kept.connection = Connection::Reuse;
    for connections in [1, 2] {
        passed(&run_by(&prober, &reading(kept.clone())).await);
        assert_eq!(count.load(Ordering::SeqCst), connections);
    }
    // What changes something is not sent again.
    let mut post = kept.clone();
    post.method = "POST".to_owned();
    passed(&run_by(&prober, &reading(post.clone())).await);
    let outcome = run_by(&prober, &reading(post)).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Protocol,
        "connection closed before an answer",
    );
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_falls_silent() {
    let address = serve("127.0.0.1:0", async |mut stream| {
        head(&mut stream).await;
        let _ = stream.write_all(OK).await;
        std::future::pending::<()>().await;
    })
    .await;
    let prober = prober();
    let mut kept = get(&format!("http://{address}/"));
    kept.connection = Connection::Reuse;
    // While an answer is on its way, time must not pass by itself.
    tokio::time::resume();
    passed(&run_by(&prober, &reading(kept.clone())).await);
    tokio::time::pause();
    let outcome = run_by(&prober, &reading(kept)).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Timeout,
        "no answer within 1m (waiting for the response head)",
    );
}

#[tokio::test]
async fn connections_that_are_reset() {
    for (start, words, code) in [
        (&b""[..], "connection reset before an answer", None),
        (
            b"HTTP/1.1 200 OK\r\nx: ",
            "connection reset before an answer",
            None,
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
            "connection reset in the middle of the body",
            Some(200),
        ),
    ] {
        let address = serve("127.0.0.1:0", async move |mut stream| {
            head(&mut stream).await;
            let _ = stream.write_all(start).await;
            let _ = stream.flush().await;
            stream.set_zero_linger().unwrap();
        })
        .await;
        let outcome = run(&reading(get(&format!("http://{address}/")))).await;
        failed(&outcome, ProbeResult::Fail, FailureKind::Protocol, words);
        assert_eq!((outcome.code, outcome.refused), (code, false));
    }
}
