use std::collections::BTreeSet;

use super::*;
use crate::health::Process;

/// Circumstances in words, then the processes between `;`: `PID<PARENT` and what is known of each.
fn evidence(circumstances: &str, processes: &str) -> Evidence {
    let mut evidence = Evidence {
        has_address: true,
        sees_all_owners: true,
        declares: true,
        answer: AnswerKind::Recognised,
        ..Evidence::default()
    };
    for one in processes.split(';') {
        evidence.processes.push(seen(one));
    }
    evidence.somebody_listens = evidence.processes.iter().any(|one| one.owns);
    for word in circumstances.split_ascii_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, "0"));
        let number = value.parse().unwrap_or(0);
        match key {
            "undeclared" => evidence.declares = false,
            "supervised" => evidence.supervised = true,
            "nowhere" => evidence.has_address = false,
            "hidden-owner" => evidence.sees_all_owners = false,
            "listened" => evidence.somebody_listens = true,
            "replicas" => evidence.replicas = true,
            "shown" => evidence.is_shown = true,
            "bytes" => evidence.answer = AnswerKind::Bytes,
            "connection" => evidence.answer = AnswerKind::None,
            "session" => evidence.session = Some(number),
            "named" => evidence.named = Some(number),
            "file" => evidence.pid_file = PidFileClaim::Names(process(number), None),
            "file?" => {
                evidence.pid_file = PidFileClaim::Names(process(number), Some("doubt".to_owned()));
            }
            other => panic!("unknown circumstance {other}"),
        }
    }
    evidence
}

fn process(pid: u32) -> Process {
    Process {
        pid,
        start_ticks: u64::from(pid),
    }
}

fn seen(text: &str) -> SeenProcess {
    let mut words = text.split_ascii_whitespace();
    let pids = words.next().unwrap();
    let (pid, parent) = pids.split_once('<').unwrap_or((pids, "1"));
    let pid = pid.parse().unwrap();
    let mut one = SeenProcess {
        running: RunningProcess {
            process: process(pid),
            parent: parent.parse().unwrap(),
            name: "x".to_owned(),
        },
        session: 5,
        terminal: 0,
        owns: false,
        sockets: BTreeSet::new(),
        command: CommandMatch::Unclear("unclear"),
        line: String::new(),
        cwd: None,
        forwards: false,
        held_by: None,
        exception: None,
        recorded: RecordedAs::default(),
        is_one_of_a_pool: false,
    };
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, "0"));
        let number: u32 = value.parse().unwrap_or(0);
        match key {
            "runs" => one.command = CommandMatch::Runs,
            "differs" => one.command = CommandMatch::Differs("other arguments"),
            "owns" => {
                one.owns = true;
                one.sockets
                    .insert(u64::from(if number > 0 { number } else { pid }));
            }
            "sid" => one.session = number,
            "tty" => one.terminal = i64::from(number),
            "leader" => one.recorded.leader = true,
            "member" => one.recorded.member = true,
            "kept" => one.recorded.below_keeper = true,
            "forwards" => one.forwards = true,
            "pool" => one.is_one_of_a_pool = true,
            "other" => one.exception = Some(Exception::OtherService("b".to_owned())),
            "keeper" => one.exception = Some(Exception::Keeper),
            "kept-for" => one.exception = Some(Exception::OtherKeeper("b".to_owned())),
            "pm2" => one.exception = Some(Exception::Supervisor),
            "tmux" => one.exception = Some(Exception::Multiplexer),
            "kernel" => one.exception = Some(Exception::Kernel),
            "ours" => one.exception = Some(Exception::Ourselves),
            "container" => one.exception = Some(Exception::Container),
            "init" => one.exception = Some(Exception::Init),
            other => panic!("unknown word {other}"),
        }
    }
    one
}

/// The pids that are its own with their proofs, then who is not proved (`!` where it must have been equal), who is left alone
/// and who is split.
fn outcome(circumstances: &str, processes: &str) -> String {
    let found = decide(&evidence(circumstances, processes));
    let mut words: Vec<String> = Vec::new();
    for one in &found.own {
        let proof = match one.proof {
            ProcessProof::PidFile => "file",
            ProcessProof::Keeper => "keeper",
            ProcessProof::Record => "record",
            ProcessProof::StartCommand => "command",
            ProcessProof::SoleOwner => "owner",
            ProcessProof::Named => "named",
        };
        words.push(format!("{}:{proof}", one.running.process.pid));
    }
    for one in &found.unproven {
        let differs = if one.differs.is_some() { "!" } else { "" };
        words.push(format!("-{}{differs}", one.running.process.pid));
    }
    for (one, _) in &found.left_alone {
        words.push(format!("alone:{}", one.process.pid));
    }
    for one in &found.split {
        words.push(format!("split:{}", one.process.pid));
    }
    for one in &found.copies {
        words.push(format!("copy:{}", one.process.pid));
    }
    words.join(" ")
}

#[track_caller]
fn check(cases: &[(&str, &str, &str)]) {
    for (circumstances, processes, expected) in cases {
        let found = outcome(circumstances, processes);
        assert_eq!(found, *expected, "{circumstances} | {processes}");
    }
}

#[test]
fn a_pid_file_decides_first() {
    check(&[
        ("file=10", "10 owns", "10:file"),
        ("file=10", "10; 11<10 owns", "10:file 11:file"),
        ("file=10", "10", "10:file"),
        // Where somebody else listens it is out of date; where it listens itself nothing speaks against it.
        ("file=10", "10; 11 owns", "-10 -11"),
        ("file?=10", "10 owns", "10:file"),
        ("file?=10", "10; 11<10 owns", "-10 -11"),
        ("file?=10", "10", "-10"),
        // FIELD A8: the server before its wrapper.
        ("file=11", "10 leader; 11<10 owns", "11:file 10:record"),
        // What healthctl started runs, and the file names somebody else: one of the two is not the service's.
        ("file=12", "10 leader; 11<10; 12", "10:record 11:record -12"),
        ("file=11", "10 leader; 11<10", "11:file 10:record"),
        ("file=9", "9; 10<9 leader", "9:file 10:file"),
        // FIELD A9.
        ("file=10", "10 kernel", "-10"),
        ("file=10", "10 ours", "-10"),
        ("file=10", "10 init", "-10"),
        ("file=10", "10 container owns", "-10"),
        ("file=10", "10; 11<10 owns; 12<10 other", "-10 -11"),
        // Somebody listens who cannot be seen: another user's process, a container behind a forwarder.
        ("listened file=10", "10", "-10"),
        ("listened file=10", "10 owns", "10:file"),
    ]);
}

#[test]
fn what_a_keeper_keeps_is_its_own() {
    check(&[
        (
            "session=9",
            "9 keeper sid=9; 10<9 leader kept sid=9; 11<10 kept sid=9 owns",
            "10:keeper 11:keeper",
        ),
        // A descendant that has left the session, and leads to the socket or not.
        (
            "session=9",
            "9 keeper sid=9; 10<9 leader kept sid=9; 11<9 kept sid=11 owns",
            "10:keeper 11:keeper",
        ),
        (
            "session=9",
            "9 keeper sid=9; 10<9 leader kept sid=9; 11<9 kept sid=11; 12<11 kept sid=12 owns",
            "10:keeper 11:keeper 12:keeper",
        ),
        (
            "session=9",
            "9 keeper sid=9; 10<9 leader kept sid=9 owns; 11<9 kept sid=11",
            "10:keeper alone:11",
        ),
        // Its leader has gone.
        (
            "session=9",
            "9 keeper sid=9; 11<9 kept sid=9 owns",
            "11:keeper",
        ),
        // A browser with a terminal of its own, and another service that it has started as well.
        (
            "session=9",
            "9 keeper sid=9; 10<9 leader kept sid=9 owns; 12<10 kept sid=12 tty=3",
            "10:keeper alone:12",
        ),
        (
            "session=9",
            "9 keeper sid=9; 10<9 kept sid=9; 11<10 kept sid=9 owns; 12<10 kept sid=9 other",
            "11:keeper alone:10 alone:12",
        ),
        (
            "session=9",
            "9 keeper sid=9; 10<9 kept sid=9 owns; 11<10 kept sid=9; 12<11 kept sid=9 other",
            "10:keeper alone:11 alone:12",
        ),
        ("session=9", "8 keeper; 10<8 kept-for owns", "-10"),
    ]);
    let shared = "9 keeper sid=9; 10<9 kept sid=9; 11<10 kept sid=9 owns; 12<10 kept sid=9 other";
    let found = decide(&evidence("session=9", shared));
    let why = |pid| {
        let mut left_alone = found.left_alone.iter();
        left_alone
            .find(|(one, _)| one.process.pid == pid)
            .map(|(_, why)| why.as_str())
    };
    assert_eq!(why(10), Some("has started a process of another service"));
}

#[test]
fn what_is_on_record_is_its_own() {
    check(&[
        ("", "10 leader owns", "10:record"),
        ("", "10 leader; 11<10 owns", "10:record 11:record"),
        ("", "10 leader", "10:record"),
        // FIELD A5: workers that are left, on one socket or each on its own.
        (
            "",
            "11 member owns=7; 12 member owns=7",
            "11:record 12:record",
        ),
        ("", "11 member owns; 12 member owns", "11:record 12:record"),
        // FIELD A6, A7: a descendant in a session of its own.
        (
            "",
            "10 leader; 11 member sid=11 owns",
            "10:record 11:record",
        ),
        ("", "10 leader; 11 sid=11 owns", "10:record -11"),
        ("", "10 leader; 11 differs owns", "10:record -11!"),
        ("", "10 leader owns; 11<10 sid=11", "10:record alone:11"),
        ("", "10 leader other owns", "-10"),
        (
            "",
            "10 leader owns; 11<10; 12<11 other",
            "10:record alone:11 alone:12",
        ),
        ("", "10 leader; 11<10 owns; 12<10 kept-for", "-11"),
    ]);
}

#[test]
fn who_runs_the_start_command_and_leads_to_the_socket_is_its_own() {
    check(&[
        ("", "10 runs owns", "10:command"),
        // FIELD A3, A4: the supervisor rather than its child.
        ("", "10 runs; 11<10 differs owns", "10:command 11:command"),
        (
            "",
            "9; 10<9 runs; 11<10; 12<11 differs owns",
            "10:command 11:command 12:command",
        ),
        ("", "10 runs; 11<10 runs owns", "10:command 11:command"),
        // A launcher proves nothing for what is not below it.
        ("", "10 runs; 11 owns", "-11"),
        ("", "10 runs; 11 differs owns", "-11!"),
        ("", "10 differs owns", "-10!"),
        ("", "10 owns", "-10"),
        ("supervised", "10 runs owns", "-10"),
        // FIELD A12: another service's.
        ("", "10 runs other owns", "-10"),
        ("", "10 runs; 11<10 owns; 12<10 other", "-11"),
        ("", "10 runs; 11<10 runs owns; 12<10 other", "11:command"),
        // pm2's daemon, a multiplexer, a terminal.
        (
            "",
            "8 tmux; 9<8 tty=1 sid=9; 10<9 runs tty=1 sid=9 owns",
            "10:command",
        ),
        ("", "10 runs tmux; 11<10 owns", "-11"),
        ("", "10 runs; 11<10 owns; 12<10 tty=4 sid=12", "-11"),
        (
            "",
            "10 runs tty=1 sid=10; 11<10 tty=1 sid=10 owns",
            "10:command 11:command",
        ),
        ("", "10 runs ours; 11<10 owns", "-11"),
        (
            "",
            "10 runs owns; 11<10; 12<11 other",
            "10:command alone:11 alone:12",
        ),
        // What it has started for good: named and left alone.
        ("", "10 runs owns; 11<10 sid=11", "10:command alone:11"),
        (
            "",
            "10 runs owns; 11<10 sid=11; 12<11 sid=12 owns=10",
            "10:command 11:command 12:command",
        ),
    ]);
}

#[test]
fn a_worker_without_an_address_is_the_only_one_that_runs_its_command() {
    check(&[
        ("nowhere", "10 runs", "10:command"),
        ("nowhere", "10 runs; 11<10 runs", "10:command 11:command"),
        ("nowhere", "10 runs; 11 runs", "copy:10 copy:11"),
        ("nowhere", "10 runs; 11 runs; 12<11 runs", "copy:10 copy:11"),
        ("nowhere", "10 leader; 11 runs", "10:record 11:command"),
        // It has an address, and whoever runs its command does not listen there.
        ("", "10 runs; 11<10 runs", "copy:10"),
        ("", "10 runs; 11 owns runs", "11:command"),
        ("nowhere", "10 runs other", ""),
        ("nowhere supervised", "10 runs", ""),
    ]);
}

#[test]
fn a_sole_owner_is_one_only_where_nothing_else_is_declared() {
    check(&[
        ("undeclared", "10 owns", "10:owner"),
        ("undeclared shown bytes", "10 owns", "10:owner"),
        ("undeclared bytes", "10 owns", "-10"),
        ("undeclared shown connection", "10 owns", "-10"),
        ("undeclared", "10 forwards owns", "-10"),
        ("undeclared hidden-owner", "10 owns", "-10"),
        ("undeclared", "10 owns=7; 11 owns=7", "-10 -11"),
        ("undeclared", "10 owns; 11<10", "10:owner"),
        ("undeclared", "10 other owns", "-10"),
        ("undeclared", "10 tmux owns", "-10"),
        ("", "10 owns", "-10"),
    ]);
}

#[test]
fn the_person_may_name_one_of_those_that_could_be_meant() {
    check(&[
        ("named=10", "10 owns", "10:named"),
        ("named=11", "10 leader; 11<10 owns", "11:named"),
        ("named=10", "10 leader; 11<10 owns", "10:named"),
        ("named=10", "10 differs owns; 11 owns", "10:named"),
        ("named=10 file?=10", "10", "10:named"),
        ("named=10", "10; 11 owns", "-10"),
        ("named=12", "10 owns", ""),
        // It is the person's word against an exception.
        ("named=10", "10 other owns", "10:named"),
        ("named=11", "11 member", "11:named"),
        ("session=9 named=11", "11 kept sid=9", "11:named"),
        ("session=9 named=11", "11 kept sid=11", "-11"),
    ]);
}

#[test]
fn listeners_that_share_a_socket_or_an_ancestor_are_one_service() {
    check(&[
        ("", "10 differs owns=7; 11 differs owns=7", "-10! -11!"),
        ("", "10 owns=7; 11 owns=8", "-10 -11 split:10 split:11"),
        ("replicas", "10 owns=7; 11 owns=8", "-10 -11"),
        (
            "",
            "10 runs; 11<10 owns=7; 12<10 owns=8",
            "10:command 11:command 12:command",
        ),
        (
            "",
            "10 runs owns; 11 runs owns",
            "10:command 11:command split:10 split:11",
        ),
        (
            "",
            "10 leader owns; 11 owns",
            "10:record -11 split:10 split:11",
        ),
        ("", "10 owns=7; 11<10 owns=8", "-10 -11"),
        ("", "10; 11<10 owns pool; 12<10 owns pool", "-11 -12"),
    ]);
}

#[test]
fn refusals_name_who_it_is_and_the_ways_out() {
    let mut one = decide(&evidence("", "10 differs owns")).unproven.remove(0);
    one.line = "python3 x.py".to_owned();
    one.cwd = Some("/srv".into());
    one.held_by = Some("pm2 (pid 7)".to_owned());
    assert_eq!(one.described(), "pid 10 (x), `python3 x.py` in /srv");
    let ways = one.ways_out(true, false);
    for way in [
        "supervised: true",
        "start the service with healthctl",
        "pid_file",
        "actions.shutdown",
        "--pid 10",
    ] {
        assert!(ways.contains(way), "{ways}");
    }
    assert!(!one.ways_out(false, false).contains("start the service"));
    // It has a route already, which somebody else would be asked by.
    assert!(!one.ways_out(true, true).contains("actions.shutdown"));
    // Who was named and is refused would be refused again.
    let mut named = evidence("", "10 differs");
    named.named = Some(10);
    let ways = decide(&named).unproven[0].ways_out(true, false);
    assert!(!ways.contains("--pid"), "{ways}");
}
