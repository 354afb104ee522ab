//! Several services at once: dependents stop first and start last, and a failure leaves nothing down that was up.

use super::*;
use crate::support::started::{Stage, Startable};

/// `db`, `api` that needs it, `web` that needs `api`; all started.
fn chain(db: &str, api: &str, web: &str) -> Stage {
    let db = Startable::new("db", db);
    let api = Startable::new("api", api).with("    depends_on: [db]\n");
    let web = Startable::new("web", web).with("    depends_on: [api]\n");
    let stage = Stage::new(SERVICE, &[&db, &api, &web]);
    let ran = run(stage.scene(), "start --yes --all --parallel 3");
    assert_eq!(ran.code, 0, "{ran:?}");
    stage
}

/// The same, where `api` is asked to stop and goes on: nothing else is tried, and it has two seconds.
fn chain_that_breaks() -> Stage {
    let db = Startable::new("db", "shutdown=exit");
    let api = Startable::new("api", "shutdown=stay")
        .with("    depends_on: [db]\n    actions: {shutdown: {timeout: 2s, then: off}}\n");
    let web = Startable::new("web", "shutdown=exit").with("    depends_on: [api]\n");
    let stage = Stage::new(SERVICE, &[&db, &api, &web]);
    let ran = run(stage.scene(), "start --yes --all --parallel 3");
    assert_eq!(ran.code, 0, "{ran:?}");
    stage
}

/// What was done to whom, in this order: `web sending`, `db started`, …
fn order(ran: &Ran) -> Vec<String> {
    let steps = ran.stderr.lines().filter_map(|line| {
        let (_, told) = line.split_once("s ")?;
        let (service, what) = told.split_once(": ")?;
        let verb = what.split(' ').next()?;
        matches!(verb, "sending" | "started" | "ready")
            .then(|| format!("{} {verb}", service.trim()))
    });
    steps.collect()
}

fn verdicts(ran: &Ran) -> Vec<String> {
    let accounts: Vec<Value> = serde_json::from_str(&ran.stdout).expect("an array");
    accounts
        .iter()
        .map(|one| format!("{} {}", one["service"], one["verdict"]).replace('"', ""))
        .collect()
}

#[test]
fn a_chain_stops_from_above_and_starts_from_below() {
    let stage = chain("shutdown=exit", "shutdown=exit", "shutdown=exit");
    let ran = run(stage.scene(), "restart --yes --all -o json");
    assert_eq!(
        verdicts(&ran),
        ["web restarted", "api restarted", "db restarted"]
    );
    assert_eq!(
        order(&ran),
        [
            "web sending",
            "api sending",
            "db sending",
            "db started",
            "db ready",
            "api started",
            "api ready",
            "web started",
            "web ready"
        ]
    );
    assert_eq!(ran.code, 0);
}

/// What a dry run shows: the services in the order of their lines, and the order of what would be done.
fn plan(stage: &Stage, words: &str) -> (Vec<String>, String) {
    let ran = run(stage.scene(), words);
    assert_eq!(ran.code, 0, "{ran:?}");
    let (lines, order) = ran.stdout.split_once("\n\n").expect("a list and an order");
    let services = lines
        .lines()
        .map(|line| line.split(':').next().unwrap_or_default().to_owned());
    (services.collect(), order.trim_end().to_owned())
}

#[test]
fn a_dry_run_shows_both_phases_in_their_order() {
    let [slow, b] = [
        Startable::new("slow", "shutdown=exit").with("    depends_on: [b]\n"),
        Startable::new("b", "shutdown=exit"),
    ];
    let stage = Stage::new(SERVICE, &[&slow, &b]);
    let (services, order) = plan(&stage, "start --dry-run --all");
    assert_eq!(services, ["b", "slow"]);
    assert_eq!(order, "in this order: start b, slow");
    let ran = run(stage.scene(), "start --yes --all");
    assert_eq!(ran.code, 0, "{ran:?}");
    let begun = self::order(&ran);
    assert_eq!(
        begun,
        ["b started", "b ready", "slow started", "slow ready"]
    );
    let (services, order) = plan(&stage, "restart --dry-run --all");
    assert_eq!(services, ["slow", "b"]);
    assert_eq!(order, "in this order: stop slow, b; start b, slow");
    let ran = run(stage.scene(), "restart --dry-run --all -o json");
    let plan: Value = serde_json::from_str(&ran.stdout).expect("an array");
    assert_eq!(plan[0]["service"], "slow");
    assert!(plan[0]["then"].is_string(), "{plan}");
    assert_eq!(
        plan[0]["steps"],
        serde_json::json!([{"number": 1, "does": "stop"}, {"number": 4, "does": "start"}])
    );
    assert_eq!(plan[1]["steps"][0]["number"], 2);
    assert_eq!(stage.running().len(), 2);
}

#[test]
fn the_question_shows_the_order_as_well() {
    let stage = chain("shutdown=exit", "shutdown=exit", "shutdown=exit");
    let command = stage.scene().command(&["restart", "--all"]);
    let mut terminal = crate::support::terminal::Pty::start(&command, 300, 40);
    let screen = terminal.wait_for("Go on with these 3? [y/N]");
    let order = "in this order: stop web, api, db; start db, api, web";
    assert!(screen.contains(order), "{screen}");
    terminal.keys("n\r");
    assert_eq!(terminal.end().code, 4);
}

#[test]
fn only_a_service_that_was_down_when_a_stop_failed_is_left_so() {
    let [a, b, c] = [
        Startable::new("a", "shutdown=stay sigterm=ignore")
            .with("    actions: {shutdown: {timeout: 3s}}\n"),
        Startable::new("b", "shutdown=exit"),
        Startable::new("c", "shutdown=exit"),
    ];
    let stage = Stage::new(SERVICE, &[&a, &b, &c]);
    let ran = run(stage.scene(), "start --yes --all");
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = run(
        stage.scene(),
        "restart --yes a b c --keep-going --leave-stopped -o json",
    );
    assert_eq!(
        verdicts(&ran),
        ["a same-process", "b restarted", "c restarted"]
    );
    assert_eq!(ran.code, 5);
    assert_eq!(stage.running().len(), 3, "all are up");
}

#[test]
fn after_a_stop_that_fails_a_stopped_service_is_started_again() {
    let stage = chain_that_breaks();
    let ran = run(stage.scene(), "restart --yes --all -o json");
    assert_eq!(
        verdicts(&ran),
        ["web restarted", "api same-process", "db refused"]
    );
    assert_eq!(ran.code, 5);
    assert_eq!(stage.running().len(), 3, "all are up");
}

#[test]
fn a_stopped_service_is_left_so_with_leave_stopped() {
    let stage = chain_that_breaks();
    let ran = run(stage.scene(), "restart --yes --all --leave-stopped -o json");
    assert_eq!(
        verdicts(&ran),
        ["web stopped", "api same-process", "db refused"]
    );
    assert_eq!(ran.code, 5);
    assert_eq!(stage.running().len(), 2);
}

#[test]
fn a_failed_start_leaves_its_dependents_unstarted_by_name() {
    let db = Startable::new("db", "fail");
    let api = Startable::new("api", "").with("    depends_on: [db]\n");
    let other = Startable::new("other", "");
    let stage = Stage::new(SERVICE, &[&db, &api, &other]);
    let ran = run(stage.scene(), "start --yes --all --parallel 1");
    assert_eq!(ran.code, 5, "{ran:?}");
    let order = order(&ran);
    let place = |step: &str| order.iter().position(|it| it == step);
    assert!(
        place("db started") < place("other started"),
        "the failure comes first: {ran:?}"
    );
    assert!(ran.stdout.contains("db: died: "), "{ran:?}");
    assert!(
        ran.stdout
            .contains("api: refused: nothing was done: db, which it needs, did not come up"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("other: started: "), "{ran:?}");
}

#[test]
fn a_table_tells_how_long_each_took() {
    let stage = chain("shutdown=exit", "shutdown=exit", "shutdown=exit");
    let ran = run(stage.scene(), "restart --yes --all");
    let table: Vec<&str> = ran
        .stdout
        .lines()
        .skip_while(|line| !line.is_empty())
        .collect();
    let header: Vec<&str> = table[1].split_whitespace().collect();
    assert_eq!(
        header,
        ["SERVICE", "VERDICT", "DRAIN", "START", "READY", "IN", "ALL"]
    );
    assert_eq!(table.len(), 5, "{ran:?}");
}

#[test]
fn an_interruption_starts_nothing_and_says_what_is_down() {
    let gate = tempfile::tempdir().expect("a folder can be made");
    let words = format!("shutdown=gate gate={}", gate.path().join("open").display());
    let stage = chain("shutdown=exit", &words, "shutdown=exit");
    let mut acting = begin(stage.scene(), "restart --yes --all");
    acting.until("api: draining");
    acting.interrupt();
    let ran = acting.end();
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(
        ran.stdout
            .contains("web: stopped: it was stopped and not started again: interrupted"),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("api: unverified: interrupted: POST "),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("db: refused: nothing was sent"),
        "{ran:?}"
    );
}
