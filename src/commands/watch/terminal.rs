//! The terminal while the dashboard has it: taken, drawn on, and always restored.
//!
//! When a thread panics, the hook restores the terminal before the report is printed, keeps any frame from being drawn
//! over it, and ends the loop. Must not know what is drawn.

use std::cell::Cell;
use std::io::{self, BufWriter, Stdout, Write, stdout};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};
use tokio::sync::Notify;

/// The dashboard has the terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Held while a frame goes out.
static DRAWING: Mutex<()> = Mutex::new(());
/// A thread has panicked while the dashboard had the terminal.
static PANICKED: Notify = Notify::const_new();

thread_local! {
    /// This thread holds [`DRAWING`].
    static DRAWS: Cell<bool> = const { Cell::new(false) };
}

/// The size of the write buffer in bytes: a frame goes out in one write.
const FRAME_BYTES: usize = 1 << 17;

type Buffered = Terminal<CrosstermBackend<FrameWriter>>;

/// Writes each frame as a synchronized update: a terminal that knows those shows it as a whole, whatever pieces it is read in.
struct FrameWriter {
    out: BufWriter<Stdout>,
    /// A frame was begun and is not complete.
    open: bool,
}

/// The terminal. It is restored when this is dropped.
pub(super) struct TerminalGuard {
    /// `None` only while this is dropped.
    terminal: Option<Buffered>,
}

impl TerminalGuard {
    pub(super) fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(install_hook);
        let screen = Self {
            terminal: Some(terminal()?),
        };
        take()?;
        Ok(screen)
    }

    /// Draws a frame, unless the terminal was restored meanwhile.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        let _frame = drawing();
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(());
        }
        DRAWS.set(true);
        let terminal = self.terminal.as_mut();
        let drawn = terminal.map_or(Ok(()), |terminal| terminal.draw(draw).map(|_| ()));
        DRAWS.set(false);
        drawn
    }

    /// Takes the terminal again, and draws everything with the next frame.
    pub(super) fn take_again(&mut self) -> io::Result<()> {
        // A shell may have changed the modes while this process was stopped.
        give_back();
        take()?;
        // A new one knows nothing of what stood there. Clearing the old one would ask the terminal for its
        // cursor, and the answer would go to who waits for keys.
        self.terminal = Some(terminal()?);
        Ok(())
    }
}

impl Write for FrameWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.open {
            queue!(self.out, BeginSynchronizedUpdate)?;
            self.open = true;
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.open {
            queue!(self.out, EndSynchronizedUpdate)?;
            self.open = false;
        }
        self.out.flush()
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        give_back();
        // Its own end would print to stderr where the terminal has gone, and panic because that has gone too.
        std::mem::forget(self.terminal.take());
    }
}

/// Returns when a thread has panicked. The terminal is restored and the report printed by then.
pub(super) async fn panicked() {
    PANICKED.notified().await;
}

fn terminal() -> io::Result<Buffered> {
    let out = FrameWriter {
        out: BufWriter::with_capacity(FRAME_BYTES, stdout()),
        open: false,
    };
    Terminal::new(CrosstermBackend::new(out))
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let entered = execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste);
    if entered.is_err() {
        give_back();
    }
    entered
}

/// Restores the terminal. Does nothing the second time.
pub(super) fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // A terminal that has gone cannot be restored.
        let _ = execute!(
            stdout(),
            EndSynchronizedUpdate,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        );
        let _ = stdout().flush();
        let _ = disable_raw_mode();
    }
}

fn drawing() -> MutexGuard<'static, ()> {
    DRAWING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn install_hook() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !TAKEN.load(Ordering::SeqCst) {
            return report(info);
        }
        // A frame of another thread will be complete in a moment; one of this thread never.
        let frame = (!DRAWS.get()).then(drawing);
        give_back();
        drop(frame);
        report(info);
        PANICKED.notify_one();
    }));
}
