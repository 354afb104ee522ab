use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::host::process::{process, session_of};

fn key(inventory: &Path, service: &str) -> RecordKey {
    RecordKey::new(inventory, service)
}

fn own() -> Process {
    process(std::process::id()).unwrap().process
}

#[test]
fn a_record_comes_back_as_it_was_written_and_can_be_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let records = Records::new(home.path());
    let key = key(&home.path().join("healthctl.yaml"), "api");
    assert_eq!(records.read(&key).unwrap(), None);
    let record = Record::new(&key, own());
    records.write(&key, &record).unwrap();
    assert_eq!(records.read(&key).unwrap(), Some(record.clone()));
    let listed = records.of_inventory(std::slice::from_ref(&key.inventory));
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].as_ref().unwrap().0, record);
    assert!(
        records
            .of_inventory(&[home.path().join("other.yaml")])
            .is_empty()
    );
    let path = records.path(&key, "json");
    assert_eq!(
        fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    records.forget(&key).unwrap();
    records.forget(&key).unwrap();
    assert_eq!(records.read(&key).unwrap(), None);
}

#[test]
fn of_a_session_nobody_is_told_by_its_number_alone() {
    use std::process::{Command, Stdio};
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    // The leader ends at once; what it leaves in its session writes to the log.
    let leave = |output: Stdio| {
        let mut leader = Command::new("setsid");
        leader
            .args(["sh", "-c", "sleep 300 & exit 0"])
            .stdout(output);
        let mut leader = leader.spawn().unwrap();
        let pid = leader.id();
        assert!(leader.wait().unwrap().success());
        let record = Record {
            log: log.clone(),
            ..Record::new(
                &key(home.path(), "api"),
                Process {
                    pid,
                    start_ticks: 1,
                },
            )
        };
        let left = session_of(record.process);
        assert_eq!(left.len(), 1, "{left:?}");
        (record, left)
    };
    // By its process alone: its name may still be that of the shell.
    let only =
        |found: Vec<RunningProcess>| found.into_iter().map(|one| one.process).collect::<Vec<_>>();
    let (ours, left) = leave(Stdio::from(File::create(&log).unwrap()));
    assert_eq!(only(ours.session(false)), only(left.clone()));
    assert_eq!(
        only(ours.running().into_iter().collect()),
        only(left.clone())
    );
    let other_boot = Record {
        boot: "another".to_owned(),
        ..ours.clone()
    };
    assert!(other_boot.session(true).is_empty());
    let (anyones, more) = leave(Stdio::null());
    assert!(anyones.session(false).is_empty());
    let told = only(anyones.session(true));
    assert_eq!(told, only(more.clone()), "its leader was seen to run");
    for one in left.iter().chain(&more) {
        let pid = i32::try_from(one.process.pid).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

#[test]
fn the_same_service_of_another_inventory_has_another_record() {
    let home = tempfile::tempdir().unwrap();
    let records = Records::new(home.path());
    let one = key(&home.path().join("one.yaml"), "api");
    let two = key(&home.path().join("two.yaml"), "api");
    records.write(&one, &Record::new(&one, own())).unwrap();
    assert_eq!(records.read(&two).unwrap(), None);
    assert_ne!(records.default_log(&one), records.default_log(&two));
}

#[test]
fn an_inventory_by_another_name_is_the_same_one() {
    let home = tempfile::tempdir().unwrap();
    let real = home.path().join("healthctl.yaml");
    fs::write(&real, "").unwrap();
    let link = home.path().join("link.yaml");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    assert_eq!(key(&link, "api").file_name(), key(&real, "api").file_name());
}

#[test]
fn a_pid_that_was_given_out_again_is_not_the_recorded_process() {
    let home = tempfile::tempdir().unwrap();
    let key = key(home.path(), "api");
    let own = own();
    assert!(Record::new(&key, own).running().is_some());
    let recycled = Process {
        start_ticks: own.start_ticks - 1,
        ..own
    };
    assert_eq!(Record::new(&key, recycled).running(), None);
    let of_another_boot = Record {
        boot: "another".to_owned(),
        ..Record::new(&key, own)
    };
    assert_eq!(of_another_boot.running(), None);
}

#[test]
fn what_is_no_record_is_told_and_left_where_it_is() {
    let home = tempfile::tempdir().unwrap();
    let records = Records::new(home.path());
    let key = key(home.path(), "api");
    records.make(SERVICES).unwrap();
    fs::write(records.path(&key, "json"), "{").unwrap();
    let error = records.read(&key).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
    assert!(records.path(&key, "json").exists());
    assert!(records.of_inventory(&[home.path().to_owned()])[0].is_err());
}

#[test]
fn who_acts_on_a_service_is_seen_by_others_until_it_is_done() {
    let home = tempfile::tempdir().unwrap();
    let records = Records::new(home.path());
    let key = key(home.path(), "api");
    let lock = records.lock(&key, "restart api").unwrap();
    let error = records.lock(&key, "shutdown api").unwrap_err().to_string();
    assert!(error.contains("`restart api`"), "{error}");
    assert!(
        error.contains(&format!("pid {}", std::process::id())),
        "{error}"
    );
    drop(lock);
    records.lock(&key, "shutdown api").unwrap();
}

#[test]
fn what_an_owner_that_was_killed_has_left_is_no_lock() {
    let home = tempfile::tempdir().unwrap();
    let records = Records::new(home.path());
    let key = key(home.path(), "api");
    records.make(SERVICES).unwrap();
    let note = r#"{"pid":4711,"doing":"restart api","since":"2026-11-22T10:00:00Z"}"#;
    fs::write(records.path(&key, "lock"), note).unwrap();
    records.lock(&key, "shutdown api").unwrap();
}

#[test]
fn what_somebody_has_put_down_is_known_until_it_is_started() {
    let home = tempfile::tempdir().unwrap();
    let records = Records::new(home.path());
    let (api, other) = (key(home.path(), "api"), key(home.path(), "other"));
    records.clear_stopped(&api).unwrap();
    records.mark_stopped(&api).unwrap();
    assert!(records.stopped_since(&api).is_some());
    assert_eq!(records.stopped_since(&other), None);
    assert!(
        records.of_inventory(&[home.path().to_owned()]).is_empty(),
        "it is no record"
    );
    records.clear_stopped(&api).unwrap();
    assert_eq!(records.stopped_since(&api), None);
}

#[test]
fn what_an_earlier_version_has_written_by_the_first_file_is_found() {
    let home = tempfile::tempdir().unwrap();
    let records = Records::new(home.path());
    let earlier = key(&home.path().join("first.yaml"), "api");
    let now = key(&home.path().join("second.yaml"), "api")
        .with_legacy_inventory(&home.path().join("first.yaml"));
    let record = Record::new(&earlier, own());
    records.write(&earlier, &record).unwrap();
    records.mark_stopped(&earlier).unwrap();
    assert_eq!(records.read(&now).unwrap(), Some(record));
    assert!(records.stopped_since(&now).is_some());
    records.clear_stopped(&now).unwrap();
    assert_eq!(records.stopped_since(&earlier), None);
    records.write(&now, &Record::new(&now, own())).unwrap();
    assert_eq!(records.read(&earlier).unwrap(), None);
    records.forget(&now).unwrap();
    assert_eq!(records.read(&now).unwrap(), None);
}

#[test]
fn a_pid_of_another_namespace_is_not_the_recorded_process() {
    let home = tempfile::tempdir().unwrap();
    let record = Record::new(&key(home.path(), "api"), own());
    assert!(record.pid_namespace.is_some() && record.running().is_some());
    let elsewhere = Record {
        pid_namespace: record.pid_namespace.map(|number| number + 1),
        ..record.clone()
    };
    assert_eq!(elsewhere.running(), None);
    assert!(elsewhere.session(true).is_empty());
    let of_an_earlier_version = Record {
        pid_namespace: None,
        ..record
    };
    assert!(of_an_earlier_version.running().is_some());
}

#[test]
fn without_its_keeper_a_member_of_the_session_has_to_hold_the_log_itself() {
    use std::process::{Command, Stdio};
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    let mut leader = Command::new("setsid");
    leader
        .args(["sh", "-c", "sleep 300 & sleep 301 > /dev/null & exit 0"])
        .stdout(Stdio::from(File::create(&log).unwrap()));
    let mut leader = leader.spawn().unwrap();
    let gone = Process {
        pid: leader.id(),
        start_ticks: 1,
    };
    assert!(leader.wait().unwrap().success());
    // Until it runs its program, a child of the shell has the output of the shell.
    let members = loop {
        let members = session_of(gone);
        if members.iter().filter(|one| one.name == "sleep").count() == 2 {
            break members;
        }
        std::thread::yield_now();
    };
    let record = Record {
        keeper: Some(gone),
        log_file: file_id(&log),
        ..Record::new(&key(home.path(), "api"), own())
    };
    assert_eq!(record.live_keeper(), None);
    // Another file in its place changes nothing.
    fs::rename(&log, home.path().join("log.1")).unwrap();
    let left = record.session(false);
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(record.session(true).len(), 2);
    for one in members {
        let pid = i32::try_from(one.process.pid).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}
