//! Verdicts: nothing is said to be proved that was not.

use super::*;
use crate::support::watching::Watching;

#[test]
fn b1_a_process_that_reports_another_start_each_time_is_not_new() {
    let service = FaultyService::start(SERVICE, "start=wander");
    let scene = scene(
        &service,
        "    actions: {restart: {exec: [\"true\"]}, shutdown: off, schedule: off}\n",
    );
    let ran = run(&scene, "restart --yes --timeout 4s api");
    assert_ended(&ran, "same-process", 5);
    assert!(!ran.stderr.contains("proved new"), "{ran:?}");
}

#[test]
fn b1_neighbour_nor_where_its_process_is_not_known() {
    let service = hidden("start=wander");
    let more = "    actions: {restart: {exec: [\"true\"]}, shutdown: off, schedule: off}\n";
    let ran = run(&scene(&service, more), "restart --yes --timeout 2s api");
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(!ran.stdout.contains("restarted"), "{ran:?}");
    assert!(!ran.stderr.contains("proved new"), "{ran:?}");
    let said = ran.stderr.matches("differed from answer to answer").count();
    assert_eq!(said, 1, "{ran:?}");
}

#[test]
fn b1_neighbour_nor_is_it_started_anew_for_those_who_watch() {
    let service = FaultyService::start(SERVICE, "start=wander");
    let probes =
        "    interval: 200ms\n    probes: {startup: {http: /health/live, interval: 200ms}}\n";
    let scene = scene(&service, probes);
    let mut watching = Watching::start(&scene, &[]);
    // A process that is new with each answer would be told again and again.
    let mut told = (1..60).map(|_| watching.next());
    let settles = |change: &Value| {
        let notes = change["notes"].to_string();
        notes.contains("is no signal") && change["state"] == "healthy"
    };
    assert!(told.any(|change| settles(&change)));
    watching.end(rustix::process::Signal::TERM);
}

#[test]
fn b2_a_reply_that_says_ready_to_terminate_is_followed_by_a_signal() {
    let stage = started("shutdown=stay", "");
    let dry = run(stage.scene(), "restart --dry-run api");
    assert!(
        dry.stdout
            .contains("where it still runs 2s after its reply, SIGTERM to pid"),
        "{dry:?}"
    );
    let ran = run(stage.scene(), "restart --yes api");
    assert_ended(&ran, "restarted", 0);
    assert!(
        ran.stderr.contains("which still runs 2s after its reply"),
        "{ran:?}"
    );
    let lines = audit(stage.scene());
    let request = lines.last().unwrap()["request"].as_str().unwrap();
    assert!(
        request.contains("2s after its reply, SIGTERM to pid"),
        "{request}"
    );
}

#[test]
fn b2_neighbour_the_service_may_say_after_how_long_and_by_which_signal_or_not_at_all() {
    for (then, timeout, verdict, code) in [
        ("{signal: INT, after: 100ms}", "40s", "stopped", 0),
        ("off", "3s", "still-answering", 5),
    ] {
        let service = FaultyService::start(SERVICE, "shutdown=stay");
        let more = format!("    actions: {{shutdown: {{timeout: {timeout}, then: {then}}}}}\n");
        let scene = scene(&service, &more);
        let show = run(&scene, "show api");
        assert_eq!(show.stdout.contains("signal: INT"), code == 0, "{show:?}");
        let ran = run(&scene, "shutdown --yes api");
        assert_ended(&ran, verdict, code);
    }
}

#[test]
fn b2_neighbour_without_a_proved_process_it_ends_soon_and_says_what_would_help() {
    let service = hidden("shutdown=stay");
    // Without that it would take the 40 s of the profile.
    let ran = run(&scene(&service, ""), "shutdown --yes api");
    assert_ended(&ran, "still-answering", 5);
    assert!(ran.stdout.contains("no signal can follow"), "{ran:?}");
    assert!(ran.stdout.contains("`pid_file`"), "{ran:?}");
}

#[test]
fn b2_neighbour_a_signal_after_a_reply_belongs_to_a_route_to_shut_down() {
    for (actions, expected) in [
        (
            "shutdown: {signal: TERM, then: {signal: TERM, after: 2s}}",
            "`then`",
        ),
        (
            "reload: {http: /r, then: {signal: TERM, after: 2s}}",
            "only a `shutdown` has one",
        ),
        ("shutdown: {http: /s, then: {signal: TERM}}", "no time"),
        (
            "shutdown: {http: /s, then: {signal: KILL, after: 2s}}",
            "SIGKILL leaves no chance",
        ),
    ] {
        let scene = Scene::with_inventory(&format!(
            "services:\n  api:\n    profile: http\n    url: http://127.0.0.1:9\n    actions: {{{actions}}}\n"
        ));
        let ran = run(&scene, "validate");
        assert_eq!(ran.code, 2, "{actions}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{actions}: {ran:?}");
    }
}

#[test]
fn b3_a_shutdown_route_that_is_not_offered_gives_way_to_a_signal() {
    for code in [401, 403, 404, 405, 501] {
        let stage = started(&format!("shutdown={code}"), "");
        let dry = run(stage.scene(), "restart --dry-run api");
        assert!(
            dry.stdout
                .contains("or, where that is not offered, SIGTERM to pid"),
            "{dry:?}"
        );
        let ran = run(stage.scene(), "restart --yes api");
        assert_ended(&ran, "restarted", 0);
        let answer = format!("answered {code}");
        assert!(ran.stderr.contains(&answer), "{ran:?}");
        let ran = run(stage.scene(), "shutdown --yes api");
        assert_ended(&ran, "stopped", 0);
        assert!(ran.stdout.contains(&answer), "{ran:?}");
        assert!(ran.stdout.contains("SIGTERM to pid"), "{ran:?}");
    }
}

#[test]
fn b3_neighbour_a_command_is_used_where_no_process_is_proved() {
    let service = hidden("shutdown=404");
    let more = format!(
        "    actions: {{schedule: {{exec: [kill, \"{}\"]}}}}\n",
        service.pid()
    );
    let scene = scene(&service, &more);
    let ran = run(&scene, "shutdown --yes api");
    assert_ended(&ran, "not-listening", 0);
    assert!(ran.stdout.contains("answered 404"), "{ran:?}");
    assert!(ran.stdout.contains("kill"), "{ran:?}");
}

#[test]
fn b3_neighbour_without_another_means_nothing_was_done() {
    let mut service = hidden("shutdown=403");
    let scene = scene(&service, "");
    let ran = run(&scene, "shutdown --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("nothing was done"), "{ran:?}");
    assert!(ran.stdout.contains("answered 403 Forbidden"), "{ran:?}");
    assert_eq!(service.asked(), 1);
    let lines = audit(&scene);
    assert_eq!(lines.last().unwrap()["verdict"], "refused");
}

#[test]
fn b3_neighbour_a_scheduled_stop_gives_way_as_well() {
    let service = FaultyService::start(SERVICE, "schedule=405");
    let ran = run(&scene(&service, ""), "shutdown --schedule --yes api");
    assert_ended(&ran, "accepted", 0);
    assert!(ran.stdout.contains("answered 405"), "{ran:?}");
}

#[test]
fn b8_a_start_that_fails_before_it_is_launched_is_refused() {
    for (start, expected) in [
        (
            "{command: [sleep, \"9\"], cwd: nowhere}",
            "there is no directory",
        ),
        (
            "{command: [./x.sh]}",
            "its interpreter /usr/bin/nosuch does not exist",
        ),
        ("{command: [python3, gone.py]}", "gone.py"),
        ("{command: [./gone]}", "there is no such file"),
        ("{command: [sleep, \"9\"], log: x.sh/api.log}", "its log"),
    ] {
        let scene = Scene::with_inventory(&format!(
            "services:\n  api:\n    profile: http\n    url: http://127.0.0.1:{}\n    start: {start}\n",
            free_port()
        ));
        let script = scene.write("x.sh", "#!/usr/bin/nosuch\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(script, mode).expect("permissions can be set");
        let ran = run(&scene, "start --yes api");
        assert_ended(&ran, "refused", 4);
        assert!(ran.stdout.contains(expected), "{start}: {ran:?}");
    }
}

#[test]
fn b8_neighbour_a_restart_checks_that_before_it_stops_anything() {
    for (command, log, expected) in [
        (
            "./x.sh",
            "api.log",
            "its interpreter /usr/bin/nosuch does not exist",
        ),
        ("./fine.sh", "/proc/nowhere/api.log", "its log"),
    ] {
        let mut service = FaultyService::start(SERVICE, "shutdown=exit");
        let more =
            format!("    pid_file: api.pid\n    start: {{command: [{command}], log: {log}}}\n");
        let scene = scene(&service, &more);
        scene.write("api.pid", &service.pid().to_string());
        for (name, first_line) in [("x.sh", "#!/usr/bin/nosuch\n"), ("fine.sh", "#!/bin/sh\n")] {
            let script = scene.write(name, first_line);
            let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(script, executable).expect("permissions can be set");
        }
        let ran = run(&scene, "restart --yes api");
        assert_ended(&ran, "refused", 4);
        assert!(ran.stdout.contains(expected), "{ran:?}");
        assert!(service.runs() && service.asked() == 0);
    }
}

#[test]
fn b10_a_precheck_that_fails_leaves_the_service_running() {
    let precheck = "      precheck: [sh, -c, \"echo line 7 is bad; test ! -e broken\"]\n";
    let stage = started("", precheck);
    let old = stage.running();
    stage.scene().write("broken", "");
    let ran = run(stage.scene(), "restart --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("its precheck"), "{ran:?}");
    assert!(ran.stdout.contains("line 7 is bad"), "{ran:?}");
    assert_eq!(stage.running(), old);
    std::fs::remove_file(stage.scene().path().join("broken")).expect("it is there");
    assert_ended(&run(stage.scene(), "restart --yes api"), "restarted", 0);
}

#[test]
fn b10_neighbour_a_start_is_checked_as_well() {
    for (precheck, expected) in [("[\"false\"]", "exit status: 1"), ("[./gone]", "gone")] {
        let more = format!("      precheck: {precheck}\n");
        let stage = Stage::new(SERVICE, &[&Startable::new("api", "").with(&more)]);
        let ran = run(stage.scene(), "start --yes api");
        assert_ended(&ran, "refused", 4);
        assert!(ran.stdout.contains(expected), "{ran:?}");
        assert!(stage.running().is_empty());
    }
}

#[test]
fn b_neighbour_a_service_that_goes_on_can_be_ended_by_force_and_it_is_said() {
    for (words, verdict) in [
        ("shutdown=stay", "still-answering"),
        ("shutdown=close", "still-draining"),
    ] {
        let mut service = FaultyService::start(SERVICE, words);
        let scene = scene(
            &service,
            "    actions: {shutdown: {timeout: 3s, then: off}}\n",
        );
        let ran = run(&scene, "shutdown --yes api");
        assert!(ran.stdout.contains(verdict), "{ran:?}");
        assert!(ran.stdout.contains("`--force` ends it"), "{ran:?}");
        // Nobody listens any more at the address of the second one, and what the stop was for is on record.
        let ran = run(&scene, "shutdown --yes --force --timeout 1s api");
        assert_ended(&ran, "stopped", 0);
        assert!(!service.runs(), "{words}: {ran:?}");
    }
}

#[test]
fn b_neighbour_a_service_that_listens_elsewhere_is_told_by_its_address() {
    let service = Startable::new("api", "");
    let stage = Stage::new(SERVICE, &[&service]);
    let path = stage.scene().path().join("healthctl.yaml");
    let inventory = std::fs::read_to_string(path).expect("it is there");
    let (own, other) = (
        format!("url: http://127.0.0.1:{}", service.port()),
        free_port(),
    );
    let other = format!("url: http://127.0.0.1:{other}");
    stage
        .scene()
        .write("healthctl.yaml", &inventory.replace(&own, &other));
    let ran = run(stage.scene(), "start --yes --timeout 8s api");
    assert_ended(&ran, "not-ready", 124);
    let elsewhere = format!("it listens at 127.0.0.1:{}", service.port());
    assert!(ran.stdout.contains(&elsewhere), "{ran:?}");
}

#[test]
fn b_neighbour_a_program_that_reads_its_empty_input_is_told_so() {
    let scene = Scene::with_inventory(&format!(
        "services:\n  api:\n    profile: http\n    url: http://127.0.0.1:{}\n    start: {{command: [cat]}}\n",
        free_port()
    ));
    let ran = run(&scene, "start --yes api");
    assert_ended(&ran, "died", 5);
    assert!(ran.stdout.contains("standard input"), "{ran:?}");
}

#[test]
fn b5_a_reload_clears_what_its_configuration_has_raised() {
    let reload = "    config_files: [conf.yaml]\n    actions: {reload: {http: /config/reload}}\n";
    let stage = Stage::new(SERVICE, &[&Startable::new("api", "").with(reload)]);
    stage.scene().write("conf.yaml", "a: 1\n");
    assert_ended(&run(stage.scene(), "start --yes api"), "started", 0);
    let check = || run(stage.scene(), "check --fail-on stale -o json");
    let is_told = |ran: &Ran| ran.stdout.contains("conf.yaml changed");
    assert!(!is_told(&check()));
    stage.scene().write("conf.yaml", "a: 2\n");
    let ran = check();
    assert!(ran.code == 1 && is_told(&ran), "{ran:?}");
    assert_ended(&run(stage.scene(), "reload --yes api"), "reloaded", 0);
    let ran = check();
    assert!(ran.code == 0 && !is_told(&ran), "{ran:?}");
    stage.scene().write("conf.yaml", "a: 3\n");
    assert!(is_told(&check()), "a later change is another one");
}

#[test]
fn b5_neighbour_a_reload_that_is_rejected_clears_nothing() {
    let reload = "    config_files: [conf.yaml]\n    actions: {reload: {http: /config/reload}}\n";
    let stage = Stage::new(
        SERVICE,
        &[&Startable::new("api", "reload=reject").with(reload)],
    );
    assert_ended(&run(stage.scene(), "start --yes api"), "started", 0);
    stage.scene().write("conf.yaml", "a: 2\n");
    assert_ended(
        &run(stage.scene(), "reload --yes api"),
        "reload-rejected",
        5,
    );
    let ran = run(stage.scene(), "check --fail-on stale");
    assert!(ran.code == 1 && ran.stdout.contains("conf.yaml"), "{ran:?}");
    assert_ended(&run(stage.scene(), "restart --yes api"), "restarted", 0);
    let ran = run(stage.scene(), "check --fail-on stale");
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// Holds a port without listening on it, as closed connections do for a minute.
fn hold(port: u16) -> rustix::fd::OwnedFd {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
    let socket = socket.expect("a socket can be made");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    bind(&socket, &address).expect("the port is free");
    socket
}

#[test]
fn b6_a_port_that_nobody_listens_on_is_waited_for() {
    let service = Startable::new("api", "");
    let stage = Stage::new(SERVICE, &[&service]);
    let held = hold(service.port());
    let mut acting = begin(stage.scene(), "start --yes api");
    acting.until("waiting until it is free");
    drop(held);
    assert_ended(&acting.end(), "started", 0);
    assert_eq!(stage.running().len(), 1);
}

#[test]
fn b6_neighbour_a_start_that_fails_for_another_reason_is_not_tried_again() {
    let service = Startable::new("api", "fail");
    let stage = Stage::new(SERVICE, &[&service]);
    let _held = hold(service.port());
    let ran = run(stage.scene(), "start --yes api");
    assert_ended(&ran, "died", 5);
    assert!(!ran.stderr.contains("waiting until"), "{ran:?}");
}
