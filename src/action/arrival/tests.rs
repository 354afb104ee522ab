use super::*;

/// What is seen, one a word: `runs`, `exit0`, `exit1` (with `+` behind it something listens), `ready`,
/// `ready-unknown`, `ready-stranger`, `missing`, `up`; each a second after the one before.
fn play(sights: &str) -> String {
    let expected = Expected {
        process: Some("pid 7 (api)".to_owned()),
        addresses: vec!["127.0.0.1:80".to_owned()],
    };
    let mut arrival = Arrival::new(expected, Moment::at_seconds(0.0));
    for (second, word) in sights.split(' ').enumerate() {
        let at = Moment::at_seconds(f64::from(u32::try_from(second).unwrap()) + 1.0);
        let look = |started, how: &str| Glance::Look {
            started,
            how: how.to_owned(),
            listens: Some(word.ends_with('+')),
        };
        let asked = |missing: &[&str], holder| Glance::Asked {
            missing: missing.iter().map(|it| (*it).to_owned()).collect(),
            holder,
        };
        let glance = match word.trim_end_matches('+') {
            "runs" => look(Started::Runs, ""),
            "exit0" => look(Started::ExitedWell, "exit status: 0"),
            "exit1" => look(Started::Exited, "exit status: 1"),
            "ready" => asked(&[], Holder::Expected),
            "ready-unknown" => asked(&[], Holder::Unknown),
            "ready-stranger" => asked(&[], Holder::Stranger("pid 9 (old)".to_owned())),
            "missing" => asked(&["ready: answered 503"], Holder::Expected),
            "up" => Glance::TimeUp,
            other => panic!("{other}?"),
        };
        match arrival.see(at, glance) {
            None => {}
            Some(Arrived::Ready) => return format!("{second}: ready"),
            Some(Arrived::Not(verdict, why)) => return format!("{second}: {verdict}: {why}"),
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
fn what_somebody_else_answers_is_not_its_readiness() {
    assert_eq!(play("runs+ ready-stranger runs+"), "waits");
    assert_eq!(
        play("runs+ ready-stranger up"),
        "2: unverified: pid 7 (api) was started, but pid 9 (old), which was there before, listens at its address"
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
fn a_program_may_go_into_the_background() {
    assert_eq!(play("exit0 exit0+ ready"), "2: ready");
    assert_eq!(play("exit0 exit0+ exit0+ exit0+ missing"), "waits");
    assert_eq!(
        play("exit0 exit0 exit0"),
        "2: died: pid 7 (api) was started and has ended before it was ready (exit status: 0)"
    );
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
    let expected = Expected {
        process: None,
        addresses: vec!["127.0.0.1:80".to_owned()],
    };
    let mut arrival = Arrival::new(expected, Moment::at_seconds(0.0));
    let look = Glance::Look {
        started: Started::Runs,
        how: String::new(),
        listens: Some(false),
    };
    assert_eq!(arrival.see(Moment::at_seconds(1.0), look), None);
    assert_eq!(
        arrival.see(Moment::at_seconds(40.0), Glance::TimeUp),
        Some(Arrived::Not(
            Verdict::NotReady,
            "nothing has started it again, nothing listens at 127.0.0.1:80 after 40s".to_owned()
        ))
    );
}
