//! Plays the scenes of `tests/proofs`: what was seen and when, and the verdict that has to come of it.

use include_dir::{Dir, include_dir};

use super::StopProof;
use crate::action::{
    ConnectOutcome, Observation, ProcessState, ProofLook, ProofSubject, Prover, ResponderKind,
};
use crate::health::Moment;

static SCENES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/tests/proofs");

#[test]
fn every_scene_ends_as_it_says() {
    let mut played = 0;
    for file in SCENES.files() {
        let name = file.path().display().to_string();
        for scene in file.contents_utf8().unwrap().split("\n---\n") {
            play(&name, scene);
            played += 1;
        }
    }
    assert!(played > 0, "no scene was found");
}

fn play(name: &str, text: &str) {
    let mut subject = ProofSubject::default();
    let mut proof: Option<StopProof> = None;
    let mut found = None;
    let mut title = "";
    for line in text.lines().map(str::trim) {
        let case = format!("{name}: {title}: {line}");
        if line.is_empty() {
            continue;
        }
        if let Some(rest) = line.strip_prefix('#') {
            title = rest.trim();
        } else if let Some(rest) = line.strip_prefix("addresses:") {
            subject.addresses = names(rest);
        } else if let Some(rest) = line.strip_prefix("processes:") {
            subject.processes = names(rest);
        } else if line == "replicas" {
            subject.replicas = true;
        } else if let Some(expected) = line.strip_prefix('=') {
            let (at, verdict, text): (f64, _, String) = found.take().unwrap_or_else(|| {
                panic!("{case}: no verdict came");
            });
            assert_eq!(
                format!("{at:.2} {verdict}: {text}"),
                expected.trim(),
                "{case}"
            );
            return;
        } else {
            assert!(
                found.is_none(),
                "{case}: the verdict came before: {found:?}"
            );
            let (time, what) = line.split_once(' ').unwrap();
            let at: f64 = time.parse().unwrap_or_else(|_| panic!("{case}: a time"));
            let proof = proof
                .get_or_insert_with(|| StopProof::new(subject.clone(), Moment::at_seconds(0.0)));
            let progress = proof.observe(Moment::at_seconds(at), observation(what.trim(), &case));
            found = progress.end.map(|(verdict, text)| (at, verdict, text));
        }
    }
    panic!("{name}: {title}: a scene ends with a line `= TIME VERDICT: TEXT`");
}

fn names(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_owned()).collect()
}

fn observation(text: &str, case: &str) -> Observation {
    if let Some(how) = text.strip_prefix("rejected:") {
        return Observation::Rejected(how.trim().to_owned());
    }
    if let Some(rest) = text.strip_prefix("answer ") {
        let (who, draining) = match rest.strip_suffix(" draining") {
            Some(who) => (who, true),
            None => (rest, false),
        };
        let who = match who {
            "same" => ResponderKind::Same,
            "new" => ResponderKind::New,
            "reborn" => ResponderKind::Reborn,
            "other" => ResponderKind::Other,
            "unknown" => ResponderKind::Unknown,
            _ => panic!("{case}: same, new, reborn, other or unknown"),
        };
        return Observation::Answer {
            draining,
            responder: who,
            evidence: Vec::new(),
        };
    }
    if let Some(code) = text.strip_prefix("gateway error ") {
        return Observation::GatewayError(code.parse().unwrap());
    }
    if text == "time up" {
        return Observation::TimeUp;
    }
    let (addresses, processes) = text.split_once('|').unwrap_or((text, ""));
    Observation::Look(ProofLook {
        addresses: addresses
            .split_ascii_whitespace()
            .map(|word| match word {
                "refused" => ConnectOutcome::Refused,
                "accepted" => ConnectOutcome::Accepted,
                "silent" => ConnectOutcome::TimedOut,
                "unreachable" => ConnectOutcome::Unreachable,
                _ => panic!("{case}: refused, accepted, silent or unreachable"),
            })
            .collect(),
        processes: processes
            .split_ascii_whitespace()
            .map(|word| match word {
                "running" => ProcessState::Running,
                "exited" => ProcessState::Exited,
                "unknown" => ProcessState::Unknown,
                _ => panic!("{case}: running, exited or unknown"),
            })
            .collect(),
        child: None,
    })
}

/// An answer that was on its way when its sender ended is no news.
#[test]
fn a_drain_is_not_told_after_the_end() {
    let subject = ProofSubject {
        addresses: names("a"),
        processes: names("p"),
        ..ProofSubject::default()
    };
    for (look, is_told) in [("accepted | running", true), ("refused | exited", false)] {
        let mut proof = StopProof::new(subject.clone(), Moment::at_seconds(0.0));
        proof.observe(Moment::at_seconds(1.0), observation(look, look));
        let answer = observation("answer same draining", look);
        let progress = proof.observe(Moment::at_seconds(1.01), answer);
        assert_eq!(progress.stage.is_some(), is_told, "{look}");
    }
}
