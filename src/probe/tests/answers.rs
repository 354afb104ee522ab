//! Answers that are HTTP, and answers that are not quite.

use tokio::io::AsyncWriteExt;

use super::server::{answering, flooding, head, serve};
use super::{FailureKind, ProbeResult, failed, get, passed, probe, reading, run};

/// What comes of this reply for a probe that needs the body; it has to hold `ok`.
async fn outcome_of(reply: &'static [u8]) -> crate::health::Outcome {
    let address = answering(reply).await;
    run(&reading(get(&format!("http://{address}/health")))).await
}

#[tokio::test]
async fn answers_that_are_good() {
    for reply in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"[..],
        b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 2\r\nserver: x\r\n\r\nok",
        b"HTTP/1.1 200\r\ncontent-length:2\r\n\r\nok",
        b"HTTP/1.1 299 Whatever\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok, without a length",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ] {
        let outcome = outcome_of(reply).await;
        assert_eq!(
            (outcome.result, outcome.failure),
            (ProbeResult::Pass, None),
            "{}",
            String::from_utf8_lossy(reply)
        );
        assert!(outcome.latency.is_some());
        assert!(outcome.phases.connect.is_some());
        assert!(outcome.phases.head.is_some());
        assert!(outcome.phases.body.is_some());
    }
}

#[tokio::test]
async fn no_content_is_an_answer() {
    let address = answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let outcome = run(&probe(get(&format!("http://{address}/")))).await;
    passed(&outcome);
    assert_eq!(outcome.code, Some(204));
    assert_eq!(outcome.address, Some(address.to_string()));
}

#[tokio::test]
async fn codes_that_are_not_good() {
    use FailureKind::{Auth, Redirect, Status};
    use ProbeResult::{Fail, Unknown};
    for (line, result, kind) in [
        ("401 Unauthorized", Unknown, Auth),
        ("403 Forbidden", Unknown, Auth),
        ("404 Not Found", Fail, Status),
        ("405 Method Not Allowed", Fail, Status),
        ("500 Internal Server Error", Fail, Status),
        ("302 Found", Fail, Redirect),
        ("999 Nobody Knows", Fail, Status),
    ] {
        let reply = format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\nlocation: /x\r\n\r\n");
        let address = answering(reply.leak().as_bytes()).await;
        let outcome = run(&probe(get(&format!("http://{address}/")))).await;
        failed(&outcome, result, kind, "…");
        assert!(!outcome.refused);
        assert!(outcome.latency.is_some(), "{line}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_told_so() {
    for (reply, words) in [
        (
            &b"\x16\x03\x01garbage\x00\x1b[31m\xff\xfe\r\n\r\n"[..],
            "the reply is not HTTP (…)",
        ),
        (b"220 mail.example ESMTP\r\n", "the reply is not HTTP (…)"),
        (
            b"HTTP/1.1 99 Too Low\r\n\r\n",
            "the reply is not HTTP (invalid HTTP status-code)",
        ),
        (
            b"HTTP/1.1 1000 Too High\r\n\r\n",
            "the reply is not HTTP (invalid HTTP status-code)",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "the reply is not HTTP (invalid content-length)",
        ),
        (
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "the reply is not HTTP (invalid HTTP header)",
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "the reply is … HTTP…"),
        (b"", "connection closed before an answer"),
        (b"HTTP/1.1 20", "connection closed before an answer"),
    ] {
        let outcome = outcome_of(reply).await;
        failed(&outcome, ProbeResult::Fail, FailureKind::Protocol, words);
        assert_eq!((outcome.code, outcome.refused), (None, false));
    }
}

#[tokio::test]
async fn a_server_that_speaks_first() {
    let address = serve("127.0.0.1:0", async |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        head(&mut stream).await;
    })
    .await;
    let outcome = run(&probe(get(&format!("http://{address}/")))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Protocol,
        "the …not HTTP…",
    );
}

#[tokio::test]
async fn bodies_that_end_early() {
    for reply in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
    ] {
        let outcome = outcome_of(reply).await;
        failed(
            &outcome,
            ProbeResult::Fail,
            FailureKind::Protocol,
            "connection closed in the middle of the body",
        );
        assert_eq!(outcome.code, Some(200));
    }
}

#[tokio::test]
async fn chunks_that_are_none() {
    let outcome =
        outcome_of(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzzz\r\nok").await;
    failed(&outcome, ProbeResult::Fail, FailureKind::Protocol, "…");
}

#[tokio::test]
async fn an_encoding_that_nobody_asked_for() {
    let bomb =
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08";
    let outcome = outcome_of(bomb).await;
    failed(
        &outcome,
        ProbeResult::Unknown,
        FailureKind::Decode,
        "the body is encoded as gzip, though no encoding was asked for",
    );
    let outcome = outcome_of(
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\nx",
    )
    .await;
    failed(&outcome, ProbeResult::Fail, FailureKind::Decode, "…");
    let address = answering(bomb).await;
    passed(&run(&probe(get(&format!("http://{address}/")))).await);
}

/// Who may not see, or asked for the wrong thing, is told so, whatever page comes with it.
#[tokio::test]
async fn a_page_beside_the_question_does_not_matter() {
    use FailureKind::{Auth, Redirect, Status};
    use ProbeResult::{Fail, Unknown};
    for (reply, result, kind) in [
        (&b"HTTP/1.1 401 Unauthorized\r\n\r\n"[..], Unknown, Auth),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", Fail, Status),
        (
            b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-encoding: gzip\r\n\r\n",
            Fail,
            Redirect,
        ),
    ] {
        let address = flooding(reply, &[b'x'; 16 * 1024]).await;
        let outcome = run(&reading(get(&format!("http://{address}/")))).await;
        failed(&outcome, result, kind, "…");
    }
}

#[tokio::test]
async fn bodies_and_heads_have_a_limit() {
    let url = |address| format!("http://{address}/");
    let endless = flooding(b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 16 * 1024]).await;
    let outcome = run(&reading(get(&url(endless)))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::BodyLimit,
        "the body is larger than 64 KiB (max_body)",
    );
    // Who does not need the body does not read it.
    passed(&run(&probe(get(&url(endless)))).await);

    let announced =
        answering(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999\r\n\r\n").await;
    let outcome = run(&reading(get(&url(announced)))).await;
    failed(&outcome, ProbeResult::Fail, FailureKind::BodyLimit, "…");

    for (start, more) in [
        (
            &b"HTTP/1.1 200 OK\r\n"[..],
            &b"x-more: xxxxxxxxxxxxxxxxxxxx\r\n"[..],
        ),
        (
            b"HTTP/1.1 200 OK\r\nx-long: ",
            b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ),
        (b"HTTP/1.1 200 ", b"so very much to say about this and "),
        (b"HTTP/1.1 200 OK\r\n", b"x: 1\r\n"),
    ] {
        let outcome = run(&probe(get(&url(flooding(start, more).await)))).await;
        failed(
            &outcome,
            ProbeResult::Fail,
            FailureKind::Protocol,
            "the response head is larger than allowed",
        );
    }

    let trailers = flooding(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
        b"x-trailer: xxxxxxxxxxxxxxxxxxxxxxx\r\n",
    )
    .await;
    let outcome = run(&reading(get(&url(trailers)))).await;
    failed(&outcome, ProbeResult::Fail, FailureKind::Protocol, "…");

    let extension = flooding(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;",
        b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    )
    .await;
    let outcome = run(&reading(get(&url(extension)))).await;
    failed(&outcome, ProbeResult::Fail, FailureKind::Protocol, "…");
}

#[tokio::test]
async fn a_large_body_within_its_limit() {
    let mut reply = b"HTTP/1.1 200 OK\r\ncontent-length: 500002\r\n\r\n".to_vec();
    reply.resize(reply.len() + 500_000, b'x');
    reply.extend(b"ok");
    let address = answering(reply.leak()).await;
    let mut probe = reading(get(&format!("http://{address}/")));
    probe.max_body = 500_002;
    passed(&run(&probe).await);
    probe.max_body = 500_001;
    failed(
        &run(&probe).await,
        ProbeResult::Fail,
        FailureKind::BodyLimit,
        "the body is larger than 500001 bytes (max_body)",
    );
}

#[tokio::test]
async fn escape_sequences_never_reach_a_message() {
    let outcome = outcome_of(b"HTTP/1.1 200 OK\r\ncontent-encoding: \x1b[31mgzip\r\n\r\n").await;
    let message = outcome.failure.unwrap().message;
    assert!(!message.chars().any(char::is_control), "{message:?}");
}
