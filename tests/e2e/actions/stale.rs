//! The flags of the host scan, told by `check`: stale, foreign, split.

use std::fs;
use std::time::{Duration, SystemTime};

use super::*;
use crate::support::started::{Stage, Startable};
use crate::support::watching::Watching;

/// A started service with sources.
fn with_sources(sources: &str) -> Stage {
    let service = Startable::new("api", "shutdown=exit").with(&format!("    sources: {sources}\n"));
    let stage = Stage::new(SERVICE, &[&service]);
    for file in ["src/app.py", "src/deep/part.py", "build/made.py"] {
        stage.scene().write(file, "pass\n");
    }
    stage.scene().write(".gitignore", "build/\n");
    let ran = run(stage.scene(), "start --yes api");
    assert_ended(&ran, "started", 0);
    stage
}

/// Its flags and what is said of them.
fn flags(stage: &Stage) -> (Vec<String>, String) {
    let ran = run(stage.scene(), "check -o json");
    let report: Value = serde_json::from_str(&ran.stdout).expect("a report is JSON");
    let api = &report["services"][0];
    let flags = api["flags"].as_array().expect("an array").iter();
    let flags = flags.map(|flag| flag.as_str().expect("a word").to_owned());
    (flags.collect(), api["notes"].to_string())
}

/// Gives a file a time that is later than that of every process.
fn touch(stage: &Stage, file: &str) {
    let path = stage.scene().path().join(file);
    let file = fs::File::options()
        .append(true)
        .open(path)
        .expect("it can be opened");
    let soon = SystemTime::from(jiff::Timestamp::now()) + Duration::from_secs(1);
    file.set_modified(soon).expect("it can be touched");
}

#[test]
fn a_source_that_is_newer_than_the_process_makes_it_stale() {
    let stage = with_sources("[\"src/**/*.py\"]");
    assert_eq!(flags(&stage).0, [""; 0]);
    touch(&stage, "src/deep/part.py");
    let (flags_now, notes) = flags(&stage);
    assert_eq!(flags_now, ["stale"]);
    assert!(notes.contains("src/deep/part.py changed"), "{notes}");
    let ran = run(stage.scene(), "check --fail-on stale");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout.contains("! api: stale: src/deep/part.py"),
        "{ran:?}"
    );
    assert_eq!(run(stage.scene(), "check --exit-code").code, 0);
}

#[test]
fn a_file_that_an_ignore_file_leaves_out_makes_nothing_stale() {
    let stage = with_sources("[\"**/*.py\"]");
    touch(&stage, "build/made.py");
    assert_eq!(flags(&stage).0, [""; 0]);
    touch(&stage, "src/app.py");
    assert_eq!(flags(&stage).0, ["stale"]);
}

#[test]
fn only_stale_services_are_restarted() {
    let stage = with_sources("[src]");
    let old = stage.running();
    let ran = run(stage.scene(), "restart --yes flag:stale");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
    assert_eq!(stage.running(), old);
    // A time that is past when the new process starts.
    let path = stage.scene().path().join("src/app.py");
    fs::write(path, "pass # again\n").expect("it can be written");
    let ran = run(stage.scene(), "restart --yes flag:stale");
    assert_ended(&ran, "restarted", 0);
    assert_ne!(stage.running(), old);
    assert_eq!(flags(&stage).0, [""; 0]);
}

#[test]
fn a_start_entry_that_was_changed_makes_it_stale_and_another_edit_does_not() {
    let stage = Stage::new(SERVICE, &[&Startable::new("api", "shutdown=exit")]);
    run(stage.scene(), "start --yes api");
    let path = stage.scene().path().join("healthctl.yaml");
    let text = fs::read_to_string(&path).expect("there is an inventory");
    stage.scene().write(
        "healthctl.yaml",
        &format!("{text}    description: edited\n"),
    );
    assert_eq!(flags(&stage).0, [""; 0]);
    let edited = text.replace("env: {", "env: {MODE: fast, ");
    stage.scene().write("healthctl.yaml", &edited);
    let (flags_now, notes) = flags(&stage);
    assert_eq!(flags_now, ["stale"]);
    assert!(notes.contains("`start` entry has changed"), "{notes}");
    assert_ended(&run(stage.scene(), "restart --yes api"), "restarted", 0);
    assert_eq!(flags(&stage).0, [""; 0]);
}

#[test]
fn an_executable_that_was_replaced_makes_it_stale() {
    let stage = Stage::new(SERVICE, &[&Startable::new("api", "shutdown=exit")]);
    let own = std::env::current_exe().expect("this binary has a path");
    let program = stage.scene().path().join("program");
    fs::hard_link(&own, &program)
        .or_else(|_| fs::copy(&own, &program).map(drop))
        .expect("a copy");
    let path = stage.scene().path().join("healthctl.yaml");
    let text = fs::read_to_string(&path).expect("there is an inventory");
    let text = text.replace(own.to_str().expect("text"), program.to_str().expect("text"));
    stage.scene().write("healthctl.yaml", &text);
    assert_ended(&run(stage.scene(), "start --yes api"), "started", 0);
    assert_eq!(flags(&stage).0, [""; 0]);
    let next = stage.scene().path().join("next");
    fs::hard_link(&own, &next)
        .or_else(|_| fs::copy(&own, &next).map(drop))
        .expect("a copy");
    fs::remove_file(&program).expect("it can be removed");
    fs::rename(&next, &program).expect("it can be replaced");
    let (flags_now, notes) = flags(&stage);
    assert_eq!(flags_now, ["stale"], "{notes}");
    assert!(notes.contains("executable was replaced"), "{notes}");
}

#[test]
fn a_stream_tells_that_a_service_becomes_stale_and_that_it_is_no_longer() {
    let stage = with_sources("[src]");
    let mut watching = Watching::start(stage.scene(), &[]);
    let is_stale = |change: &Value| {
        let flags = change["flags"].as_array();
        flags.is_some_and(|flags| flags.contains(&"stale".into()))
    };
    watching.until(|change| change["state"] == "healthy" && !is_stale(change));
    std::fs::write(stage.scene().path().join("src/app.py"), "pass # again\n")
        .expect("it can be written");
    watching.until(is_stale);
    assert_ended(&run(stage.scene(), "restart --yes api"), "restarted", 0);
    watching.until(|change| change["state"] == "healthy" && !is_stale(change));
}

#[test]
fn a_check_can_wait_until_nothing_is_stale() {
    let stage = with_sources("[src]");
    std::fs::write(stage.scene().path().join("src/app.py"), "pass # again\n")
        .expect("it can be written");
    let ran = run(stage.scene(), "check --wait 1s --fail-on stale");
    assert_eq!(ran.code, 124, "{ran:?}");
    let waiting = begin(stage.scene(), "check --wait 60s --fail-on stale");
    assert_ended(&run(stage.scene(), "restart --yes api"), "restarted", 0);
    let ran = waiting.end();
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_service_that_does_not_run_is_not_stale() {
    let stage = with_sources("[src]");
    touch(&stage, "src/app.py");
    run(stage.scene(), "shutdown --yes api");
    assert_eq!(flags(&stage).0, [""; 0]);
}

#[test]
fn a_second_copy_on_its_port_is_named_and_nothing_is_restarted() {
    let service = Startable::new("api", "shared shutdown=exit");
    let stage = Stage::new(SERVICE, &[&service]);
    run(stage.scene(), "start --yes api");
    let mut second = super::service(&format!("shared port={}", service.port()));
    let (flags_now, notes) = flags(&stage);
    assert!(flags_now.contains(&"split".to_owned()), "{flags_now:?}");
    for pid in [stage.running()[0], second.pid()] {
        assert!(notes.contains(&format!("pid {pid} ")), "{pid}: {notes}");
    }
    let ran = run(stage.scene(), "restart --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("split: pid "), "{ran:?}");
    assert!(second.runs());
    assert_eq!(second.asked(), 0);
}

#[test]
fn a_foreign_process_on_its_port_is_named() {
    let startable = Startable::new("api", "");
    let foreign = super::service(&format!("port={}", startable.port()));
    let stage = Stage::new(SERVICE, &[&startable]);
    let path = stage.scene().path().join("healthctl.yaml");
    let text = fs::read_to_string(&path).expect("there is an inventory");
    let (head, _) = text.split_once("    start:").expect("it can be started");
    let edited = format!("{head}    start: {{command: [sleep, one-of-its-own]}}\n");
    stage.scene().write("healthctl.yaml", &edited);
    let ran = run(stage.scene(), "check --fail-on foreign");
    assert_eq!(ran.code, 1, "{ran:?}");
    let expected = format!("! api: foreign: pid {} ", foreign.pid());
    assert!(ran.stdout.contains(&expected), "{ran:?}");
}
