//! A program in a pseudo-terminal: keys go in, the screen is read. Waits for what is on the screen, never for time alone.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{
    Child, CommandBuilder, ExitStatus, MasterPty, PtySize, SlavePty, native_pty_system,
};
use vt100::Parser;

/// What is not on the screen after this long will not come.
const LIMIT: Duration = Duration::from_secs(60);

/// The key Enter.
pub const ENTER: &str = "\r";
/// The key Escape.
pub const ESC: &str = "\u{1b}";
/// The key Tab.
pub const TAB: &str = "\t";
/// The key Backspace.
pub const BACKSPACE: &str = "\u{7f}";
/// The key Page Down.
pub const PAGE_DOWN: &str = "\u{1b}[6~";
/// Ctrl-C.
pub const CTRL_C: &str = "\u{3}";

/// A program that runs in a terminal of its own, ended with its test.
pub struct Pty {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    master: Option<Box<dyn MasterPty + Send>>,
    /// Kept open until the end: the modes of the terminal are asked for after the program has gone.
    slave: Option<Box<dyn SlavePty + Send>>,
    before: String,
    started: Instant,
}

/// What a terminal was like after its program had ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; 1 with a signal.
    pub code: u32,
    /// The signal that ended it.
    pub signal: Option<String>,
    /// What stands on the screen.
    pub screen: String,
    /// The program never left the alternate screen.
    pub alternate_screen: bool,
    /// The cursor is still hidden.
    pub cursor_hidden: bool,
    /// Pasted text is still bracketed.
    pub bracketed_paste: bool,
    /// Line discipline before and after: raw mode, echo, signals.
    pub modes: (String, String),
}

struct Shared {
    /// The reader ends with the next bytes.
    hanging_up: AtomicBool,
    seen: Mutex<Seen>,
    changed: Condvar,
}

struct Seen {
    parser: Parser,
    /// The latest bytes, in which the begin of a mark may be.
    latest: Vec<u8>,
    /// A frame was begun and is not complete: what stands on the screen is half of it.
    in_frame: bool,
    /// Everything was read.
    closed: bool,
}

/// What stands before and behind each frame of the dashboard: a synchronized update.
const FRAME_BEGIN: &[u8] = b"\x1b[?2026h";
const FRAME_END: &[u8] = b"\x1b[?2026l";

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.latest.extend(bytes);
        let last = |mark: &[u8]| {
            let mut windows = self.latest.windows(mark.len());
            windows.rposition(|it| it == mark)
        };
        match (last(FRAME_BEGIN), last(FRAME_END)) {
            (None, None) => {}
            (begin, end) => self.in_frame = begin > end,
        }
        let kept = self.latest.len().saturating_sub(FRAME_BEGIN.len() - 1);
        self.latest.drain(..kept);
    }
}

impl Pty {
    /// Starts the command in a terminal of this size.
    pub fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let pair = native_pty_system()
            .openpty(size(columns, rows))
            .expect("a pseudo-terminal can be opened");
        let before = modes(pair.master.as_ref());
        let mut reader = pair
            .master
            .try_clone_reader()
            .expect("a pseudo-terminal can be read");
        let writer = pair
            .master
            .take_writer()
            .expect("a pseudo-terminal can be written");
        let started = Instant::now();
        let child = pair
            .slave
            .spawn_command(builder(command))
            .expect("the program can be started");
        let shared = Arc::new(Shared {
            hanging_up: AtomicBool::new(false),
            seen: Mutex::new(Seen {
                parser: Parser::new(cells(rows), cells(columns), 0),
                latest: Vec::new(),
                in_frame: false,
                closed: false,
            }),
            changed: Condvar::new(),
        });
        let reader = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let mut bytes = vec![0; 65_536];
                // The end of the program's side is an error on Linux, zero bytes elsewhere.
                while let Ok(count @ 1..) = reader.read(&mut bytes) {
                    let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.take(&bytes[..count]);
                    shared.changed.notify_all();
                    if shared.hanging_up.load(Ordering::SeqCst) {
                        break;
                    }
                }
                drop(reader);
                shared
                    .seen
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .closed = true;
                shared.changed.notify_all();
            }
        });
        Self {
            shared,
            reader: Some(reader),
            writer: Some(writer),
            child,
            master: Some(pair.master),
            slave: Some(pair.slave),
            before,
            started,
        }
    }

    /// The program's pid.
    pub fn pid(&self) -> u32 {
        self.child
            .process_id()
            .expect("a program that runs has a pid")
    }

    /// Since the program was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Types.
    pub fn keys(&mut self, keys: &str) {
        let writer = self.writer.as_mut().expect("the terminal is open");
        writer
            .write_all(keys.as_bytes())
            .and_then(|()| writer.flush())
            .expect("the terminal takes keys");
    }

    /// Gives the terminal another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        let mut seen = self
            .shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seen.parser
            .screen_mut()
            .set_size(cells(rows), cells(columns));
        drop(seen);
        self.master()
            .resize(size(columns, rows))
            .expect("a pseudo-terminal can be resized");
    }

    /// The screen as text.
    pub fn screen(&self) -> String {
        self.look(vt100::Screen::contents)
    }

    /// Something about the screen as it is now.
    pub fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        let seen = self
            .shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        look(seen.parser.screen())
    }

    /// Waits until this text is on the screen, and gives the screen.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(&format!("{text:?} on the screen"), |screen| {
            screen.contains(text)
        })
    }

    /// Waits until this text is not on the screen, and gives the screen.
    pub fn wait_without(&self, text: &str) -> String {
        self.wait_until(&format!("no {text:?} on the screen"), |screen| {
            !screen.contains(text)
        })
    }

    /// Waits until a line holds all of these, and gives it.
    pub fn wait_for_line(&self, parts: &[&str]) -> String {
        let holds = |line: &&str| parts.iter().all(|part| line.contains(part));
        let screen = self.wait_until(&format!("a line with {parts:?}"), |screen| {
            screen.lines().any(|line| holds(&line))
        });
        screen.lines().find(holds).unwrap_or_default().to_owned()
    }

    /// Waits until the screen is as wanted, and gives it.
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + LIMIT;
        let mut seen = self
            .shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            let screen = seen.parser.screen().contents();
            if !seen.in_frame && wanted(&screen) {
                return screen;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !seen.closed && !left.is_zero(),
                "waited in vain for {what}; the screen is\n{screen}"
            );
            seen = self
                .shared
                .changed
                .wait_timeout(seen, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn master(&self) -> &dyn MasterPty {
        self.master.as_deref().expect("the terminal is open")
    }

    /// Closes the terminal as a window manager does, and gives the exit code of the program, or the signal that ended it.
    pub fn hang_up(mut self) -> Result<u32, String> {
        self.shared.hanging_up.store(true, Ordering::SeqCst);
        // A key that means nothing: it is echoed, or something is drawn, so that the reader wakes and lets go.
        self.keys("\0");
        let reader = self.reader.take().expect("the terminal is open");
        reader.join().expect("the reader does not panic");
        drop((self.writer.take(), self.slave.take(), self.master.take()));
        let status = self.wait();
        match status.signal() {
            Some(signal) => Err(signal.to_owned()),
            None => Ok(status.exit_code()),
        }
    }

    /// Waits for the program's end and gives what it left behind.
    pub fn end(mut self) -> Ended {
        let status = self.wait();
        let after = modes(self.master());
        self.close();
        let seen = self
            .shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let screen = seen.parser.screen();
        Ended {
            code: status.exit_code(),
            signal: status.signal().map(ToOwned::to_owned),
            screen: screen.contents(),
            alternate_screen: screen.alternate_screen(),
            cursor_hidden: screen.hide_cursor(),
            bracketed_paste: screen.bracketed_paste(),
            modes: (self.before.clone(), after),
        }
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self
                .child
                .try_wait()
                .expect("a child can be asked for its end")
            {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the program does not end; the screen is\n{}",
                self.screen()
            );
            // There is no event for the end of a process here, so this looks again.
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Closes our copy of the program's side and reads what is left.
    fn close(&mut self) {
        drop(self.slave.take());
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if self.reader.is_some() {
            // It may have ended by itself.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Ended {
    /// Fails where the terminal is not as it was before the program.
    #[track_caller]
    pub fn assert_restored(&self) {
        assert!(
            !self.alternate_screen,
            "the alternate screen was not left: {self:#?}"
        );
        assert!(!self.cursor_hidden, "the cursor is hidden: {self:#?}");
        assert!(!self.bracketed_paste, "pasted text is bracketed: {self:#?}");
        assert_eq!(
            self.modes.0, self.modes.1,
            "the modes of the terminal changed"
        );
    }
}

fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().expect("a terminal has modes"))
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a terminal has at least one cell")
}

/// The same command for a pseudo-terminal.
fn builder(command: &Command) -> CommandBuilder {
    let mut builder = CommandBuilder::new(command.get_program());
    builder.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        builder.cwd(folder);
    } else {
        builder.cwd(std::env::current_dir().expect("there is a current directory"));
    }
    builder.env_remove("NO_COLOR");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => builder.env(name, value),
            None => builder.env_remove(name),
        }
    }
    if builder.get_env("TERM").is_none_or(|term| term == "dumb") {
        builder.env("TERM", "xterm-256color");
    }
    builder
}
