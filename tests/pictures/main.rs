//! The pictures in `screenshots/`, made from the real program in a pseudo-terminal on the demo fleet:
//! `cargo test --features pictures --test pictures`.

#[path = "../support/mod.rs"]
mod support;

mod palette;
mod svg;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use resvg::{tiny_skia, usvg};

use support::demo::Demo;
use support::scene::Scene;
use support::terminal::{ESC, Pty};

fn main() {
    let scene = Scene::new();
    let mut command = scene.command(&["demo"]);
    // Where the demo puts its inventory stands in the picture.
    let runtime = scene.path().join("home/run");
    std::fs::create_dir_all(&runtime).expect("the folder can be made");
    command.env("TZ", "UTC").env("XDG_RUNTIME_DIR", &runtime);
    let mut demo = Pty::start(&command, 110, 32);
    dashboard(&mut demo);
    confirmation(&mut demo);
    restart(&mut demo);
    demo.keys("q");
    assert_eq!(demo.end().code, 0);
    check();
}

/// The dashboard with a failing dependency of the selected service.
fn dashboard(demo: &mut Pty) {
    // Until somebody chooses, the worst service is the selected one, and the demo has trouble of its own.
    demo.wait_for_line(&["✗ error"]);
    demo.wait_for("for 4s");
    save("dashboard", demo, "healthctl demo");
}

/// The question before a shutdown: that before a restart names the place of the program as well.
fn confirmation(demo: &mut Pty) {
    demo.keys("X");
    demo.wait_for("[ Cancel ]");
    save("confirmation", demo, "healthctl demo");
    demo.keys(ESC);
    demo.wait_without("[ Cancel ]");
}

/// The account of a restart.
fn restart(demo: &mut Pty) {
    demo.keys("r");
    demo.wait_for("[ Cancel ]");
    demo.keys("y");
    demo.wait_for("restart: restarted");
    demo.wait_for_line(&["✓ healthy", "search"]);
    save("restarted", demo, "healthctl demo");
}

/// A check of a fleet with a broken dependency.
fn check() {
    let demo = Demo::start(&["--calm"]);
    assert_eq!(demo.run(&["demo", "break", "orders", "database"]).code, 0);
    let file = demo.inventory().to_str().expect("the demo's path is text");
    let check = Pty::start(&demo.scene().command(&["check", "-f", file]), 110, 20);
    check.wait_for("8 services");
    save("check", &check, "healthctl check");
    assert_eq!(check.end().code, 0);
}

fn save(name: &str, pty: &Pty, title: &str) {
    let text = pty.look(|screen| svg::render(screen, used_rows(screen), title));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    std::fs::write(folder.join(format!("{name}.svg")), &text).expect("the picture can be written");
    png(&text)
        .save_png(folder.join(format!("{name}.png")))
        .expect("the picture can be written");
    // Nobody is left to tell where stdout is closed.
    let _ = writeln!(
        std::io::stdout(),
        "screenshots/{name}.svg, screenshots/{name}.png"
    );
}

/// Rows up to the last one with something in it.
fn used_rows(screen: &vt100::Screen) -> u16 {
    let lines = screen.rows(0, screen.size().1.get()).collect::<Vec<_>>();
    let used = lines
        .iter()
        .rposition(|line| !line.trim().is_empty())
        .map_or(0, |row| row + 1);
    u16::try_from(used).expect("a terminal has fewer rows")
}

/// The picture in pixels, two for one.
fn png(svg: &str) -> tiny_skia::Pixmap {
    let mut options = usvg::Options::default();
    Arc::get_mut(&mut options.fontdb)
        .expect("nobody else has it yet")
        .load_system_fonts();
    let tree = usvg::Tree::from_str(svg, &options).expect("the picture is SVG");
    let size = tree
        .size()
        .to_int_size()
        .scale_by(2.0)
        .expect("the picture has a size");
    let mut pixels =
        tiny_skia::Pixmap::new(size.width(), size.height()).expect("the picture has a size");
    resvg::render(
        &tree,
        tiny_skia::Transform::from_scale(2.0, 2.0),
        &mut pixels.as_mut(),
    );
    pixels
}
