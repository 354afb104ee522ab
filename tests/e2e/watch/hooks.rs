//! What is run when a state turns: told exactly, in nobody's way, and never left behind.

use std::path::Path;

use rustix::process::Signal;

use super::stream::Stream;
use crate::support::faulty;
use crate::support::started::{Stage, Startable};
use crate::support::waiting::{until, wait_until};
use crate::support::watching::Watching;

/// The service process of the tests here.
#[test]
#[ignore = "the process that the other tests start"]
fn service_process() {
    faulty::serve_if_asked();
}

/// The lines of a file once there are so many.
fn lines(path: &Path, count: usize) -> Vec<String> {
    let whole = |text: &String| text.ends_with('\n') && text.lines().count() >= count;
    let text = until(&format!("{count} lines"), || {
        std::fs::read_to_string(path).ok().filter(whole)
    });
    text.lines().map(str::to_owned).collect()
}

/// Whether a process runs; one that has ended and that nobody took note of has no command line.
fn runs(pid: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

fn wait_for_end(pid: &str) {
    wait_until("its end", || !runs(pid));
}

#[test]
fn a_stop_and_a_start_run_the_command_with_the_reason() {
    let hook = "echo $HEALTHCTL_SERVICE $HEALTHCTL_PREVIOUS_STATE $HEALTHCTL_STATE $CHANNEL \
                \"${HEALTHCTL_REASON%%:*}\" ${HEALTHCTL_AT%%-*} >> told";
    let startable = Startable::new("api", "shutdown=exit").with(&format!(
        "    interval: 100ms\n    failure_threshold: 30\n    probes: {{status: off}}\n    \
         on_change: {{exec: [sh, -c, '{}'], env: {{CHANNEL: ops}}}}\n",
        hook.replace('$', "$$")
    ));
    let stage = Stage::new("watch::hooks::service_process", &[&startable]);
    let scene = stage.scene();
    assert_eq!(scene.run(&["start", "--yes", "api"]).code, 0);
    let mut watching = Watching::start(scene, &["--read-only"]);
    watching.until_state("api", "healthy");
    let told = scene.path().join("told");
    assert!(!told.exists(), "what it is at first is no turn");
    assert_eq!(scene.run(&["shutdown", "--yes", "api"]).code, 0);
    watching.until_state("api", "stopped");
    lines(&told, 1);
    assert_eq!(scene.run(&["start", "--yes", "api"]).code, 0);
    watching.until_state("api", "healthy");
    let lines = (2..).map(|count| lines(&told, count));
    // It may be seen while it starts.
    let is_back = |line: &String| line.split(' ').nth(2) == Some("healthy");
    let mut lines = lines.skip_while(|it| !it.iter().any(is_back));
    let lines = lines.next().unwrap();
    let year = lines[0].rsplit(' ').next().unwrap().to_owned();
    assert!(year.len() == 4 && year.starts_with("20"), "{lines:?}");
    // It may be seen while it drains; that it was asked to stop is no failure.
    assert!(lines[0].starts_with("api healthy "), "{lines:?}");
    assert!(
        !lines.iter().any(|line| line.contains("unhealthy")),
        "{lines:?}"
    );
    let last = lines.last().expect("there is a line");
    let last_lines = ["stopped", "starting"].map(|was| format!("api {was} healthy ops  {year}"));
    assert!(last_lines.contains(last), "{lines:?}");
    assert_eq!(watching.end(Signal::TERM), Some(143));
}

#[test]
fn a_command_that_hangs_delays_no_probe_and_is_killed_with_all_that_it_started() {
    let (stream, mut told) = Stream::with(
        "on_change: {exec: [sh, -c, 'sleep 300 & echo $$! >> pids; wait'], timeout: 15s}",
        &["-o", "text"],
    );
    let mut until = |text: &str| {
        told.until(text, |line| {
            assert!(
                text.contains("failed") || !line.contains("failed"),
                "{line}"
            );
            line.contains(text)
        });
    };
    until("api ✓ healthy");
    stream.set_broken(true);
    until("api ✗ unhealthy");
    let pids = stream.scene().path().join("pids");
    let pid = lines(&pids, 1).remove(0);
    // It goes on being asked while its command hangs, and what changes meanwhile is told to nobody twice.
    stream.set_broken(false);
    until("api ✓ healthy");
    assert!(runs(&pid));
    until("failed: no end within 15s");
    wait_for_end(&pid);
    // The next one is told that it is well again; it ends with us.
    let pid = lines(&pids, 2).remove(1);
    assert_eq!(stream.end(), Some(143));
    wait_for_end(&pid);
}

#[test]
fn a_process_that_has_left_the_session_of_its_command_ends_with_watch() {
    let (stream, mut told) = Stream::with(
        "on_change: {exec: [sh, -c, 'setsid sh -c \"echo \\$$\\$$ >> pids; sleep 300\" & sleep 300'], timeout: 5m}",
        &["-o", "text"],
    );
    told.until("api ✓ healthy", |line| line.contains("api ✓ healthy"));
    stream.set_broken(true);
    told.until("api ✗ unhealthy", |line| line.contains("api ✗ unhealthy"));
    let pid = lines(&stream.scene().path().join("pids"), 1).remove(0);
    assert!(runs(&pid));
    assert_eq!(stream.end(), Some(143));
    wait_for_end(&pid);
}

#[test]
fn a_command_that_fails_is_reported_without_secrets() {
    let (stream, mut told) = Stream::with(
        "on_change: {exec: [sh, -c, 'echo no user $$NAME; exit 3'], env: {NAME: {file: name}}}",
        &["-o", "text"],
    );
    stream.scene().write("name", "hunter22");
    told.until("api ✓ healthy", |line| line.contains("api ✓ healthy"));
    stream.set_broken(true);
    let line = told.until("failed", |line| line.contains("failed"));
    let (_, text) = line.split_once(' ').unwrap();
    assert_eq!(
        text,
        "api: on_change `sh -c echo no user $NAME; exit 3` failed: exit status 3: no user ${NAME}"
    );
    assert_eq!(stream.end(), Some(143));
}

#[test]
fn a_command_that_cannot_be_run_is_reported() {
    let (stream, mut told) =
        Stream::with("on_change: {exec: [./no-such-program]}", &["-o", "text"]);
    told.until("api ✓ healthy", |line| line.contains("api ✓ healthy"));
    stream.set_broken(true);
    let line = told.until("on_change", |line| line.contains("on_change"));
    assert!(line.contains("there is no such file"), "{line}");
    assert_eq!(stream.end(), Some(143));
}
