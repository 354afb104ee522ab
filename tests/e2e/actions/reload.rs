//! Verdicts on a reload: by route, by signal, by command.

use super::*;
use crate::support::waiting::wait_until;

/// The service reloads by its route, whose reply has parts.
const ROUTE: &str = "    actions: {reload: {http: /config/reload, reply: {parts: {at: /parts}}}}\n";

/// Runs a reload by the route of a service with these words.
fn by_route(words: &str, flags: &str) -> (FaultyService, Scene, Ran) {
    let faulty = service(words);
    let scene = scene(&faulty, ROUTE);
    let ran = run(&scene, &format!("reload --yes {flags} api"));
    (faulty, scene, ran)
}

fn by_signal(words: &str, signal: &str) -> (FaultyService, Ran) {
    let faulty = service(words);
    let actions = format!("    actions: {{reload: {{signal: {signal}}}}}\n");
    let ran = run(&scene(&faulty, &actions), "reload --yes api");
    (faulty, ran)
}

fn by_command(words: &str, command: &str) -> (FaultyService, Ran) {
    let faulty = service(words);
    let command = command.replace("PID", &faulty.pid().to_string());
    let actions = format!("    actions: {{reload: {{exec: [sh, -c, '{command}']}}}}\n");
    let ran = run(&scene(&faulty, &actions), "reload --yes api");
    (faulty, ran)
}

#[test]
fn a_service_that_answers_and_goes_on_has_reloaded() {
    let (mut faulty, _, ran) = by_route("reload=empty", "");
    assert_ended(&ran, "reloaded", 0);
    let goes_on = format!("pid {}", faulty.pid());
    assert!(ran.stdout.contains("answered 200 OK"), "{ran:?}");
    assert!(ran.stdout.contains(&goes_on), "{ran:?}");
    assert_eq!(faulty.asked(), 1, "a reload is sent once");
}

#[test]
fn parts_are_told_by_name() {
    let (_rogue, scene, ran) = by_route("reload=parts", "-o json");
    assert_eq!(ran.code, 0, "{ran:?}");
    let accounts: Value = serde_json::from_str(&ran.stdout).expect("the account is JSON");
    assert_eq!(accounts[0]["verdict"], "reloaded");
    assert_eq!(accounts[0]["parts"][0]["name"], "adapters");
    assert_eq!(accounts[0]["parts"][0]["status"], "reloaded");
    assert_eq!(accounts[0]["parts"][1]["status"], "unchanged");
    let lines = audit(&scene);
    let [before, after] = lines.as_slice() else {
        panic!("a line before and one after: {lines:?}");
    };
    assert_eq!(before["action"], "reload");
    assert_eq!(before["verdict"], Value::Null);
    assert_eq!(after["verdict"], "reloaded");
    assert_eq!(before["before"]["pid"], after["before"]["pid"]);
    assert!(after["after"]["started_at"].is_string(), "{after}");
}

#[test]
fn a_part_that_needs_a_restart_makes_a_reload_partial() {
    let (_rogue, _, ran) = by_route("reload=partial", "");
    assert_ended(&ran, "reload-partial", 5);
    assert!(
        ran.stdout
            .contains("needs a restart: port; reloaded adapters"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("port: needs-restart"), "{ran:?}");
}

#[test]
fn a_refusal_is_told_in_the_words_of_the_service() {
    let (mut faulty, _, ran) = by_route("reload=reject", "");
    assert_ended(&ran, "reload-rejected", 5);
    assert!(
        ran.stdout.contains(
            "it keeps its old configuration: failed to reload config: line 3: no such adapter"
        ),
        "{ran:?}"
    );
    assert!(faulty.runs());
    assert_eq!(faulty.asked(), 1, "a reload is never sent again");
}

#[test]
fn a_service_without_reload_switched_on_keeps_its_configuration() {
    let (_rogue, _, ran) = by_route("reload=deny", "");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("nothing was reloaded"), "{ran:?}");
    assert!(
        ran.stdout
            .contains("403 Forbidden: Lifecycle API is not enabled."),
        "{ran:?}"
    );
}

#[test]
fn a_reload_that_will_be_done_later_is_accepted() {
    let (_rogue, _, ran) = by_route("reload=later", "");
    assert_ended(&ran, "accepted", 0);
}

#[test]
fn a_service_that_answers_and_exits_has_died() {
    let (faulty, _, ran) = by_route("reload=exit", "");
    assert_ended(&ran, "died", 5);
    let exited = format!("pid {}", faulty.pid());
    assert!(ran.stdout.contains(&exited), "{ran:?}");
    assert!(ran.stdout.contains("has exited"), "{ran:?}");
    assert!(ran.stdout.contains("answered 200 OK"), "{ran:?}");
}

#[test]
fn a_lost_connection_tells_nothing() {
    let (mut faulty, _, ran) = by_route("reload=cut", "");
    assert_ended(&ran, "unverified", 5);
    assert!(ran.stdout.contains("goes on"), "{ran:?}");
    assert_eq!(faulty.asked(), 1);
}

#[test]
fn no_reply_in_time_tells_nothing() {
    let (mut faulty, _, ran) = by_route("reload=hang", "--timeout 2s");
    assert_ended(&ran, "unverified", 5);
    assert!(ran.stdout.contains("no reply"), "{ran:?}");
    assert_eq!(faulty.asked(), 1);
}

#[test]
fn a_service_that_no_longer_listens_is_no_success() {
    let (mut faulty, _, ran) = by_route("reload=close", "");
    assert_ended(&ran, "unverified", 5);
    assert!(ran.stdout.contains("refuses connections"), "{ran:?}");
    assert!(faulty.runs());
}

#[test]
fn a_signal_is_accepted_while_the_same_process_goes_on() {
    let (mut faulty, ran) = by_signal("sighup=take", "HUP");
    assert_ended(&ran, "accepted", 0);
    let delivered = format!("SIGHUP delivered to pid {}", faulty.pid());
    assert!(ran.stdout.contains(&delivered), "{ran:?}");
    assert!(ran.stdout.contains("goes on"), "{ran:?}");
    wait_until("it has taken the signal", || faulty.asked() > 0);
    assert_eq!(faulty.asked(), 1);
}

#[test]
fn a_service_that_ends_on_its_signal_has_died() {
    let (_rogue, ran) = by_signal("sighup=exit", "HUP");
    assert_ended(&ran, "died", 5);
}

#[test]
fn a_signal_that_would_end_the_process_is_not_sent() {
    let (mut faulty, ran) = by_signal("", "USR1");
    assert_ended(&ran, "refused", 4);
    assert!(
        ran.stdout
            .contains("has no handler for SIGUSR1: it would end it"),
        "{ran:?}"
    );
    assert!(faulty.runs());
}

#[test]
fn a_command_that_succeeds_is_accepted() {
    let (mut faulty, ran) = by_command("sighup=take", "kill -HUP PID");
    assert_ended(&ran, "accepted", 0);
    wait_until("it has taken the signal", || faulty.asked() > 0);
    assert_eq!(faulty.asked(), 1);
}

#[test]
fn a_command_that_succeeds_proves_nothing_without_a_known_process() {
    let faulty = hidden("start=none");
    let actions = "    actions: {reload: {exec: [\"true\"]}}\n";
    let ran = run(&scene(&faulty, actions), "reload --yes api");
    assert_ended(&ran, "unverified", 5);
    assert!(
        ran.stdout.contains("a `pid_file`, or a start time"),
        "it tells what would prove it: {ran:?}"
    );
}

#[test]
fn a_command_that_fails_is_a_rejection_with_its_last_line() {
    let (mut faulty, ran) = by_command("", "echo bad line 7 >&2; exit 3");
    assert_ended(&ran, "reload-rejected", 5);
    assert!(ran.stdout.contains("bad line 7"), "{ran:?}");
    assert!(faulty.runs());
}

#[test]
fn a_command_that_kills_the_service_is_noticed() {
    let (_rogue, ran) = by_command("", "kill -KILL PID");
    assert_ended(&ran, "died", 5);
}

#[test]
fn a_service_that_offers_none_is_refused() {
    let mut faulty = service("sighup=take");
    let ran = run(&scene(&faulty, ""), "reload --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("it offers no reload"), "{ran:?}");
    assert!(ran.stderr.contains("actions: {reload:"), "{ran:?}");
    assert_eq!(faulty.asked(), 0);
}

#[test]
fn a_service_that_does_not_run_is_refused() {
    let mut faulty = service("");
    let scene = scene(&faulty, ROUTE);
    faulty.exit();
    let ran = run(&scene, "reload --yes api");
    assert_ended(&ran, "refused", 4);
    assert!(ran.stdout.contains("it does not run"), "{ran:?}");
}

#[test]
fn a_reload_is_confirmed_protected_and_read_only_like_any_action() {
    let mut faulty = service("");
    let scene = scene(&faulty, &format!("    protected: true\n{ROUTE}"));
    for words in [
        "reload api",
        "reload --yes api",
        "--read-only reload --confirm api api",
    ] {
        assert_ended(&run(&scene, words), "refused", 4);
    }
    let ran = run(&scene, "reload --dry-run api");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("reload would send POST http://"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("means: reload route"), "{ran:?}");
    assert_eq!(run(&scene, "reload").code, 2, "it wants to know whom");
    assert_eq!(faulty.asked(), 0, "nothing was sent so far");
    assert_ended(&run(&scene, "reload --confirm api api"), "reloaded", 0);
    assert_eq!(faulty.asked(), 1);
}

#[test]
fn after_a_rejected_reload_no_other_service_is_asked() {
    let first = service("reload=reject");
    let mut second = service("reload=empty");
    let scene = Scene::with_inventory(&format!(
        "services:\n{}{}",
        entry("api", &first, ROUTE),
        entry("web", &second, ROUTE)
    ));
    let ran = run(&scene, "reload --yes --parallel 1 --all");
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stdout.contains("api: reload-rejected"), "{ran:?}");
    assert!(
        ran.stdout.contains("web: refused: nothing was sent"),
        "{ran:?}"
    );
    assert_eq!(second.asked(), 0);
}
