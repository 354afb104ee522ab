//! One deadline around everything: who never comes to an end is left, and told where it stood.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;

use super::server::{head, serve};
use super::{FailureKind, ProbeResult, failed, get, hurried, probe, reading, run};

/// With the clock paused, time passes as soon as nobody has anything to do: here nobody ever has.
#[tokio::test(start_paused = true)]
async fn accepts_and_never_answers() {
    let address = serve("127.0.0.1:0", async |mut stream| {
        head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let outcome = run(&probe(get(&format!("http://{address}/")))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Timeout,
        "no answer within 1m (connected in … ms, waiting for the response head)",
    );
    assert_eq!(outcome.address, Some(address.to_string()));
    assert!(!outcome.refused && outcome.latency.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_full() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // A queue of length 0 holds one.
    let _waiting = tokio::net::TcpStream::connect(address).await.unwrap();
    let outcome = run(&probe(get(&format!("http://{address}/")))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Timeout,
        &format!("no connection within 1m ({address})"),
    );
    assert!(!outcome.refused);
    drop(listener);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_go_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut request = get(&format!("https://{address}/"));
    request.tls.insecure = true;
    let outcome = run(&probe(request)).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Timeout,
        &format!("no answer within 1m (connected, TLS handshake not finished: {address})"),
    );
}

/// Sends `start`, then `drip` again and again with a pause that the server decides on, until nobody takes it. Tells when that is.
async fn dripping(
    start: &'static [u8],
    drip: &'static [u8],
) -> (std::net::SocketAddr, Arc<Notify>) {
    let left = Arc::new(Notify::new());
    let tell = Arc::clone(&left);
    let address = serve("127.0.0.1:0", move |mut stream| {
        let tell = Arc::clone(&tell);
        async move {
            head(&mut stream).await;
            let mut sent = stream.write_all(start).await;
            let mut pause = tokio::time::interval(std::time::Duration::from_millis(5));
            while sent.is_ok() {
                pause.tick().await;
                sent = stream.write_all(drip).await;
            }
            tell.notify_one();
        }
    })
    .await;
    (address, left)
}

#[tokio::test]
async fn answers_that_drip() {
    for (start, drip, words) in [
        (
            &b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n"[..],
            &b"x"[..],
            "no complete answer within 400ms (connected in … ms, waiting for the rest of the body after … bytes)",
        ),
        (
            b"HTTP/1.1 200 OK\r\nx: ",
            b"y",
            "…waiting for the response head)",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n",
            "…waiting for the rest of the body after …",
        ),
    ] {
        let (address, left) = dripping(start, drip).await;
        let outcome = run(&hurried(reading(get(&format!("http://{address}/"))))).await;
        failed(&outcome, ProbeResult::Fail, FailureKind::Timeout, words);
        left.notified().await;
    }
}

#[tokio::test]
async fn interim_answers_without_end() {
    for drip in [
        &b"HTTP/1.1 100 Continue\r\n\r\n"[..],
        b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n",
    ] {
        let (address, left) = dripping(b"", drip).await;
        let outcome = run(&hurried(probe(get(&format!("http://{address}/"))))).await;
        failed(
            &outcome,
            ProbeResult::Fail,
            FailureKind::Timeout,
            "…waiting for the response head)",
        );
        left.notified().await;
    }
}

/// As fast as the connection takes them: the prober must not be kept so busy that it misses its deadline, and has to let go.
#[tokio::test]
async fn a_flood_of_interim_answers() {
    let left = Arc::new(Notify::new());
    let tell = Arc::clone(&left);
    let address = serve("127.0.0.1:0", move |mut stream| {
        let tell = Arc::clone(&tell);
        async move {
            head(&mut stream).await;
            let many = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
            while stream.write_all(&many).await.is_ok() {}
            tell.notify_one();
        }
    })
    .await;
    let outcome = run(&hurried(probe(get(&format!("http://{address}/"))))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Timeout,
        "…waiting for the response head)",
    );
    left.notified().await;
}
