use super::*;
use crate::action::ProofLook;

fn look(listens: bool, exit: Option<(&str, Handover)>) -> Observation {
    Observation::Look(ProofLook {
        addresses: vec![if listens {
            ConnectOutcome::Accepted
        } else {
            ConnectOutcome::Refused
        }],
        processes: Vec::new(),
        child: exit.map(|(code, handover)| ChildExit {
            success: code == "0",
            how: format!("exit status: {code}"),
            handover,
        }),
    })
}

fn subject(processes: &[&str]) -> ProofSubject {
    ProofSubject {
        addresses: vec!["127.0.0.1:80".to_owned()],
        processes: processes.iter().map(|name| (*name).to_owned()).collect(),
        replicas: false,
    }
}

/// Plays observations, one a word and a second after the one before: `runs`, `exit0` (it has left a process behind),
/// `exit0-nobody`, `exit0-awaited`, `exit1` (with `+` behind it something listens), `ready`, `ready-unknown`, `ready-stranger`, `missing`, `up`.
fn play(observations: &str) -> String {
    let mut proof = StartProof::new(subject(&["pid 7 (api)"]), Moment::at_seconds(0.0));
    for (second, word) in observations.split(' ').enumerate() {
        let at = Moment::at_seconds(f64::from(u32::try_from(second).unwrap()) + 1.0);
        let listens = word.ends_with('+');
        let asked = |missing: &[&str], holder| Observation::Readiness {
            missing: missing.iter().map(|it| (*it).to_owned()).collect(),
            holder,
        };
        let observation = match word.trim_end_matches('+') {
            "runs" => look(listens, None),
            "exit0" => look(listens, Some(("0", Handover::Running))),
            "exit0-nobody" => look(listens, Some(("0", Handover::Nothing))),
            "exit0-awaited" => look(listens, Some(("0", Handover::Pending))),
            "exit1" => look(listens, Some(("1", Handover::Nothing))),
            "ready" => asked(&[], AddressHolder::Expected),
            "ready-unknown" => asked(&[], AddressHolder::Unknown),
            "ready-stranger" => asked(&[], AddressHolder::Stranger("pid 9 (old)".to_owned())),
            "missing" => asked(&["ready: answered 503"], AddressHolder::Expected),
            "up" => Observation::TimeUp,
            other => panic!("{other}?"),
        };
        match proof.observe(at, observation).end {
            None => {}
            Some((Verdict::Started, _)) => return format!("{second}: ready"),
            Some((verdict, why)) => return format!("{second}: {verdict}: {why}"),
        }
    }
    "waits".to_owned()
}

#[test]
fn it_is_ready_when_it_says_so_itself() {
    assert_eq!(play("runs runs+ missing ready"), "3: ready");
    assert_eq!(play("runs+ ready-unknown"), "1: ready");
    assert_eq!(play("runs+ missing runs+"), "waits");
}

#[test]
fn without_an_address_it_has_to_stay_up_for_a_while() {
    let worker = ProofSubject {
        addresses: Vec::new(),
        ..subject(&["pid 7 (worker)"])
    };
    let mut proof = StartProof::new(worker, Moment::at_seconds(0.0));
    let mut observe =
        |seconds, observation| proof.observe(Moment::at_seconds(seconds), observation).end;
    let look = |child| {
        Observation::Look(ProofLook {
            addresses: Vec::new(),
            processes: Vec::new(),
            child,
        })
    };
    let passes = || Observation::Readiness {
        missing: Vec::new(),
        holder: AddressHolder::Expected,
    };
    assert_eq!(observe(0.1, look(None)), None);
    assert_eq!(observe(0.2, passes()), None);
    assert_eq!(observe(0.9, look(None)), None);
    // The latest look says nothing of the time since.
    assert_eq!(observe(1.1, passes()), None);
    assert_eq!(observe(1.1, look(None)), None);
    let end = observe(1.2, passes());
    assert_eq!(end, Some((Verdict::Started, String::new())));
}

#[test]
fn what_somebody_else_answers_is_not_its_readiness() {
    assert_eq!(play("runs+ ready-stranger runs+"), "waits");
    assert_eq!(
        play("runs+ ready-stranger up"),
        "2: unverified: pid 7 (api) was started, but pid 9 (old), which it has not started, listens at its address"
    );
    assert_eq!(
        play("runs+ ready-stranger exit1+"),
        "2: died: pid 7 (api) was started and has ended before it was ready (exit status: 1); pid 9 (old) listens at its address"
    );
}

#[test]
fn an_end_before_it_is_ready_is_told_at_once() {
    assert_eq!(
        play("runs exit1"),
        "1: died: pid 7 (api) was started and has ended before it was ready (exit status: 1)"
    );
}

#[test]
fn a_program_may_hand_over_to_one_that_it_has_started() {
    assert_eq!(play("exit0 exit0+ ready"), "2: ready");
    assert_eq!(play("exit0 exit0 exit0 exit0+ exit0+ missing"), "waits");
    assert_eq!(
        play("exit0 exit0 up"),
        "2: not-ready: pid 7 (api) has ended, and what it left behind runs, nothing listens at 127.0.0.1:80 after 3s"
    );
    assert_eq!(play("exit0-awaited exit0+ ready"), "2: ready");
}

#[test]
fn one_that_has_left_nothing_behind_has_not_started_a_service() {
    const DIED: &str = "died: pid 7 (api) was started and has ended before it was ready (exit status: 0), and nothing that it has started runs; where it hands over to something else, as `docker compose up -d` and `systemctl start` do, `supervised: true` says so";
    assert_eq!(play("runs exit0-nobody"), format!("1: {DIED}"));
    assert_eq!(
        play("runs exit0-nobody+"),
        format!("1: {DIED}; somebody else listens at 127.0.0.1:80")
    );
    assert_eq!(play(&["exit0-awaited"; 8].join(" ")), format!("5: {DIED}"));
}

#[test]
fn when_the_time_is_up_it_is_told_what_is_missing() {
    assert_eq!(
        play("runs+ missing up"),
        "2: not-ready: pid 7 (api) runs, not ready: ready: answered 503 after 3s"
    );
    assert_eq!(
        play("runs up"),
        "1: not-ready: pid 7 (api) runs, nothing listens at 127.0.0.1:80 after 2s"
    );
}

#[test]
fn a_successor_that_nobody_starts_is_told() {
    let mut proof = StartProof::new(subject(&[]), Moment::at_seconds(0.0));
    let seen = proof.observe(Moment::at_seconds(1.0), look(false, None));
    assert_eq!(seen.end, None);
    let late = proof.observe(Moment::at_seconds(40.0), Observation::TimeUp);
    assert_eq!(
        late.end,
        Some((
            Verdict::NotReady,
            "nothing has started it again, nothing listens at 127.0.0.1:80 after 40s".to_owned()
        ))
    );
}
