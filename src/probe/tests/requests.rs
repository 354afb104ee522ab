//! What is sent: headers, credentials, redirects, and requests of actions.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::inventory::{Auth, HttpRequest, Probe, Secret};
use crate::profile::Expect;

use super::server::{answering, head, reserve, serve};
use super::{AMPLE, FailureKind, ProbeResult, failed, get, passed, probe, prober, reading, run};

/// Answers each request with the reply for its path, and tells the heads that came.
async fn telling(
    reply: impl Fn(&str) -> String + Send + Sync + 'static,
) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (tell, heads) = mpsc::unbounded_channel();
    let reply = Arc::new(reply);
    let address = serve("127.0.0.1:0", move |mut stream| {
        let tell = tell.clone();
        let reply = Arc::clone(&reply);
        async move {
            let head = head(&mut stream).await;
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            tell.send(head).unwrap();
            let _ = stream.write_all(reply(&path).as_bytes()).await;
        }
    })
    .await;
    (address, heads)
}

fn ok(_path: &str) -> String {
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned()
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
}

/// The head that the server saw for this question.
async fn sent(change: impl FnOnce(&mut HttpRequest)) -> String {
    let (address, mut heads) = telling(ok).await;
    let mut request = get(&format!("http://{address}/health?x=1"));
    change(&mut request);
    passed(&run(&probe(request)).await);
    let head = heads.recv().await.unwrap();
    head.replace(&address.port().to_string(), "PORT")
}

#[tokio::test]
async fn the_request_as_it_is_sent() {
    let head = sent(|_| ()).await;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        head.replace("\r\n", "\n"),
        format!(
            "GET /health?x=1 HTTP/1.1\n\
             accept: application/health+json, application/json;q=0.9, text/plain;q=0.5, */*;q=0.1\n\
             user-agent: healthctl/{version}\n\
             host: 127.0.0.1:PORT\n\n"
        )
    );
}

#[tokio::test]
async fn headers_and_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "from a file\n").unwrap();
    let plain = |text: &str| Secret::Plain(text.to_owned());

    let head = sent(|request| {
        request.method = "POST".to_owned();
        request.headers = vec![
            ("X-Team".to_owned(), plain("core")),
            ("User-Agent".to_owned(), plain("mine")),
            ("Host".to_owned(), plain("api.example")),
        ];
        request.body = Some("{}".to_owned());
    })
    .await;
    for line in [
        "POST /health?x=1 HTTP/1.1\r\n",
        "x-team: core\r\n",
        "user-agent: mine\r\n",
        "host: api.example\r\n",
        "content-length: 2\r\n",
    ] {
        assert!(head.contains(line), "{head}");
    }

    let bearer = Auth::Bearer(Secret::File(file.clone()));
    let head = sent(|request| request.auth = Some(bearer)).await;
    assert!(
        head.contains("authorization: Bearer from a file\r\n"),
        "{head}"
    );

    let basic = Auth::Basic {
        user: "me".to_owned(),
        password: plain("päss"),
    };
    let head = sent(|request| request.auth = Some(basic)).await;
    assert!(
        head.contains("authorization: Basic bWU6cMOkc3M=\r\n"),
        "{head}"
    );

    let head = sent(|request| {
        request.target.url.set_username("a b").unwrap();
        request.target.url.set_password(Some("c@d")).unwrap();
    })
    .await;
    assert!(
        head.contains("authorization: Basic YSBiOmNAZA==\r\n"),
        "{head}"
    );
    assert!(head.contains("host: 127.0.0.1:PORT\r\n"), "{head}");
}

#[tokio::test]
async fn secrets_that_cannot_be_had_are_our_own_fault() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("long");
    std::fs::write(&long, "x".repeat(70_000)).unwrap();
    let broken = folder.path().join("broken");
    std::fs::write(&broken, "sec\nret").unwrap();
    for (secret, words) in [
        (
            Secret::Env("HEALTHCTL_TEST_NO_SUCH_VARIABLE".to_owned()),
            "the environment variable HEALTHCTL_TEST_NO_SUCH_VARIABLE is not set",
        ),
        (
            Secret::File("/nowhere/token".into()),
            "cannot read the secret in /nowhere/token: No such file or directory…",
        ),
        (
            Secret::File(long),
            "cannot read the secret in …: it is longer than 65536 bytes",
        ),
        (
            Secret::File(broken),
            "the secret for `auth` has a character that no header may carry",
        ),
    ] {
        let mut request = get("http://127.0.0.1:1/");
        request.auth = Some(Auth::Bearer(secret));
        let outcome = run(&probe(request)).await;
        failed(&outcome, ProbeResult::Unknown, FailureKind::Local, words);
        assert!(!outcome.failure.unwrap().message.contains("ret\n"));
    }
}

#[tokio::test]
async fn redirects_are_followed_only_where_allowed() {
    let (address, mut heads) = telling(|path| match path {
        "/a" => redirect("/b"),
        "/loop" => redirect("/loop"),
        path if path.starts_with("/on") => redirect(&format!("{path}n")),
        "/secure" => redirect("https://127.0.0.1/"),
        "/nowhere" => "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
        _ => ok(path),
    })
    .await;
    let at = |path: &str| get(&format!("http://{address}{path}"));

    let outcome = run(&probe(at("/a"))).await;
    failed(&outcome, ProbeResult::Fail, FailureKind::Redirect, "…");

    let follow = |path: &str| HttpRequest {
        follow_redirects: true,
        ..at(path)
    };
    let outcome = run(&reading(follow("/a"))).await;
    passed(&outcome);
    assert_eq!(outcome.code, Some(200));
    // The code that is asked for is not left behind.
    let mut probe = probe(follow("/a"));
    probe.expect.status = vec![crate::profile::StatusRange {
        first: 302,
        last: 302,
    }];
    let outcome = run(&probe).await;
    passed(&outcome);
    assert_eq!(outcome.code, Some(302));

    for (path, words) in [
        ("/loop", "…a loop"),
        ("/on", "…the redirect after 10 others: not followed"),
        (
            "/secure",
            "redirects (302) to https://127.0.0.1/, another scheme: not followed",
        ),
        ("/nowhere", "redirects (302) to nowhere: no Location"),
    ] {
        let outcome = run(&super::probe(follow(path))).await;
        failed(&outcome, ProbeResult::Fail, FailureKind::Redirect, words);
        assert_eq!(outcome.code, Some(302));
    }
    while heads.try_recv().is_ok() {}
}

#[tokio::test]
async fn credentials_stay_at_home() {
    let (other, mut seen) = telling(ok).await;
    let to = format!("http://{other}/x");
    let (address, _heads) = telling(move |_| redirect(&to)).await;
    let mut request = get(&format!("http://{address}/"));
    request.follow_redirects = true;
    request.headers = vec![("X-Team".to_owned(), Secret::Plain("core".to_owned()))];
    let outcome = run(&probe(request.clone())).await;
    passed(&outcome);
    assert_eq!(outcome.address, Some(other.to_string()));
    let head = seen.recv().await.unwrap();
    assert!(
        !head.contains("x-team") && head.contains("accept: "),
        "{head}"
    );

    let secret = || Secret::Plain("secret".to_owned());
    for change in [
        &(|request: &mut HttpRequest| request.auth = Some(Auth::Bearer(secret())))
            as &dyn Fn(&mut HttpRequest),
        &|request| request.headers = vec![("X-Api-Key".to_owned(), secret())],
        &|request| request.headers = vec![("Cookie".to_owned(), secret())],
        &|request| request.target.url.set_username("me").unwrap(),
    ] {
        let mut request = request.clone();
        change(&mut request);
        let outcome = run(&probe(request)).await;
        failed(
            &outcome,
            ProbeResult::Fail,
            FailureKind::Redirect,
            &format!(
                "redirects (302) to http://{other}/x, another host: not followed with credentials"
            ),
        );
        assert!(seen.try_recv().is_err());
    }
}

#[tokio::test]
async fn an_action_is_sent_once_and_tells_whether_it_left() {
    let prober = prober();
    let post = |address: SocketAddr| HttpRequest {
        method: "POST".to_owned(),
        ..get(&format!("http://{address}/health/shutdown"))
    };

    let (address, mut heads) = telling(ok).await;
    let reply = prober
        .send(&post(address), None, AMPLE, 1024)
        .await
        .unwrap();
    assert_eq!((reply.code, reply.body.as_slice()), (200, &b"ok"[..]));
    assert_eq!(reply.address, Some(address.to_string()));
    heads.recv().await.unwrap();

    let reserved = reserve();
    let nobody = SocketAddr::from(([127, 0, 0, 1], reserved.port));
    let error = prober
        .send(&post(nobody), None, AMPLE, 1024)
        .await
        .unwrap_err();
    assert!(error.before_sending && error.refused);

    // It closes without an answer, as a service does that exits at once.
    let (address, mut heads) = telling(|_| String::new()).await;
    let error = prober
        .send(&post(address), None, AMPLE, 1024)
        .await
        .unwrap_err();
    assert!(!error.before_sending && !error.refused);
    assert_eq!(error.failure.message, "connection closed before an answer");
    heads.recv().await.unwrap();
    assert!(heads.try_recv().is_err());

    let broken = answering(b"HTTP/1.1 202 Accepted\r\ncontent-length: 9\r\n\r\nok").await;
    let error = prober
        .send(&post(broken), None, AMPLE, 1024)
        .await
        .unwrap_err();
    assert_eq!((error.before_sending, error.code), (false, Some(202)));

    let (address, mut heads) = telling(|_| redirect("/elsewhere")).await;
    let reply = prober
        .send(&post(address), None, AMPLE, 1024)
        .await
        .unwrap();
    assert_eq!(reply.code, 302);
    heads.recv().await.unwrap();
    assert!(heads.try_recv().is_err());

    let pinned = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let request = get("http://no-such-host.invalid/");
    let reply = prober
        .send(&request, Some(pinned), AMPLE, 1024)
        .await
        .unwrap();
    assert_eq!(reply.address, Some(pinned.to_string()));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_after_sending_is_no_proof_that_nothing_happened() {
    let address = serve("127.0.0.1:0", async |mut stream| {
        head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let request = get(&format!("http://{address}/"));
    let error = prober()
        .send(&request, None, AMPLE, 1024)
        .await
        .unwrap_err();
    assert!(!error.before_sending);
    assert_eq!(error.failure.kind, FailureKind::Timeout);
}

/// Answers with the head of the request, in the body and in a header.
async fn echoing() -> SocketAddr {
    serve("127.0.0.1:0", async |mut stream| {
        let head = head(&mut stream).await;
        let echo = head.replace(['\r', '\n'], " ");
        let body = format!("ok, you said: {echo}");
        let reply = format!(
            "HTTP/1.1 200 OK\r\nx-echo: {echo}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(reply.as_bytes()).await;
    })
    .await
}

#[tokio::test]
async fn what_it_was_given_in_confidence_is_not_told_though_it_says_it_again() {
    let address = echoing().await;
    let plain = |text: &str| Secret::Plain(text.to_owned());
    for (auth, secrets) in [
        (Auth::Bearer(plain("hunter22")), ["hunter22", "hunter22"]),
        (
            Auth::Basic {
                user: "me".to_owned(),
                password: plain("hunter22"),
            },
            ["hunter22", "bWU6aHVudGVyMjI="],
        ),
    ] {
        let mut request = get(&format!("http://{address}/"));
        request.auth = Some(auth);
        let reply = prober()
            .send(&request, None, AMPLE, 64 * 1024)
            .await
            .unwrap();
        let told = reply
            .redactions
            .apply(&String::from_utf8_lossy(&reply.body));
        assert!(told.starts_with("ok, you said: GET / HTTP/1.1"), "{told}");
        let outcome = run(&Probe {
            expect: Expect {
                body_contains: vec!["nowhere".to_owned()],
                ..Expect::default()
            },
            ..reading(request)
        })
        .await;
        let failure = outcome.failure.unwrap().message;
        for secret in secrets {
            assert!(!told.contains(secret), "{told}");
            assert!(!failure.contains(secret), "{failure}");
        }
    }
}

#[tokio::test]
async fn what_is_judged_is_what_came() {
    let address = echoing().await;
    let mut request = get(&format!("http://{address}/"));
    // It is a word that is expected, too.
    request.auth = Some(Auth::Bearer(Secret::Plain("said".to_owned())));
    let outcome = run(&Probe {
        expect: Expect {
            body_contains: vec!["you said".to_owned()],
            ..Expect::default()
        },
        ..reading(request)
    })
    .await;
    passed(&outcome);
}
