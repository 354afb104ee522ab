//! Services as developers of Java, Go and Node run them.

use super::*;

/// The entry of a service with the routes of Spring Boot.
fn boot(service: &FaultyService, more: &str) -> Scene {
    Scene::with_inventory(&format!(
        "services:\n  api:\n    profile: spring-boot\n    url: http://127.0.0.1:{}\n{more}",
        service.port()
    ))
}

#[test]
fn k1_an_error_page_is_no_list_of_reloaded_parts() {
    for code in [404, 405, 501] {
        let mut service = FaultyService::start(SERVICE, &format!("boot reload={code}"));
        let ran = run(&boot(&service, ""), "reload --yes api");
        assert_ended(&ran, "refused", 4);
        assert!(ran.stdout.contains(&format!("answered {code}")), "{ran:?}");
        assert!(ran.stdout.contains("actions: {reload:"), "{ran:?}");
        assert!(!ran.stdout.contains("reloaded timestamp"), "{ran:?}");
        assert!(service.runs());
    }
}

#[test]
fn k1_neighbour_a_fault_is_a_refusal_and_has_no_parts() {
    let service = FaultyService::start(SERVICE, "boot reload=500");
    let ran = run(&boot(&service, ""), "reload --yes -o json api");
    assert_eq!(ran.code, 5, "{ran:?}");
    let results: Value = serde_json::from_str(&ran.stdout).expect("an array");
    assert_eq!(results[0]["verdict"], "reload-rejected", "{ran:?}");
    assert_eq!(results[0]["parts"], serde_json::json!([]), "{ran:?}");
}

#[test]
fn k4_routes_that_are_not_there_make_no_service_ready() {
    let service = Startable::new("api", "").of_profile("spring-boot");
    let stage = Stage::new(SERVICE, &[&service]);
    let ran = run(stage.scene(), "start --yes --timeout 8s api");
    assert_ended(&ran, "not-ready", 124);
    for route in [
        "/actuator/health/readiness",
        "/actuator/health answered 404",
    ] {
        assert!(ran.stdout.contains(route), "{route}: {ran:?}");
    }
}

#[test]
fn k4_neighbour_where_another_route_answers_a_missing_one_says_nothing() {
    let service = Startable::new("api", "boot").of_profile("spring-boot");
    let stage = Stage::new(SERVICE, &[&service]);
    assert_ended(&run(stage.scene(), "start --yes api"), "started", 0);
}

#[test]
fn k6_a_shutdown_route_that_is_off_gives_way_to_the_proved_process() {
    let service = FaultyService::start(SERVICE, "boot shutdown=404");
    let scene = boot(&service, "");
    let pid = format!("SIGTERM to pid {}", service.pid());
    let dry = run(&scene, "shutdown --dry-run api");
    assert!(
        dry.stdout
            .contains(&format!("or, where that is not offered, {pid}")),
        "{dry:?}"
    );
    let ran = run(&scene, "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
    assert!(ran.stdout.contains("answered 404"), "{ran:?}");
    assert!(ran.stdout.contains(&pid), "{ran:?}");
}

#[test]
fn k2_a_start_waits_for_the_end_of_what_is_still_stopping() {
    let stage = Stage::new(
        SERVICE,
        &[&Startable::new("api", "schedule=late gate=gate")],
    );
    assert_ended(&run(stage.scene(), "start --yes api"), "started", 0);
    let old = stage.running();
    let ran = run(stage.scene(), "shutdown --yes --schedule api");
    assert_ended(&ran, "accepted", 0);
    let mut acting = begin(stage.scene(), "start --yes api");
    acting.until("waiting until it has ended");
    stage.scene().write("gate", "");
    let ran = acting.end();
    assert_ended(&ran, "started", 0);
    assert_ne!(stage.running(), old);
    assert!(!ran.stdout.contains(&format!("pid {}", old[0])), "{ran:?}");
}

#[test]
fn k2_neighbour_one_that_does_not_end_in_time_is_named() {
    let stage = started("schedule=close", "");
    let old = stage.running();
    let ran = run(stage.scene(), "shutdown --yes --schedule api");
    assert_ended(&ran, "accepted", 0);
    let ran = run(stage.scene(), "start --yes --timeout 1s api");
    assert_ended(&ran, "still-draining", 124);
    assert!(ran.stdout.contains(&format!("pid {}", old[0])), "{ran:?}");
    assert_eq!(stage.running(), old, "nothing was started beside it");
}

/// Starts a program that prints this and fails.
fn failing(output: &str) -> Ran {
    let scene = Scene::with_inventory(&format!(
        "services:\n  api:\n    profile: http\n    url: http://127.0.0.1:{}\n    start: {{command: [./fail.sh]}}\n",
        free_port()
    ));
    let script = scene.write(
        "fail.sh",
        &format!("#!/bin/sh\nprintf '{output}'\nexit 1\n"),
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(script, mode).expect("permissions can be set");
    run(&scene, "start --yes api")
}

#[test]
fn k9_colour_codes_are_no_last_words() {
    let ran = failing("ERROR port 8080 is taken\\n\\033[0m\\033[0m\\n");
    assert_ended(&ran, "died", 5);
    assert!(
        ran.stdout
            .contains("its last line: ERROR port 8080 is taken"),
        "{ran:?}"
    );
    assert!(!ran.stderr.contains("u{1b}"), "{ran:?}");
}

#[test]
fn k9_neighbour_of_a_trace_the_last_cause_is_told() {
    let ran = failing(
        "java.lang.A: a\\n\\tat x.Y(Z.java:1)\\nCaused by: b\\n\\tat x\\nCaused by: bind failed\\n\\t... 12 more\\n",
    );
    assert_ended(&ran, "died", 5);
    assert!(ran.stdout.contains("Caused by: bind failed"), "{ran:?}");
}

#[test]
fn k11_the_figure_is_what_has_passed_and_the_time_out_holds() {
    let stage = started("", "");
    let pid = i32::try_from(stage.running()[0]).expect("a pid is small");
    let pid = rustix::process::Pid::from_raw(pid).expect("it runs");
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("it can be stopped");
    let began = std::time::Instant::now();
    let ran = run(stage.scene(), "shutdown --yes --timeout 6s -o json api");
    let passed = began.elapsed().as_secs_f64();
    let results: Value = serde_json::from_str(&ran.stdout).expect("an array");
    let told = results[0]["elapsed_seconds"].as_f64().expect("a figure");
    assert_ne!(ran.code, 0, "{ran:?}");
    // The rest is healthctl's own start and end.
    let rest = passed - told;
    assert!((-0.1..6.0).contains(&rest), "{told} of {passed}: {ran:?}");
}
