//! Verdicts on a shutdown by route.

use super::*;

#[test]
fn a_service_that_answers_and_exits_is_stopped() {
    let faulty = service("shutdown=exit");
    let scene = scene(&faulty, "");
    let ran = run(&scene, "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
    let proof = format!(
        "127.0.0.1:{} refuses connections and pid {}",
        faulty.port(),
        faulty.pid()
    );
    assert!(ran.stdout.contains(&proof), "{ran:?}");
    assert!(ran.stdout.contains("has exited"), "{ran:?}");
}

#[test]
fn a_service_that_answers_complete_and_stays_is_still_answering() {
    let mut faulty = service("shutdown=stay");
    let ran = run(&scene(&faulty, GOES_ON), "shutdown --yes api");
    assert_ended(&ran, "still-answering", 5);
    assert!(ran.stderr.contains("shutdown_complete"), "{ran:?}");
    assert_eq!(faulty.asked(), 1, "a shutdown is sent once");
}

#[test]
fn a_service_that_cuts_the_connection_and_exits_is_stopped() {
    let faulty = service("shutdown=cut");
    let ran = run(&scene(&faulty, ""), "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
}

#[test]
fn a_service_that_hangs_in_its_shutdown_is_still_answering() {
    let mut faulty = service("shutdown=hang");
    let ran = run(&scene(&faulty, ""), "shutdown --yes --timeout 1s api");
    assert_ended(&ran, "still-answering", 5);
    assert_eq!(faulty.asked(), 1, "a shutdown is never sent again");
}

#[test]
fn a_process_that_outlives_its_port_is_not_stopped_before_it_is_gone() {
    let mut faulty = service("shutdown=close");
    let scene = scene(&faulty, "");
    let mut acting = begin(&scene, "shutdown --yes api");
    acting.until("still runs");
    assert!(faulty.runs() && acting.goes_on());
    faulty.exit();
    assert_ended(&acting.end(), "stopped", 0);
}

#[test]
fn a_process_that_outlives_its_port_for_too_long_is_not_stopped() {
    let mut faulty = service("shutdown=close");
    let ran = run(&scene(&faulty, GOES_ON), "shutdown --yes api");
    assert_ended(&ran, "still-draining", 124);
    assert!(ran.stdout.contains("still runs"), "{ran:?}");
    assert!(faulty.runs());
}

#[test]
fn a_service_that_drains_is_stopped_when_it_has_drained() {
    let mut faulty = service("shutdown=drain");
    let scene = scene(&faulty, "");
    let mut acting = begin(&scene, "shutdown --yes api");
    acting.until("draining");
    assert!(acting.goes_on());
    faulty.exit();
    assert_ended(&acting.end(), "stopped", 0);
}

#[test]
fn a_service_that_drains_for_too_long_is_still_draining() {
    let faulty = service("shutdown=drain");
    let ran = run(&scene(&faulty, GOES_ON), "shutdown --yes api");
    assert_ended(&ran, "still-draining", 124);
}

#[test]
fn a_handler_that_fails_and_goes_on_serving_is_still_answering() {
    let faulty = service("shutdown=fault");
    let ran = run(&scene(&faulty, GOES_ON), "shutdown --yes api");
    assert_ended(&ran, "still-answering", 5);
    assert!(ran.stdout.contains("500 Internal Server Error"), "{ran:?}");
}

#[test]
fn a_service_that_rejects_the_request_is_not_waited_for() {
    let faulty = service("shutdown=400");
    // Without the answer this would take the 40 s of the profile.
    let ran = run(&scene(&faulty, ""), "shutdown --yes api");
    assert_ended(&ran, "still-answering", 5);
    assert!(ran.stdout.contains("400 Bad Request"), "{ran:?}");
}

#[test]
fn a_service_whose_status_cannot_be_read_is_stopped_all_the_same() {
    let faulty = service("status=401 shutdown=exit");
    let ran = run(&scene(&faulty, ""), "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
}

#[test]
fn ipv6_that_goes_on_answering_is_not_stopped() {
    let faulty = service("v6 shutdown=close-v4");
    let scene = Scene::with_inventory(&format!(
        "services:\n  api:\n    profile: hephaestus\n    url: http://localhost:{}\n{GOES_ON}",
        faulty.port()
    ));
    let ran = run(&scene, "shutdown --yes api");
    assert_ended(&ran, "still-answering", 5);
    let open = format!("[::1]:{}", faulty.port());
    assert!(ran.stdout.contains(&open), "{ran:?}");
}

#[test]
fn a_service_that_a_supervisor_starts_again_is_gone_then_back() {
    let mut old = service("shared shutdown=drain");
    let scene = scene(&old, "");
    let mut acting = begin(&scene, "shutdown --yes api");
    acting.until("draining");
    // The port never refuses: the new process listens before the old one exits.
    let _new = service(&format!("shared port={}", old.port()));
    old.exit();
    let ran = acting.end();
    assert_ended(&ran, "gone-then-back", 5);
}

#[test]
fn a_service_that_is_started_again_on_a_free_port_is_gone_then_back() {
    let mut old = service("shutdown=close");
    let mut new = service(&format!("standby port={}", old.port()));
    let scene = scene(&old, "");
    let mut acting = begin(&scene, "shutdown --yes api");
    acting.until("still runs");
    new.order("listen");
    old.exit();
    assert_ended(&acting.end(), "gone-then-back", 5);
}

#[test]
fn the_other_process_of_a_pair_on_one_port_is_no_successor() {
    let mut one = service("shared");
    let mut other = service(&format!("shared port={}", one.port()));
    let scene = scene(&one, "    replicas: true\n");
    let mut acting = begin(&scene, "shutdown --yes --timeout 3s api");
    acting.until("answered 200");
    one.exit();
    let ran = acting.end();
    assert_ended(&ran, "still-answering", 5);
    assert!(other.runs());
}

#[test]
fn a_service_without_a_known_process_is_only_not_listening() {
    let faulty = hidden("shutdown=exit");
    let ran = run(&scene(&faulty, ""), "shutdown --yes api");
    assert_ended(&ran, "not-listening", 0);
    assert!(ran.stdout.contains("its process is not known"), "{ran:?}");
}

#[test]
fn without_a_known_process_the_reported_start_tells_a_new_one() {
    let mut old = hidden("shared shutdown=drain");
    let scene = scene(&old, "");
    let mut acting = begin(&scene, "shutdown --yes api");
    acting.until("draining");
    let _new = hidden(&format!("shared port={}", old.port()));
    old.exit();
    let ran = acting.end();
    assert_ended(&ran, "gone-then-back", 5);
    assert!(
        ran.stderr.contains("start"),
        "the evidence is told: {ran:?}"
    );
}

#[test]
fn a_service_that_had_stopped_before_is_not_asked() {
    let mut faulty = service("");
    let scene = scene(&faulty, "");
    faulty.exit();
    let ran = run(&scene, "shutdown --yes api");
    assert_ended(&ran, "already-stopped", 0);
    let lines = audit(&scene);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["verdict"], "already-stopped");
}

#[test]
fn a_scheduled_shutdown_is_accepted_and_not_waited_for() {
    let mut faulty = service("schedule=drain");
    let ran = run(&scene(&faulty, ""), "shutdown --schedule --yes api");
    assert_ended(&ran, "accepted", 0);
    assert!(ran.stdout.contains("shutdown_scheduled"), "{ran:?}");
    assert!(faulty.runs());
}

#[test]
fn a_scheduled_shutdown_that_is_rejected_is_not_accepted() {
    let faulty = service("schedule=400");
    let ran = run(&scene(&faulty, ""), "shutdown --schedule --yes api");
    assert_ended(&ran, "still-answering", 5);
}

#[test]
fn a_scheduled_shutdown_that_fails_in_its_handler_is_not_accepted() {
    let faulty = service("schedule=fault");
    let ran = run(&scene(&faulty, ""), "shutdown --schedule --yes api");
    assert_ended(&ran, "still-answering", 5);
    assert!(ran.stdout.contains("500 Internal Server Error"), "{ran:?}");
}

#[test]
fn a_scheduled_shutdown_whose_connection_is_lost_is_watched() {
    let faulty = service("schedule=cut");
    let ran = run(&scene(&faulty, ""), "shutdown --schedule --yes api");
    assert_ended(&ran, "stopped", 0);
}

#[test]
fn a_route_that_only_waits_is_not_scheduled() {
    let mut faulty = service("");
    let scene = scene(&faulty, "    actions: {schedule: off}\n");
    let ran = run(&scene, "shutdown --schedule --yes api");
    assert_ended(&ran, "refused", 4);
    assert_eq!(faulty.asked(), 0);
}

#[test]
fn a_command_stops_a_service() {
    let faulty = service("");
    let more = format!(
        "    actions: {{shutdown: {{exec: [kill, \"{}\"]}}}}\n",
        faulty.pid()
    );
    let ran = run(&scene(&faulty, &more), "shutdown --yes api");
    assert_ended(&ran, "stopped", 0);
}

#[test]
fn a_command_that_fails_is_told_with_its_last_line() {
    let faulty = service("");
    let more = "    actions: {shutdown: {exec: [sh, -c, \"echo no such unit >&2; exit 5\"]}}\n";
    let ran = run(&scene(&faulty, more), "shutdown --yes api");
    assert_ended(&ran, "still-answering", 5);
    assert!(ran.stdout.contains("no such unit"), "{ran:?}");
}

#[test]
fn several_stop_dependents_first_and_no_more_after_one_that_does_not() {
    let mut web = service("shutdown=exit");
    let mut api = service("shutdown=stay");
    let mut db = service("shutdown=exit");
    let scene = Scene::with_inventory(&format!(
        "services:\n{}{}{}",
        entry("db", &db, ""),
        entry("api", &api, &format!("    depends_on: [db]\n{GOES_ON}")),
        entry("web", &web, "    depends_on: [api]\n"),
    ));
    let ran = run(&scene, "shutdown --yes --all -o json");
    assert_eq!(ran.code, 5, "{ran:?}");
    let accounts: Vec<Value> = serde_json::from_str(&ran.stdout).expect("an array");
    let verdicts: Vec<String> = accounts
        .iter()
        .map(|one| format!("{} {}", one["service"], one["verdict"]).replace('"', ""))
        .collect();
    assert_eq!(
        verdicts,
        ["web stopped", "api still-answering", "db refused"]
    );
    assert!(!web.runs() && db.runs());
    assert_eq!((api.asked(), db.asked()), (1, 0));
}

#[test]
fn an_interrupted_action_says_what_was_done() {
    let mut api = service("shutdown=drain");
    let mut db = service("shutdown=exit");
    let scene = Scene::with_inventory(&format!(
        "services:\n{}{}",
        entry("db", &db, ""),
        entry("api", &api, "    depends_on: [db]\n"),
    ));
    let mut acting = begin(&scene, "shutdown --yes --all");
    acting.until("draining");
    acting.interrupt();
    let ran = acting.end();
    assert_eq!(ran.code, 130, "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(
        lines[0].starts_with("api: unverified: interrupted: POST "),
        "{ran:?}"
    );
    assert!(
        lines[1].starts_with("db: refused: nothing was sent"),
        "{ran:?}"
    );
    assert!(api.runs() && db.runs());
    assert_eq!(db.asked(), 0);
}
