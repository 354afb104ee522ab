//! Answers, good and bad.

use super::server::{answering, nobody};
use super::{FailureKind, ProbeResult, ask, failed, passed, probe, question};

#[tokio::test]
async fn a_plain_answer_passes() {
    let address = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let outcome = ask(&probe(question(&format!("http://{address}/health")))).await;
    passed(&outcome);
    assert_eq!(outcome.code, Some(200));
    assert_eq!(outcome.address, Some(address.to_string()));
    assert!(outcome.latency.is_some() && outcome.phases.connect.is_some());
}

#[tokio::test]
async fn nobody_listens() {
    let address = nobody().await;
    let outcome = ask(&probe(question(&format!("http://{address}/")))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Connect,
        &format!("connection refused ({address})"),
    );
    assert!(outcome.refused);
}

#[tokio::test]
async fn localhost_is_both_families() {
    let port = nobody().await.port();
    let outcome = ask(&probe(question(&format!("http://localhost:{port}/")))).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Connect,
        &format!("connection refused (127.0.0.1:{port}, [::1]:{port})"),
    );
    assert!(outcome.refused);
}
