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
    let ran = run(stage.scene(), "start --yes --timeout 3s api");
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
