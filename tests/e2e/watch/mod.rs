//! `healthctl watch` as its user meets it: keys pressed on the real binary, the screen read; and the stream without one.

mod actions;
mod auto_restart;
mod hooks;
mod restarts;
mod screen;
mod second_step;
mod stream;

use crate::support::demo::Demo;
use crate::support::scene::Scene;
use crate::support::terminal::Pty;

/// The dashboard on the inventory of a folder, at 80x24.
fn dashboard(scene: &Scene, words: &[&str]) -> Pty {
    let words = [&["watch"], words].concat();
    Pty::start(scene.command(&words).env("TZ", "UTC"), 80, 24)
}

/// The dashboard on a demo that runs.
fn on_demo(demo: &Demo, words: &[&str]) -> Pty {
    let file = demo.inventory().to_str().expect("the demo's path is text");
    dashboard(demo.scene(), &[&["-f", file], words].concat())
}

/// Leaves the dashboard, which has to restore the terminal.
#[track_caller]
fn leave(mut pty: Pty) {
    pty.keys("q");
    let ended = pty.end();
    ended.assert_restored();
    assert_eq!(ended.code, 0);
}
