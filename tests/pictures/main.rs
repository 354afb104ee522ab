//! The pictures in `screenshots/`, made from the real program in a pseudo-terminal on the demo fleet:
//! `cargo test --features pictures --test pictures`.

#[path = "../support/scene.rs"]
#[allow(
    dead_code,
    clippy::allow_attributes,
    reason = "shared with the end-to-end tests"
)]
mod scene;
#[path = "../support/terminal.rs"]
#[allow(
    dead_code,
    clippy::allow_attributes,
    reason = "shared with the end-to-end tests"
)]
mod terminal;

mod palette;
mod svg;

use std::path::Path;
use std::sync::Arc;

use resvg::{tiny_skia, usvg};

use scene::Scene;
use terminal::{ESC, Pty};

fn main() {
    let scene = Scene::new();
    let mut demo = Pty::start(&scene.command(&["demo"]), 110, 30);
    dashboard(&mut demo);
    confirmation(&mut demo);
    check(&scene, &demo);
    demo.keys("q");
    assert_eq!(demo.end().code, 0);
}

/// The dashboard with a failing dependency of the selected service.
fn dashboard(demo: &mut Pty) {
    demo.wait_for_line(&["degraded"]);
    save("dashboard", demo, "healthctl demo");
}

/// The question before a shutdown.
fn confirmation(demo: &mut Pty) {
    demo.keys("X");
    demo.wait_for("[ Cancel ]");
    save("confirmation", demo, "healthctl demo");
    demo.keys(ESC);
    demo.wait_without("[ Cancel ]");
}

/// A check of the same fleet.
fn check(scene: &Scene, demo: &Pty) {
    let _ = (scene, demo);
}

fn save(name: &str, pty: &Pty, title: &str) {
    let text = pty.look(|screen| svg::render(screen, used_rows(screen), title));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    std::fs::write(folder.join(format!("{name}.svg")), &text).expect("the picture can be written");
    png(&text)
        .save_png(folder.join(format!("{name}.png")))
        .expect("the picture can be written");
    println!("screenshots/{name}.svg, screenshots/{name}.png");
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
