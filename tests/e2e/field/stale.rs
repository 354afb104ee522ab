//! Old code: whether what runs has read what is on disk.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::actions::SERVICE;
use crate::support::fake::Fake;
use crate::support::faulty::FaultyService;
use crate::support::process::{Running, free_port, wait_for_port};
use crate::support::scene::{Ran, Scene, program};
use crate::support::started::{MARK, Scripted, Stage};
use crate::support::waiting::wait_until;

/// What `check --fail-on` these flags gives: the exit code, the flags and the notes.
fn check(scene: &Scene, fail_on: &str) -> (i32, String, String) {
    let ran = scene.run(&["check", "--fail-on", fail_on, "-o", "json"]);
    let report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let service = &report["services"][0];
    let text = |value: &Value| value.to_string();
    (ran.code, text(&service["flags"]), text(&service["notes"]))
}

/// When a file was written.
fn written(path: &Path) -> SystemTime {
    let metadata = fs::metadata(path).expect("the file is there");
    metadata.modified().expect("files have times here")
}

/// Writes a file whose time is that of another one.
fn write_with_time_of(path: &Path, text: &str, other: &Path) {
    let time = written(other);
    fs::write(path, text).expect("a file can be written");
    let file = File::options().write(true).open(path);
    let set = file.and_then(|file| file.set_modified(time));
    set.expect("its time can be set");
}

/// A started service with two sources, and what is done to them.
#[track_caller]
fn changed(change: impl FnOnce(&Path), more: &str) -> (i32, String, String) {
    let service = Scripted::new("", &format!("sources: [\"code/**/*.py\"]\n{more}"));
    let scene = service.scene();
    scene.write("code/a.py", "a");
    scene.write("code/deep/b.py", "b");
    let ran = scene.run(&["start", "--yes", "api"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let (code, flags, notes) = check(scene, "stale");
    assert_eq!((code, flags.as_str()), (0, "[]"), "{notes}");
    change(&scene.path().join("code"));
    check(scene, "stale")
}

#[track_caller]
fn assert_stale(change: impl FnOnce(&Path)) {
    let (code, flags, notes) = changed(change, "");
    assert_eq!((code, flags.as_str()), (1, "[\"stale\"]"), "{notes}");
}

#[test]
fn d1_a_source_that_was_replaced_makes_it_stale_whatever_its_time() {
    assert_stale(|code| {
        write_with_time_of(&code.join("new"), "other", &code.join("a.py"));
        fs::rename(code.join("new"), code.join("a.py")).unwrap();
    });
}

#[test]
fn d1_a_source_that_was_removed_makes_it_stale() {
    assert_stale(|code| fs::remove_file(code.join("deep/b.py")).unwrap());
}

#[test]
fn d1_a_source_that_was_added_with_an_old_time_makes_it_stale() {
    assert_stale(|code| write_with_time_of(&code.join("c.py"), "c", &code.join("a.py")));
}

#[test]
fn a_neighbour_a_source_that_was_renamed_makes_it_stale() {
    assert_stale(|code| fs::rename(code.join("a.py"), code.join("deep/a.py")).unwrap());
}

#[test]
fn a_neighbour_what_is_no_source_makes_nothing_stale() {
    let (code, flags, notes) = changed(
        |code| {
            write_with_time_of(&code.join("notes.txt"), "x", &code.join("a.py"));
            fs::remove_file(code.join("notes.txt")).unwrap();
        },
        "",
    );
    assert_eq!((code, flags.as_str()), (0, "[]"), "{notes}");
}

#[test]
fn d2_what_cannot_be_told_is_unknown() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    // Who listens for somebody else hides the process that answers, as that of another user is hidden.
    let program = folder.path().join("docker-proxy");
    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &program).unwrap();
    let service = FaultyService::start_as(&program, SERVICE, "");
    let scene = Scene::with_inventory(&format!(
        "services:\n  api: {{profile: http, url: \"http://127.0.0.1:{}/health/live\", sources: [a.py], start: {{command: [x]}}}}\n",
        service.port()
    ));
    scene.write("a.py", "");
    for flag in ["stale", "foreign", "split"] {
        let (code, flags, notes) = check(&scene, flag);
        assert_eq!((code, flags.as_str()), (3, "[]"), "{flag}: {notes}");
        assert!(
            notes.contains(&format!("{flag} cannot be told: ")),
            "{notes}"
        );
        assert!(notes.contains("only forwards connections"), "{notes}");
    }
    let (code, _, notes) = check(&scene, "flapping");
    assert_eq!(code, 0, "{notes}");
    let table = scene.run(&["check", "--fail-on", "stale"]);
    assert!(table.stdout.contains("stale cannot be told"), "{table:?}");
}

#[test]
fn d2_neighbour_what_another_user_runs_cannot_be_told() {
    // Only root can run a program as two users.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let service = FaultyService::start(SERVICE, "");
    let scene = Scene::with_inventory(&format!(
        "services:\n  api: {{profile: http, url: \"http://127.0.0.1:{}/health/live\", sources: [a.py], start: {{command: [x]}}}}\n",
        service.port()
    ));
    scene.write("a.py", "");
    let copy = scene.path().join("healthctl");
    fs::copy(program(), &copy).expect("the binary can be copied");
    let other = 65534;
    std::os::unix::fs::chown(scene.path(), Some(other), None).expect("root may do that");
    for flag in ["stale", "foreign", "split"] {
        let words = ["check", "--fail-on", flag, "-o", "json"];
        let mut command = scene.command_of(&copy, &words);
        let ran = Ran::of(command.uid(other));
        assert_eq!(ran.code, 3, "{flag}: {ran:?}");
        assert!(
            ran.stdout.contains(&format!("{flag} cannot be told: ")),
            "{ran:?}"
        );
    }
    let mut command = scene.command_of(&copy, &["shutdown", "--yes", "api"]);
    let ran = Ran::of(command.uid(other));
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(scene.run(&["check"]).code, 0);
}

#[test]
fn a_neighbour_what_runs_elsewhere_cannot_be_told() {
    let proxy = Fake::http(|_, _| (200, String::new()));
    let scene = Scene::with_inventory(&format!(
        "services:\n  api: {{profile: http, url: \"http://elsewhere.invalid\", proxy: \"{}\", sources: [a.py]}}\n",
        proxy.url()
    ));
    scene.write("a.py", "");
    let (code, flags, notes) = check(&scene, "stale");
    assert_eq!((code, flags.as_str()), (3, "[]"), "{notes}");
    assert!(notes.contains("does not listen on this machine"), "{notes}");
    // Where nothing is named as its code there is nothing to tell.
    let plain = Scene::with_inventory(&format!(
        "services:\n  api: {{profile: http, url: \"http://elsewhere.invalid\", proxy: \"{}\"}}\n",
        proxy.url()
    ));
    assert_eq!(check(&plain, "stale,foreign,split").0, 0);
}

#[test]
fn a_neighbour_patterns_that_match_no_file_tell_nothing() {
    let server = Fake::http(|_, _| (200, String::new()));
    for key in ["sources", "config_files"] {
        let scene = Scene::with_inventory(&format!(
            "services:\n  api: {{profile: http, url: \"{}\", {key}: [\"nowhere/**/*.py\", \"*.toml\"]}}\n",
            server.url()
        ));
        let (code, flags, notes) = check(&scene, "stale");
        assert_eq!((code, flags.as_str()), (3, "[]"), "{notes}");
        let expected = format!("its `{key}` match no file: nowhere/**/*.py, *.toml");
        assert!(notes.contains(&expected), "{notes}");
        // One that matches is enough to tell.
        scene.write("app.toml", "");
        let (_, _, notes) = check(&scene, "stale");
        assert!(!notes.contains("match no file"), "{notes}");
    }
}

#[test]
fn a_neighbour_the_same_inventory_named_from_elsewhere_makes_nothing_stale() {
    let api = Scripted::new("", "sources: [app.txt]");
    let scene = api.scene();
    scene.write("app.txt", "one");
    let elsewhere = tempfile::tempdir().expect("a folder can be made");
    let link = elsewhere.path().join("link");
    std::os::unix::fs::symlink(scene.path(), &link).expect("a link can be made");
    let here = scene.path().join("healthctl.yaml");
    let name = scene.path().file_name().expect("it has a name");
    let parent = scene.path().parent().expect("it has a parent");
    let relative = Path::new(name).join("healthctl.yaml");
    let ways = [
        (scene.path(), Path::new("healthctl.yaml")),
        (Path::new("/"), &here),
        (parent, &relative),
        (elsewhere.path(), Path::new("link/healthctl.yaml")),
    ];
    let run = |words: &[&str], (directory, file): (&Path, &Path)| {
        let file = file.to_str().expect("a path is text");
        let mut command = scene.command(&[words, &["-f", file]].concat());
        Ran::of(command.current_dir(directory))
    };
    let stale = |way| run(&["check", "--fail-on", "stale"], way).code;
    for way in ways {
        let started = run(&["start", "--yes", "api"], way);
        assert!(started.stdout.contains(": started: "), "{started:?}");
        for other in ways {
            assert_eq!(stale(other), 0, "{way:?}: {other:?}");
        }
        // A source is replaced by one with its time: only its fingerprint tells that.
        let path = scene.path().join("app.txt");
        write_with_time_of(&scene.path().join("other.txt"), "two", &path);
        fs::rename(scene.path().join("other.txt"), &path).expect("it can be renamed");
        for other in ways {
            assert_eq!(stale(other), 1, "{way:?}: {other:?}");
        }
        let stopped = run(&["shutdown", "--yes", "api"], way);
        assert!(stopped.stdout.contains(": stopped: "), "{stopped:?}");
    }
}

#[test]
fn a_neighbour_a_link_that_an_entry_names_may_lead_elsewhere() {
    let (scene, port) = (Scene::new(), free_port());
    for release in ["one", "two"] {
        scene.write(&format!("releases/{release}/index.html"), release);
    }
    let link = scene.path().join("current");
    std::os::unix::fs::symlink("releases/one", &link).expect("a link can be made");
    let folder = scene.path().display();
    scene.write(
        "healthctl.yaml",
        &format!(
            "services:\n  api: {{profile: http, url: \"http://127.0.0.1:{port}\", \
             start: {{command: [python3, -m, http.server, --bind, 127.0.0.1, \"{port}\"], cwd: current, env: {{{MARK}: \"{folder}\"}}}}}}\n"
        ),
    );
    let stage = Stage::of(scene);
    let scene = stage.scene();
    let ran = scene.run(&["start", "--yes", "api"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    std::fs::remove_file(&link).expect("it can be removed");
    std::os::unix::fs::symlink("releases/two", &link).expect("a link can be made");
    let (_, flags, notes) = check(scene, "stale");
    assert!(!flags.contains("stale"), "its entry is the same: {notes}");
}

/// Waits until the file holds this text.
fn wait_for_text(path: &Path, text: &str) {
    let what = format!("{text} in {}", path.display());
    wait_until(&what, || {
        fs::read_to_string(path).is_ok_and(|it| it == text)
    });
}

/// Waits until the time of this file is past by more than the kernel's count of starts is exact (a hundredth of a second).
fn wait_past(path: &Path) {
    let time = written(path);
    while time.elapsed().unwrap_or_default() < Duration::from_millis(50) {
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn d4_a_worker_that_was_forked_after_the_change_may_have_read_it() {
    let (scene, port) = (Scene::new(), free_port());
    scene.write("forks.py", include_str!("../../support/forks.py"));
    scene.write("app.txt", "one");
    scene.write(
        "healthctl.yaml",
        &format!(
            "services:\n  api: {{profile: http, url: \"http://127.0.0.1:{port}\", sources: [app.txt], \
             start: {{command: [python3, forks.py, \"{port}\"]}}}}\n"
        ),
    );
    let again = scene.path().join("again");
    assert!(
        Command::new("mkfifo")
            .arg(&again)
            .status()
            .unwrap()
            .success()
    );
    wait_past(&scene.path().join("app.txt"));
    let mut command = Command::new("python3");
    command
        .args(["forks.py", &port.to_string()])
        .current_dir(scene.path());
    let _server = Running::start(&mut command).expect("python3 can be run");
    wait_for_port(port);
    wait_for_text(&scene.path().join("forks"), "1");
    let (code, flags, notes) = check(&scene, "stale");
    assert_eq!((code, flags.as_str()), (0, "[]"), "{notes}");
    wait_past(&scene.path().join("forks"));
    // The worker is older than the change: it has not read it.
    scene.write("app.txt", "two");
    let (code, flags, notes) = check(&scene, "stale");
    assert_eq!((code, flags.as_str()), (1, "[\"stale\"]"), "{notes}");
    wait_past(&scene.path().join("app.txt"));
    drop(File::options().write(true).open(&again).unwrap());
    wait_for_text(&scene.path().join("forks"), "2");
    let (code, flags, notes) = check(&scene, "stale");
    assert_eq!((code, flags.as_str()), (3, "[]"), "{notes}");
    assert!(
        notes.contains("was forked after app.txt changed"),
        "{notes}"
    );
}

#[test]
fn k7_a_service_that_reads_its_code_again_is_not_stale() {
    let save = |code: &Path| fs::write(code.join("a.py"), "changed").expect("it can be written");
    for (entry, code, told) in [
        ("", 1, "hot_reload: true"),
        ("hot_reload: true", 0, "is read again by itself"),
        ("hot_reload: [sources]", 0, "is read again by itself"),
        ("hot_reload: [config_files]", 1, "stale: code/a.py changed"),
        ("hot_reload: false", 1, "stale: code/a.py changed"),
    ] {
        let (found, _, notes) = changed(save, entry);
        assert_eq!(found, code, "{entry}: {notes}");
        assert!(notes.contains(told), "{entry}: {notes}");
    }
}

#[test]
fn d1_neighbour_a_restart_without_a_build_takes_no_change_in() {
    let scene = Scene::with_inventory(
        "services:\n  api:\n    probes: {live: {exec: [sh, -c, \"kill -0 $(cat pid)\"]}}\n    sources: [\"*.go\"]\n    \
         start: {command: [bin/server, -c, \"echo $$$$ > pid; sleep 309; true\"]}\n",
    );
    fs::create_dir(scene.path().join("bin")).expect("a folder can be made");
    let program = scene.path().join("bin/server");
    let build = || {
        // A new file in its place, as a compiler leaves it.
        let new = scene.path().join("bin/new");
        fs::copy("/bin/sh", &new).expect("a program can be copied");
        fs::rename(&new, &program).expect("it can take its place");
    };
    scene.write("main.go", "one");
    build();
    let act = |action: &str| {
        let ran = scene.run(&[action, "--yes", "api"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    };
    act("start");
    let (code, flags, notes) = check(&scene, "stale");
    assert_eq!((code, flags.as_str()), (0, "[]"), "{notes}");
    scene.write("main.go", "two");
    assert_eq!(check(&scene, "stale").0, 1);
    act("restart");
    let (code, flags, notes) = check(&scene, "stale");
    assert_eq!((code, flags.as_str()), (3, "[]"), "{notes}");
    assert!(
        notes.contains("main.go changed after bin/server"),
        "{notes}"
    );
    act("shutdown");
}
