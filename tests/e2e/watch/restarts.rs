//! Starts and restarts from the keyboard, of one service and of several that are marked.

use super::{dashboard, leave};
use crate::actions::SERVICE;
use crate::support::faulty::FaultyService;
use crate::support::scene::Scene;
use crate::support::started::{Stage, Startable};
use crate::support::terminal::{ENTER, ESC, PAGE_DOWN, Pty, TAB};

/// A stage on which all services were started.
fn started(services: &[&Startable]) -> Stage {
    let stage = Stage::new(SERVICE, services);
    let ran = stage.scene().run(&["start", "--yes", "--all"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    stage
}

/// `api`, and `web` that needs it.
fn pair(api: &str, web: &str) -> [Startable; 2] {
    [
        Startable::new("api", "shutdown=exit").with(api),
        Startable::new("web", "shutdown=exit").with(&format!("    depends_on: [api]\n{web}")),
    ]
}

/// Marks both rows.
fn mark_both(pty: &mut Pty) {
    pty.keys("g j ");
    pty.wait_for("2 marked *");
    pty.wait_for_line(&["*api"]);
    pty.wait_for_line(&["*web"]);
}

#[test]
fn a_restart_is_confirmed_followed_and_proved() {
    let stage = started(&[&Startable::new("api", "shutdown=exit")]);
    let old = stage.running();
    let mut pty = dashboard(stage.scene(), &[]);
    pty.wait_for("✓ 1 healthy");
    pty.keys("r");
    let question = pty.wait_for(">[ Cancel ]");
    assert!(question.contains("Restart api?"), "{question}");
    assert!(question.contains("request  POST http://"), "{question}");
    assert!(question.contains(&format!("pid {}", old[0])), "{question}");
    assert!(question.contains("start    `"), "{question}");
    pty.keys(ENTER);
    pty.wait_without("[ Cancel ]");
    assert_eq!(stage.running(), old, "Cancel has the focus");
    pty.keys("r");
    pty.wait_for(">[ Cancel ]");
    pty.keys("y");
    pty.wait_for("restart: restarted after");
    pty.wait_for("✓ 1 healthy");
    let new = stage.running();
    assert_eq!((old.len(), new.len()), (1, 1));
    assert_ne!(old, new);
    let screen = pty.wait_for(&format!("pid {} → {}", old[0], new[0]));
    for time in ["drain ", "start ", "ready "] {
        assert!(screen.contains(time), "{screen}");
    }
    // All steps stand in the detail with the time of each.
    pty.keys(ENTER);
    pty.wait_without("Events, newest first");
    pty.wait_for_line(&["s started pid", &new[0].to_string()]);
    leave(pty);
    assert_eq!(stage.running(), new, "it outlives the dashboard");
}

#[test]
fn a_start_is_confirmed_and_the_service_is_starting_until_it_is_ready() {
    let stage = Stage::new(SERVICE, &[&Startable::new("api", "status=503")]);
    let mut pty = dashboard(stage.scene(), &[]);
    pty.wait_for("■ 1 stopped");
    pty.keys("S");
    let question = pty.wait_for(">[ Cancel ]");
    assert!(question.contains("command  `"), "{question}");
    assert!(question.contains("nothing listens at"), "{question}");
    assert!(stage.running().is_empty());
    pty.keys("y");
    pty.wait_for("start under way for");
    pty.wait_for("not ready yet:");
    pty.wait_for_line(&["… starting", "api", "starting"]);
    assert_eq!(stage.running().len(), 1);
    // It never gets ready, and nobody leaves by mistake meanwhile.
    pty.keys("q");
    pty.wait_for(">[ Stay ]");
    pty.keys(ENTER);
    pty.wait_without("[ Stay ]");
    pty.keys(&format!("q{TAB}"));
    pty.wait_for(">[ Leave ]");
    pty.keys(ENTER);
    let ended = pty.end();
    ended.assert_restored();
    assert!(ended.screen.contains("interrupted"), "{ended:?}");
    assert_eq!(ended.code, 0);
    assert_eq!(stage.running().len(), 1, "it runs on, as the account says");
}

#[test]
fn a_service_that_fails_to_start_shows_its_output() {
    let stage = Stage::new(SERVICE, &[&Startable::new("api", "fail")]);
    let mut pty = dashboard(stage.scene(), &[]);
    pty.wait_for("■ 1 stopped");
    pty.keys("S");
    pty.wait_for(">[ Cancel ]");
    pty.keys("y");
    pty.wait_for("start: died after");
    pty.wait_for("line 1 of its last words");
    pty.wait_for("1 action failed");
    pty.wait_for_line(&["✗ unhealthy", "api", "failed"]);
    // The detail has all that was kept of it.
    pty.keys(ENTER);
    pty.wait_for("line 9 of its last words");
    leave(pty);
}

#[test]
fn marked_services_are_restarted_in_the_order_of_their_dependencies() {
    let [api, web] = pair("", "");
    let stage = started(&[&api, &web]);
    let old = stage.running();
    let mut pty = dashboard(stage.scene(), &[]);
    pty.wait_for("✓ 2 healthy");
    mark_both(&mut pty);
    pty.keys("r");
    let question = pty.wait_for(">[ Cancel ]");
    assert!(question.contains("Restart 2 services?"), "{question}");
    let order = "order    stop web, api; start api, web";
    assert!(question.contains(order), "{question}");
    for port in [api.port(), web.port()] {
        let request = format!("POST http://127.0.0.1:{port}/health/shutdown");
        pty.wait_until(&request, |screen| screen.contains(&request));
        pty.keys(PAGE_DOWN);
    }
    // Nobody agrees to a plan of which they have not seen the end.
    pty.wait_without("have to be seen first");
    pty.keys("y");
    pty.wait_for_line(&["web", "restart: restarted"]);
    pty.keys("e");
    pty.wait_for_line(&["api", "restart: restarted"]);
    pty.keys("e");
    pty.wait_for("✓ 2 healthy");
    let screen = pty.wait_without("marked *");
    assert!(!screen.contains("failed"), "{screen}");
    let new = stage.running();
    assert_eq!(new.len(), 2);
    assert!(new.iter().all(|pid| !old.contains(pid)), "{old:?} {new:?}");
    leave(pty);
}

#[test]
fn the_name_of_every_protected_service_of_several_has_to_be_typed() {
    let protected = "    protected: true\n";
    let [api, web] = pair(protected, protected);
    let stage = started_by_name(&[&api, &web]);
    let old = stage.running();
    let mut pty = dashboard(stage.scene(), &[]);
    pty.wait_for("✓ 2 healthy");
    mark_both(&mut pty);
    pty.keys("r");
    pty.wait_for("Type name 1 of 2, web,");
    // It is read to its end first.
    for _ in 0..5 {
        pty.keys(PAGE_DOWN);
    }
    pty.keys(TAB);
    pty.wait_for(">[ Restart 2 ]");
    pty.keys("web");
    pty.wait_for("Type name 2 of 2, api,");
    pty.keys(&format!("ap{ENTER}"));
    pty.wait_for("> ap");
    assert_eq!(stage.running(), old);
    pty.keys(&format!("i{ENTER}"));
    pty.wait_for_line(&["web", "restart: restarted"]);
    assert!(stage.running().iter().all(|pid| !old.contains(pid)));
    leave(pty);
}

/// A stage on which these protected services were started.
fn started_by_name(services: &[&Startable]) -> Stage {
    let stage = Stage::new(SERVICE, services);
    let words = ["start", "--confirm", "api", "--confirm", "web", "--all"];
    let ran = stage.scene().run(&words);
    assert_eq!(ran.code, 0, "{ran:?}");
    stage
}

#[test]
fn a_service_that_cannot_be_restarted_refuses_the_whole_plan() {
    let api = Startable::new("api", "shutdown=exit");
    let stage = started(&[&api]);
    let scene = stage.scene();
    let inventory = std::fs::read_to_string(scene.path().join("healthctl.yaml")).unwrap();
    let web = format!(
        "  web:\n    profile: hephaestus\n    url: http://127.0.0.1:{}\n",
        api.port()
    );
    scene.write("healthctl.yaml", &format!("{inventory}{web}"));
    let old = stage.running();
    let mut pty = dashboard(scene, &[]);
    pty.wait_for("✓ 2 healthy");
    mark_both(&mut pty);
    pty.keys("r");
    let screen = pty.wait_for("Refused: nothing was sent");
    assert!(
        screen.contains("1 of 2 services cannot have this done"),
        "{screen}"
    );
    assert!(screen.contains("restart web:"), "{screen}");
    assert_eq!(stage.running(), old);
    pty.keys(ESC);
    pty.wait_without("Refused: nothing was sent");
    // The marks stay for another try, until Escape clears them.
    pty.wait_for("2 marked *");
    pty.keys(ESC);
    pty.wait_without("marked *");
    leave(pty);
}

#[test]
fn a_drain_is_followed_while_it_lasts() {
    let gate = tempfile::tempdir().expect("a folder can be made");
    let file = gate.path().join("open");
    let words = format!("shutdown=gate gate={}", file.display());
    let stage = started(&[&Startable::new("api", &words)]);
    let mut pty = dashboard(stage.scene(), &[]);
    pty.wait_for("✓ 1 healthy");
    pty.keys("r");
    pty.wait_for(">[ Cancel ]");
    pty.keys("y");
    pty.wait_for_line(&["s draining"]);
    pty.wait_for("restart under way for");
    pty.wait_for("1 action under way");
    // Nobody else acts on it meanwhile, and the reason is told.
    pty.keys("X");
    pty.wait_for("a restart of api is still under way");
    pty.keys(ESC);
    std::fs::write(&file, "").expect("the gate can be opened");
    pty.wait_for("restart: restarted after");
    pty.wait_without("action under way");
    leave(pty);
}

#[test]
fn a_service_that_exits_without_a_reply_has_stopped() {
    let stage = started(&[&Startable::new("api", "shutdown=cut")]);
    let mut pty = dashboard(stage.scene(), &[]);
    pty.wait_for("✓ 1 healthy");
    pty.keys("X");
    pty.wait_for(">[ Cancel ]");
    pty.keys("y");
    pty.wait_for("shutdown: stopped after");
    pty.wait_for_line(&["■ stopped", "api"]);
    assert!(stage.running().is_empty());
    // When it is back, the end of the one before is no news any more.
    pty.keys("S");
    pty.wait_for(">[ Cancel ]");
    pty.keys("y");
    pty.wait_for("start: started after");
    pty.wait_for_line(&["✓ healthy", "api"]);
    pty.keys(ENTER);
    pty.wait_without("Events, newest first");
    let screen = pty.wait_for("start: started after");
    assert!(!screen.contains("shutdown: stopped"), "{screen}");
    leave(pty);
}

#[test]
fn a_service_that_something_else_starts_again_is_waited_for() {
    let mut old = FaultyService::start(SERVICE, "shared shutdown=drain");
    let scene = Scene::with_inventory(&format!(
        "services:\n  api:\n    profile: hephaestus\n    url: http://127.0.0.1:{}\n    supervised: true\n",
        old.port()
    ));
    let mut pty = dashboard(&scene, &[]);
    pty.wait_for("✓ 1 healthy");
    pty.keys("r");
    let question = pty.wait_for(">[ Cancel ]");
    assert!(question.contains("request  POST http://"), "{question}");
    assert!(!question.contains("start    `"), "{question}");
    pty.keys("y");
    pty.wait_for_line(&["s draining"]);
    pty.wait_for_line(&["↓ draining", "api", "restart"]);
    let new = FaultyService::start(SERVICE, &format!("shared port={}", old.port()));
    old.exit();
    pty.wait_for("restart: restarted after");
    pty.wait_for_line(&["✓ healthy", "api"]);
    pty.wait_for(&format!("pid {} → {}", old.pid(), new.pid()));
    leave(pty);
}
