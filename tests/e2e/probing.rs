//! End to end: services that are hostile, and what the binary tells of them. Bounds are the inventory's own: time-outs and sizes.

use std::io::Write;

use serde_json::Value;

use crate::support::fake::{Fake, request};
use crate::support::scene::{Ran, Scene};

/// A scene with one service `api` of this profile, which has this much time for an answer.
fn within(timeout: &str, profile: &str, url: &str) -> Scene {
    Scene::with_inventory(&format!(
        "services:\n  api: {{profile: {profile}, url: \"{url}\", timeout: {timeout}, max_body: 64KiB}}\n"
    ))
}

/// Nothing that a terminal could take for more than text.
#[track_caller]
fn harmless(ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        let bad =
            |c: &char| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c);
        assert_eq!(text.chars().find(bad), None, "{ran:?}");
    }
}

/// The failures of all probes in a JSON report, as `kind: message`.
fn failures(ran: &Ran) -> Vec<String> {
    let report: Value = serde_json::from_str(&ran.stdout).expect("the report is JSON");
    let probes = report["services"][0]["probes"]
        .as_array()
        .expect("a service has probes");
    probes
        .iter()
        .filter_map(|probe| {
            let failure = &probe["failure"];
            Some(format!(
                "{}: {}",
                failure["kind"].as_str()?,
                failure["message"].as_str()?
            ))
        })
        .collect()
}

/// Sends `start` and then `more` for as long as somebody takes it.
fn endless(start: &'static str, more: &'static [u8]) -> Fake {
    Fake::tcp(move |mut stream| {
        if request(&mut stream).is_none() {
            return;
        }
        let mut sent = stream.write_all(start.as_bytes());
        while sent.is_ok() {
            sent = stream.write_all(more);
        }
    })
}

#[test]
fn a_service_that_accepts_and_never_answers() {
    let fake = Fake::tcp(|mut stream| {
        request(&mut stream);
        // Ends when the other side has gone.
        request(&mut stream);
    });
    let scene = within("300ms", "http", &fake.url());
    let ran = scene.run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("no answer within 300ms"), "{ran:?}");
    let ran = scene.run(&["check", "-o", "json"]);
    let [failure] = &failures(&ran)[..] else {
        panic!("{ran:?}")
    };
    assert!(
        failure.starts_with("timeout: no answer within 300ms (connected in "),
        "{failure}"
    );
    assert!(
        failure.ends_with("waiting for the response head)"),
        "{failure}"
    );
}

#[test]
fn a_body_without_end() {
    let fake = endless("HTTP/1.1 200 OK\r\n\r\n", &[b' '; 8192]);
    let ran = within("20s", "hephaestus", &fake.url()).run(&["check", "--exit-code", "-o", "json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let told = failures(&ran);
    assert!(!told.is_empty());
    for failure in told {
        assert_eq!(
            failure,
            "body-limit: the body is larger than 64 KiB (max_body)"
        );
    }
}

#[test]
fn a_head_without_end() {
    let fake = endless(
        "HTTP/1.1 200 OK\r\n",
        b"x-more: and more and more and more\r\n",
    );
    let ran = within("20s", "http", &fake.url()).run(&["check", "--exit-code", "-o", "json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(
        failures(&ran),
        ["protocol: the response head is larger than allowed"]
    );
}

#[test]
fn names_with_escape_sequences() {
    let fake = Fake::http(|_, _| {
        let body = r#"{"status":"healthy","uptime_seconds":1,"start_time":"2025-11-04T12:00:00",
            "version":"1\u001b]0;owned\u0007","service":"\u202eevil","should_shutdown":false,
            "dependencies":{
                "\u001b[2J\u001b[31mdb\u009b1m":{"status":"error","error":"\u001b[5mdown\r\nover\u0000"},
                "\u202egnp":{"status":"\u001b]8;;http://evil\u0007up"}},
            "resources":{"\u001b[0m":1}}"#;
        (200, body.to_owned())
    });
    let scene = within("20s", "hephaestus", &fake.url());
    for format in ["table", "json"] {
        let ran = scene.run(&["check", "-o", format]);
        harmless(&ran);
        assert!(ran.stdout.contains("db"), "{ran:?}");
        assert!(ran.stdout.contains(r"u{1b}"), "{ran:?}");
    }
}

#[test]
fn reasons_with_escape_sequences() {
    for reply in [
        "\u{1b}[31mHTTP/1.1 nonsense\r\n\r\n",
        "HTTP/1.1 302 \u{1b}[31mFound\r\nlocation: http://x/\u{1b}[31m\r\n\r\n",
        "HTTP/1.1 500 \u{1b}]0;owned\u{7}\r\n\r\n",
    ] {
        let fake = Fake::tcp(move |mut stream| {
            request(&mut stream);
            // Whoever asked may have gone.
            let _ = stream.write_all(reply.as_bytes());
        });
        let ran = within("20s", "http", &fake.url()).run(&["check", "--exit-code"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        harmless(&ran);
    }
}

/// What this machine lacks is not the service's fault.
#[test]
fn a_secret_that_cannot_be_read_is_unknown() {
    let fake = Fake::http(|_, _| (200, "{}".to_owned()));
    let scene = Scene::with_inventory(&format!(
        "services:\n  api: {{profile: http, url: \"{}\", timeout: 20s, auth: {{bearer: {{file: no-such-token}}}}}}\n",
        fake.url()
    ));
    let ran = scene.run(&["check", "--exit-code", "-o", "json"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let [failure] = &failures(&ran)[..] else {
        panic!("{ran:?}")
    };
    assert!(
        failure.starts_with("local: cannot read the secret in "),
        "{failure}"
    );
    assert_eq!(fake.asked(), [] as [&str; 0]);
}
