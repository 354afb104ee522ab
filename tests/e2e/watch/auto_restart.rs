//! Restarts by themselves, while somebody works beside the dashboard.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::dashboard;
use crate::actions::SERVICE;
use crate::support::acting::Acting;
use crate::support::process::kill;
use crate::support::started::{Stage, Startable};
use crate::support::terminal::{ENTER, Pty, TAB};
use crate::support::waiting::wait_until;

/// Services of this code, started, and the dashboard on them with automatic restart switched on.
struct Work {
    code: TempDir,
    stage: Stage,
    pty: Pty,
}

impl Work {
    /// `api` and `other`, as the words say; `DIR` stands for the directory of their code.
    fn begin(api: &str, other: &str) -> Self {
        Self::permitting("stale", api, other)
    }

    /// The same, which may be restarted for this.
    fn permitting(causes: &str, api: &str, other: &str) -> Self {
        let code = tempfile::tempdir().expect("a folder can be made");
        let directory = code.path().display().to_string();
        let service = |name, words: &str| {
            let file = code.path().join(name);
            std::fs::write(file, "pass\n").expect("a file can be written");
            Startable::new(name, &words.replace("DIR", &directory)).with(&format!(
                "    interval: 1s\n    sources: [\"{directory}/{name}*\"]\n    restart_on: [{causes}]\n    actions: {{shutdown: {{then: off}}}}\n"
            ))
        };
        let stage = Stage::new(SERVICE, &[&service("api", api), &service("other", other)]);
        let ran = stage.scene().run(&["start", "--yes", "--all"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let mut pty = dashboard(stage.scene(), &[]);
        pty.wait_for("✓ 2 healthy");
        pty.keys("a");
        pty.wait_for("automatic restart on");
        Self { code, stage, pty }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.code.path().join(name)
    }

    fn save(&self, name: &str) {
        std::fs::write(self.file(name), "pass # again\n").expect("a file can be written");
    }

    /// An action in another terminal.
    fn elsewhere(&self, action: &str) -> Acting {
        Acting::start(self.stage.scene().command(&[action, "--yes", "api"]))
    }

    /// The pid on record, where that was seen ready and still runs. Before, a process may not have read its code yet, so
    /// that what is saved then does not make it stale.
    fn pid(&self, name: &str) -> Option<u64> {
        let record = self.stage.record(name)?;
        let pid = record["process"]["pid"].as_u64()?;
        if record["ready"] != true {
            return None;
        }
        let running = self.stage.running();
        running
            .iter()
            .any(|it| u64::from(*it) == pid)
            .then_some(pid)
    }

    /// Waits until another process of the service runs than the one before.
    fn wait_for_another(&self, name: &str, old: Option<u64>) -> Option<u64> {
        let found = Cell::new(None);
        let what = format!("another {name} than {old:?}");
        self.pty.wait_until(&what, |_| {
            found.set(self.pid(name).filter(|pid| Some(*pid) != old));
            found.get().is_some()
        });
        found.get()
    }

    /// Has `other` restarted twice: what is due for `api` before is done before.
    fn go_on(&self) {
        for _ in 0..2 {
            let old = self.pid("other");
            self.save("other");
            self.wait_for_another("other", old);
        }
    }

    /// The verdicts of all restarts of `api` that were not refused.
    fn restarts(&self) -> Vec<Value> {
        let path = self
            .stage
            .scene()
            .path()
            .join("state/healthctl/audit.jsonl");
        let text = std::fs::read_to_string(path).expect("there is a record");
        let lines = text.lines().map(|line| {
            let line: Value = serde_json::from_str(line).expect("each line is JSON");
            line
        });
        lines
            .filter(|line| line["service"] == "api" && line["action"] == "restart")
            .map(|line| line["verdict"].clone())
            .filter(|verdict| !verdict.is_null() && verdict != "refused")
            .collect()
    }

    /// At once, whatever is under way just now.
    fn leave(mut self) {
        self.pty.keys("\x03");
        assert_eq!(self.pty.end().code, 0);
    }
}

/// It says nothing of its end until the gate is opened.
const LATE: &str = "shutdown=late gate=DIR/gate";

#[test]
fn a_service_that_is_shut_down_in_another_terminal_stays_down() {
    let work = Work::begin(LATE, "shutdown=exit");
    let mut shutdown = work.elsewhere("shutdown");
    shutdown.until("sending POST");
    work.save("api");
    let screen = work.pty.wait_for("api: somebody has shut it down");
    assert!(!screen.contains("not done"), "{screen}");
    work.save("gate");
    assert_eq!(shutdown.end().code, 0);
    work.go_on();
    assert_eq!(work.pid("api"), None);
    assert_eq!(work.restarts(), [""; 0]);
    work.leave();
}

#[test]
fn a_service_that_is_restarted_in_another_terminal_is_not_restarted_again() {
    let work = Work::begin(LATE, "shutdown=exit");
    let old = work.pid("api");
    let mut restart = work.elsewhere("restart");
    restart.until("sending POST");
    work.save("api");
    work.pty.wait_for("the automatic restart was refused");
    work.save("gate");
    assert_eq!(restart.end().code, 0);
    let new = work.pid("api");
    assert_ne!(new, old);
    work.go_on();
    assert_eq!(work.pid("api"), new);
    assert_eq!(work.restarts(), ["restarted"]);
    work.leave();
}

#[test]
fn a_service_that_fails_to_start_is_started_after_the_next_save() {
    let work = Work::begin("shutdown=exit broken=DIR/api-mistake", "shutdown=exit");
    work.save("api-mistake");
    work.pty.wait_for("restart: died after");
    std::fs::remove_file(work.file("api-mistake")).expect("it can be removed");
    work.save("api");
    work.wait_for_another("api", None);
    work.pty.wait_for("✓ 2 healthy");
    work.leave();
}

#[test]
fn a_service_that_writes_into_its_own_sources_at_its_start_is_found_out() {
    let work = Work::begin(
        "shutdown=exit start=none writes=DIR/api-made",
        "shutdown=exit",
    );
    let began = Instant::now();
    // It has done so at its first start, too.
    let mut pid = work.wait_for_another("api", None);
    for _ in 0..3 {
        pid = work.wait_for_another("api", pid);
    }
    work.pty
        .wait_for("its own sources have changed right after");
    // A minute later it is restarted for the last time.
    let more = || usize::from(began.elapsed() >= Duration::from_secs(60));
    let restarts = work.restarts().len();
    assert!((4..=5 + more()).contains(&restarts), "{restarts}");
    work.go_on();
    let now = work.restarts().len();
    assert!(
        (restarts..=restarts + more()).contains(&now),
        "{restarts}, then {now}"
    );
    work.leave();
}

#[test]
fn a_stop_of_an_automatic_restart_is_ended_by_sigkill_after_a_question() {
    let mut work = Work::begin("shutdown=stay sigterm=ignore", "shutdown=exit");
    let old = work.pid("api");
    work.save("api");
    work.pty.wait_for("K kills it");
    work.pty.keys("K");
    let question = work.pty.wait_for(">[ Cancel ]");
    assert!(question.contains("Kill api?"), "{question}");
    work.pty.keys(TAB);
    work.pty.wait_for(">[ Kill ]");
    work.pty.keys(ENTER);
    assert!(work.wait_for_another("api", old).is_some());
    // It is on record as ready before its action has ended.
    wait_until("the end of the restart", || !work.restarts().is_empty());
    assert_eq!(work.restarts(), ["restarted"]);
    work.leave();
}

#[test]
fn an_unhealthy_service_that_was_shut_down_in_another_terminal_is_not_restarted() {
    let work = Work::permitting("stale, unhealthy", "shutdown=exit", "shutdown=exit");
    assert_eq!(work.elsewhere("shutdown").end().code, 0);
    work.pty.wait_for("■ 1 stopped");
    work.go_on();
    assert_eq!(work.pid("api"), None);
    assert_eq!(work.elsewhere("start").end().code, 0);
    work.pty.wait_for("✓ 2 healthy");
    let old = work.pid("api");
    let pid = old.and_then(|pid| u32::try_from(pid).ok());
    kill(pid.expect("it was started"));
    assert!(work.wait_for_another("api", old).is_some());
    work.leave();
}
