//! What stands on the screen, and what keys change.

use std::sync::mpsc;

use rustix::process::{Pid, Signal, kill_process};

use super::{dashboard, on_demo};
use crate::support::demo::Demo;
use crate::support::fake::Fake;
use crate::support::scene::Scene;
use crate::support::terminal::{CTRL_C, ENTER, ESC, PAGE_DOWN};

/// An inventory of plain services that answer.
fn inventory(count: usize, url: &str) -> String {
    use std::fmt::Write;

    let mut yaml = "services:\n".to_owned();
    for n in 0..count {
        let _ = writeln!(yaml, "  service-{n:03}: {{profile: http, url: '{url}'}}");
    }
    yaml
}

fn well() -> Fake {
    Fake::http(|_, _| (200, "ok".to_owned()))
}

#[test]
fn rows_stand_there_before_any_answer_and_keys_work_while_a_service_hangs() {
    // Accepts, and holds every connection without a word.
    let (keep, connections) = mpsc::channel();
    let fake = Fake::tcp(move |stream| {
        // The test may have ended.
        let _ = keep.send(stream);
    });
    let scene = Scene::with_inventory(&format!(
        "services: {{api: {{profile: http, url: '{}', timeout: 10m}}}}\n",
        fake.url()
    ));
    let mut pty = dashboard(&scene, &[]);
    pty.wait_for_line(&["? unknown", "api"]);
    pty.wait_for("not probed yet");
    let _connection = connections.recv().expect("it is asked");
    pty.keys("?");
    pty.wait_for("this help");
    pty.keys("q");
    pty.wait_without("this help");
    pty.keys("q");
    let ended = pty.end();
    ended.assert_restored();
    assert_eq!(ended.code, 0);
}

#[test]
fn a_dependency_that_breaks_is_on_the_screen_and_so_is_its_end() {
    let demo = Demo::start(&["--calm"]);
    let mut pty = on_demo(&demo, &[]);
    pty.wait_for("✓ 8 healthy");
    assert_eq!(demo.run(&["demo", "break", "orders", "database"]).code, 0);
    pty.wait_for_line(&["✗ unhealthy", "orders", "1/2"]);
    // Nobody has chosen a service yet, so the worst one is the selected one.
    pty.wait_for_line(&["database*", "✗ error"]);
    pty.wait_for_line(&["orders", "✗ healthy → unhealthy: dependency database"]);
    pty.keys(ENTER);
    pty.wait_for("every 1s");
    pty.keys(ESC);
    assert_eq!(demo.run(&["demo", "mend", "orders", "database"]).code, 0);
    pty.wait_for("✓ 8 healthy");
    pty.wait_for_line(&["orders", "✓ unhealthy → healthy"]);
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

#[test]
fn the_filter_chooses_rows() {
    let fake = well();
    let scene = Scene::with_inventory(&inventory(40, &fake.url()));
    let mut pty = dashboard(&scene, &[]);
    pty.wait_for("✓ 40 healthy");
    pty.keys("/02");
    let screen = pty.wait_for("filter 02: 11 shown");
    assert!(
        screen.contains("service-002") && screen.contains("service-020"),
        "{screen}"
    );
    pty.keys("7");
    pty.wait_without("service-002");
    pty.wait_for("service-027");
    pty.keys(ENTER);
    pty.wait_for("? help");
    pty.keys(ESC);
    pty.wait_for("service-002");
    pty.keys("/!state:healthy");
    pty.wait_for("no service matches the filter");
    pty.keys(CTRL_C);
    assert_eq!(pty.end().code, 0);
}

#[test]
fn many_services_are_scrolled() {
    let fake = well();
    let scene = Scene::with_inventory(&inventory(1_000, &fake.url()));
    let mut pty = dashboard(&scene, &[]);
    pty.wait_for_line(&[">", "service-000"]);
    pty.keys("v");
    // By name, nothing but keys moves rows.
    pty.keys("oo");
    pty.wait_for("by name");
    pty.wait_for("service-019");
    pty.keys(PAGE_DOWN);
    pty.wait_for_line(&[">", "service-020"]);
    pty.keys("G");
    pty.wait_for_line(&[">", "service-999"]);
    pty.keys("g");
    pty.wait_for_line(&[">", "service-000"]);
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

#[test]
fn only_what_is_selected_is_watched() {
    let fake = well();
    let scene = Scene::with_inventory(&inventory(30, &fake.url()));
    let mut pty = dashboard(&scene, &["service-00*", "service-017"]);
    let screen = pty.wait_for("✓ 11 healthy");
    assert!(screen.contains("only service-00* service-017"), "{screen}");
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

#[test]
fn what_is_selected_by_state_comes_and_goes() {
    let demo = Demo::start(&["--calm"]);
    let mut pty = on_demo(&demo, &["state:unhealthy"]);
    pty.wait_for("✓ 8 healthy");
    pty.wait_for("no service matches the selectors");
    assert_eq!(demo.run(&["demo", "break", "orders", "database"]).code, 0);
    pty.wait_for_line(&[">", "✗ unhealthy", "orders"]);
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

#[test]
fn a_url_is_watched_without_an_inventory() {
    let fake = well();
    let scene = Scene::new();
    let mut pty = dashboard(&scene, &["--url", &fake.url()]);
    pty.wait_for("✓ 1 healthy");
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

#[test]
fn a_probe_is_asked_at_the_press_of_a_key() {
    let fake = well();
    let yaml = format!(
        "services: {{slow: {{profile: http, url: '{}', timeout: 20s, probes: {{live: {{interval: 1h}}}}}}}}\n",
        fake.url()
    );
    let scene = Scene::with_inventory(&yaml);
    let mut pty = dashboard(&scene, &[]);
    pty.wait_for_line(&["live", "✓ pass", " 1 "]);
    pty.keys("p");
    pty.wait_for_line(&["live", "✓ pass", " 2 "]);
    pty.keys("\u{12}");
    pty.wait_for_line(&["live", "✓ pass", " 3 "]);
    assert_eq!(fake.asked().len(), 3);
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}

#[test]
fn every_end_gives_the_terminal_back() {
    let fake = well();
    let scene = Scene::with_inventory(&inventory(1, &fake.url()));
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let pty = dashboard(&scene, &[]);
        pty.wait_for("✓ 1 healthy");
        let pid = Pid::from_raw(i32::try_from(pty.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let ended = pty.end();
        ended.assert_restored();
        assert_eq!(ended.code, code);
    }
}

#[test]
fn a_wrong_inventory_leaves_the_terminal_alone() {
    let scene = Scene::with_inventory("services: {api: {profil: http}}\n");
    let ended = dashboard(&scene, &[]).end();
    ended.assert_restored();
    assert_eq!(ended.code, 2);
    assert!(ended.screen.contains("healthctl.yaml:1"), "{ended:#?}");
}

#[test]
fn without_colour_the_dashboard_stays() {
    let fake = well();
    let scene = Scene::with_inventory(&inventory(2, &fake.url()));
    let mut command = scene.command(&["watch"]);
    command.env("NO_COLOR", "1");
    let mut pty = crate::support::terminal::Pty::start(&command, 80, 24);
    pty.wait_for("✓ 2 healthy");
    let colours = pty.look(|screen| {
        let cells =
            (0..24).flat_map(|row| (0..80).filter_map(move |column| screen.cell(row, column)));
        cells
            .filter(|cell| {
                cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default
            })
            .count()
    });
    assert_eq!(colours, 0);
    pty.keys("q");
    assert_eq!(pty.end().code, 0);
}
