//! The inventory and the command line.

use crate::actions::SERVICE;
use crate::support::scene::{Ran, Scene};
use crate::support::started::{Stage, Startable};

/// A stage with services that need each other as `depends_on` says: `web: api`.
fn stage(services: &[(&'static str, &str)]) -> Stage {
    let services: Vec<Startable> = services
        .iter()
        .map(|(name, more)| Startable::new(name, "shutdown=exit").with(more))
        .collect();
    Stage::new(SERVICE, &services.iter().collect::<Vec<_>>())
}

fn run(stage: &Stage, words: &str) -> Ran {
    let words: Vec<&str> = words.split_ascii_whitespace().collect();
    stage.scene().run(&words)
}

/// The services that a report has a line for, in its order.
fn named(ran: &Ran) -> Vec<&str> {
    let lines = ran.stdout.lines().take_while(|line| !line.is_empty());
    lines
        .filter_map(|line| Some(line.split_once(": ")?.0))
        .collect()
}

#[test]
fn i6_services_are_acted_on_in_the_order_in_which_they_were_named() {
    let stage = stage(&[("plain", ""), ("slow", ""), ("other", "")]);
    let ran = run(&stage, "start --dry-run slow plain");
    assert!(ran.stderr.is_empty(), "{ran:?}");
    assert_eq!(named(&ran), ["slow", "plain"], "{ran:?}");
    let ran = run(&stage, "start --yes other slow plain");
    assert_eq!(named(&ran), ["other", "slow", "plain"], "{ran:?}");
    let ran = run(&stage, "restart --yes --parallel 1 slow plain");
    assert_eq!(named(&ran), ["slow", "plain"], "{ran:?}");
    let sent: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.contains("sending"))
        .filter_map(|line| line.split_once("s ")?.1.split(':').next())
        .collect();
    assert_eq!(sent, ["slow", "plain"], "{ran:?}");
}

#[test]
fn i_neighbour_globs_and_groups_keep_the_order_of_the_selectors() {
    let stage = stage(&[("api-a", ""), ("api-b", ""), ("job", "    group: jobs\n")]);
    let ran = run(&stage, "start --dry-run group:jobs api-*");
    assert_eq!(named(&ran), ["job", "api-a", "api-b"], "{ran:?}");
    let ran = run(&stage, "start --dry-run api-b api-*");
    assert_eq!(named(&ran), ["api-b", "api-a"], "{ran:?}");
    let ran = run(&stage, "start --dry-run --all");
    assert_eq!(named(&ran), ["api-a", "api-b", "job"], "{ran:?}");
}

#[test]
fn i_neighbour_what_a_service_needs_goes_before_the_order_given() {
    let stage = stage(&[("db", ""), ("web", "    depends_on: [db]\n")]);
    let ran = run(&stage, "start --dry-run web db");
    assert_eq!(named(&ran), ["db", "web"], "{ran:?}");
    let ran = run(&stage, "start --yes db web");
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = run(&stage, "shutdown --dry-run db web");
    assert_eq!(named(&ran), ["web", "db"], "{ran:?}");
}

#[test]
fn i7_a_state_directory_that_cannot_be_written_is_one_refusal_with_the_whole_way() {
    let stage = stage(&[("api", "")]);
    let ran = |words: &[&str]| {
        let mut command = stage.scene().command(words);
        // Not even root can make a directory there.
        command.env("XDG_STATE_HOME", "/proc/nowhere");
        Ran::of(&mut command)
    };
    for action in ["start", "restart"] {
        let ran = ran(&[action, "--yes", "api"]);
        assert_eq!(ran.code, 4, "{ran:?}");
        let hint = "set `XDG_STATE_HOME` to a directory that can be written";
        assert!(ran.stderr.contains(hint), "{ran:?}");
        assert!(!ran.stderr.contains("--no-audit"), "{ran:?}");
    }
    // A stop needs no record, so for it the shorter way is named, and it works.
    let refused = ran(&["shutdown", "--yes", "api"]);
    assert!(
        refused.stderr.contains("`--no-audit` acts without it"),
        "{refused:?}"
    );
    let stopped = ran(&["shutdown", "--yes", "--no-audit", "api"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
}

#[test]
fn a_start_brings_along_what_the_service_needs() {
    let stage = stage(&[
        ("db", ""),
        ("api", "    depends_on: [db]\n"),
        ("web", "    depends_on: [api]\n"),
    ]);
    assert_eq!(run(&stage, "start --yes db").code, 0);
    let plan = run(&stage, "start --dry-run web");
    assert_eq!(
        named(&plan),
        ["api", "web"],
        "what runs is left alone: {plan:?}"
    );
    let plan = run(&stage, "start --dry-run --no-deps web");
    assert_eq!(named(&plan), ["web"], "{plan:?}");
    let ran = run(&stage, "start --yes web");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(named(&ran), ["api", "web"], "{ran:?}");
    assert_eq!(stage.running().len(), 3);
}

#[test]
fn a_protected_service_that_is_brought_along_has_to_be_confirmed_by_name() {
    let stage = stage(&[
        ("db", "    protected: true\n"),
        ("web", "    depends_on: [db]\n"),
    ]);
    let ran = run(&stage, "start --yes web");
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(stage.running().is_empty());
    let ran = run(&stage, "start --yes --confirm db web");
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_start_that_fails_says_what_it_needs_and_does_not_run() {
    let scene = Scene::with_inventory(
        "services:
  db: {probes: {live: {tcp: \"127.0.0.1:9\"}}}
  web:
    depends_on: [db]
    probes: {live: {tcp: \"127.0.0.1:9\"}}
    start: {command: [sh, -c, \"exit 3\"]}
",
    );
    let ran = scene.run(&["start", "--yes", "web"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(
        ran.stdout.contains("; db, which it needs, does not run"),
        "{ran:?}"
    );
}

/// Runs a command on a service of the profile hephaestus with this as its shutdown.
fn with_shutdown(shutdown: &str, command: &str) -> Ran {
    let scene = Scene::with_inventory(&format!(
        "services:\n  api:\n    profile: hephaestus\n    url: http://127.0.0.1:9\n    actions: {{{shutdown}}}\n"
    ));
    super::run(&scene, command)
}

#[test]
fn i2_an_action_is_taken_away_by_off_and_by_nothing_else() {
    for shutdown in ["shutdown: null", "shutdown:", "shutdown: none", "reload: ~"] {
        let ran = with_shutdown(shutdown, "validate");
        assert_eq!(ran.code, 2, "{shutdown}: {ran:?}");
        assert!(ran.stderr.contains("off`"), "{shutdown}: {ran:?}");
    }
    let ran = with_shutdown("shutdown: off", "show api");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stdout.contains("schedule"), "{ran:?}");
}

#[test]
fn i2_neighbour_a_service_may_keep_its_schedule_alone() {
    let own = "shutdown: off, schedule: {http: {method: POST, path: /stop}}";
    let ran = with_shutdown(own, "show api");
    assert!(ran.stdout.contains("/stop"), "{ran:?}");
    assert!(!ran.stdout.contains("/health/shutdown"), "{ran:?}");
}
