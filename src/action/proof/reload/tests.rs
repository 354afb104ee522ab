//! Runs `tests/reloads`: what replies amount to, and how they cannot be read. Goal what looks amount to.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::action::{ProcessState, ProofLook};
use crate::profile::{Profile, ReplyDecode, builtin};
use crate::yaml::{self, Node, Problems, SourceFile};

static CASES: include_dir::Dir<'_> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/tests/reloads");

#[test]
fn every_reply_is_read_as_its_case_says() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in CASES.files() {
        let node = parse(file.path(), file.contents());
        let yaml::Value::List(cases) = node.value else {
            panic!("{}: expected a list of cases", file.path().display());
        };
        for case in cases {
            count += 1;
            wrong.extend(check(&case));
        }
    }
    assert!(count > 0, "no case was found");
    assert!(wrong.is_empty(), "of {count} cases:\n{}", wrong.join("\n"));
}

fn parse(path: &Path, text: &[u8]) -> Node {
    let source = Arc::new(SourceFile::from_bytes(path, text.to_vec()).unwrap());
    let mut problems = Problems::default();
    let node = yaml::parse(&source, &mut problems).unwrap();
    assert!(
        !problems.has_errors(),
        "{}: {:?}",
        path.display(),
        problems.list
    );
    node
}

fn check(case: &Node) -> Option<String> {
    let text = case.to_json();
    let name = text["case"].as_str().unwrap();
    let mut problems = Problems::default();
    let decode = match (case.get("reply"), text["profile"].as_str()) {
        (Some(reply), _) => ReplyDecode::parse(&reply.value, &mut problems),
        (None, Some(profile)) => of_profile(profile),
        (None, None) => None,
    };
    let mistakes: Vec<String> = problems
        .list
        .iter()
        .map(|problem| {
            let marked = problem.place.as_ref().map_or("", |place| place.text());
            let hint = problem.hint.as_deref().unwrap_or("no hint");
            format!("{} [{marked}] {hint}", problem.message)
        })
        .collect();
    let (found, expected) = if text["mistakes"].is_null() && mistakes.is_empty() {
        let body = match &text["body"] {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(body) => body.clone(),
            body => body.to_string(),
        };
        let code = text["code"].as_u64().unwrap_or(200).try_into().unwrap();
        let response = ReloadResponse::Replied {
            code,
            how: format!("answered {code}"),
            reply: decode.unwrap_or_default().read(code, body.as_bytes(), &[]),
        };
        let goes_on = ProcessFate::GoesOn("pid 4711 (api) goes on".to_owned());
        let (verdict, why) = verdict(&response, &goes_on);
        (format!("{verdict}: {why}").into(), &text["is"])
    } else {
        (serde_json::json!(mistakes), &text["mistakes"])
    };
    (found != *expected).then(|| format!("{name}\n     found: {found}\n  expected: {expected}"))
}

/// How a built-in profile reads the reply to its reload.
fn of_profile(name: &str) -> Option<ReplyDecode> {
    let (_, text) = builtin().iter().find(|(known, _)| *known == name).unwrap();
    let mut problems = Problems::default();
    let node = parse(Path::new(name), text.as_bytes());
    let profile = Profile::parse(name, &node, &mut problems).unwrap();
    profile.reload_reply().cloned()
}

fn subject(addresses: &str, processes: &str) -> ProofSubject {
    let names = |text: &str| text.split_terminator(',').map(str::to_owned).collect();
    ProofSubject {
        addresses: names(addresses),
        processes: names(processes),
        replicas: false,
    }
}

const SENT: &str = "SIGHUP delivered to pid 1";

fn sent() -> ReloadResponse {
    ReloadResponse::Taken(SENT.to_owned())
}

/// Looks as `SECONDS accepted|refused… running|exited|-`, one after the other; the proof after the last, and its verdict.
fn survives(processes: &str, looks: &[&str]) -> (ReloadProof, Option<(Verdict, String)>) {
    let mut proof = ReloadProof::new(
        subject("x:1", processes),
        &[ConnectOutcome::Accepted],
        sent(),
        Moment::at_seconds(0.0),
    );
    let mut end = None;
    for look in looks {
        assert!(
            end.is_none() && !proof.wants_answer(),
            "known before {look}"
        );
        let words: Vec<&str> = look.split(' ').collect();
        let address = match words[1] {
            "accepted" => ConnectOutcome::Accepted,
            "refused" => ConnectOutcome::Refused,
            other => panic!("{other}"),
        };
        let processes = match words[2] {
            "running" => vec![ProcessState::Running],
            "exited" => vec![ProcessState::Exited],
            _ => Vec::new(),
        };
        let at = Moment::at_seconds(words[0].parse().unwrap());
        let look = Observation::Look(ProofLook {
            addresses: vec![address],
            processes,
            child: None,
        });
        end = proof.observe(at, look).end;
    }
    (proof, end)
}

#[test]
fn looks_tell_what_became_of_it() {
    for (processes, looks, expected) in [
        (
            "pid 1 (a)",
            &[
                "0.0 accepted running",
                "0.9 accepted running",
                "1.0 accepted running",
            ][..],
            "ask",
        ),
        (
            "pid 1 (a)",
            &["0.1 accepted exited"],
            "died: pid 1 (a) has exited; something else listens at x:1",
        ),
        (
            "pid 1 (a)",
            &["0.1 refused exited"],
            "died: pid 1 (a) has exited",
        ),
        (
            "pid 1 (a)",
            &[
                "0.1 refused running",
                "2.0 refused running",
                "2.1 refused running",
            ],
            "unverified: pid 1 (a) runs, but x:1 refuses connections",
        ),
        // It opens its listener anew.
        (
            "pid 1 (a)",
            &["0.1 refused running", "1.5 accepted running"],
            "ask",
        ),
        (
            "",
            &["0.1 refused -", "2.1 refused -"],
            "died: nothing listens at x:1 any more",
        ),
        ("", &["1.0 accepted -"], "ask"),
    ] {
        let found = match survives(processes, looks) {
            (proof, None) if proof.wants_answer() => "ask".to_owned(),
            (_, None) => "look".to_owned(),
            (_, Some((verdict, text))) => {
                format!("{verdict}: {}", text.replace(&format!("; {SENT}"), ""))
            }
        };
        assert_eq!(found, expected, "{looks:?}");
    }
}

#[test]
fn who_answers_counts_where_no_process_is_known() {
    let (known, _) = survives("pid 1 (a)", &["1.0 accepted running"]);
    // Its workers are new ones; the process that was asked goes on.
    let goes_on = ProcessFate::GoesOn("pid 1 (a) goes on".to_owned());
    assert_eq!(known.answered(Some(ResponderKind::New), &[]), goes_on);
    let (far, _) = survives("", &["1.0 accepted -"]);
    let why = ["start differs".to_owned()];
    for (who, expected) in [
        (
            Some(ResponderKind::Same),
            (Verdict::Accepted, "the same process answers"),
        ),
        (
            Some(ResponderKind::New),
            (Verdict::Died, "a new process answers (start differs)"),
        ),
        (
            Some(ResponderKind::Unknown),
            (
                Verdict::Unverified,
                "nothing tells which process answers now: a `pid_file`, or",
            ),
        ),
        (
            None,
            (
                Verdict::Unverified,
                "nothing tells whether its process goes on: a `pid_file`, or",
            ),
        ),
    ] {
        let (found, text) = verdict(&sent(), &far.answered(who, &why));
        assert_eq!(found, expected.0, "{who:?}");
        assert!(text.contains(expected.1), "{text}");
    }
}

#[test]
fn what_is_lost_or_failed_is_never_a_success() {
    let goes_on = ProcessFate::GoesOn("pid 1 (a) goes on".to_owned());
    for (response, fate, expected) in [
        (
            ReloadResponse::Lost("no reply".to_owned()),
            goes_on.clone(),
            Verdict::Unverified,
        ),
        (
            ReloadResponse::Failed("`x` failed".to_owned()),
            goes_on,
            Verdict::ReloadRejected,
        ),
        (
            sent(),
            ProcessFate::Silent("it refuses".to_owned()),
            Verdict::Unverified,
        ),
        (
            sent(),
            ProcessFate::Died("it has exited".to_owned()),
            Verdict::Died,
        ),
    ] {
        assert_eq!(verdict(&response, &fate).0, expected, "{response:?}");
    }
}
