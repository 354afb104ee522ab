//! `healthctl logs`: the output of a service that healthctl has started.

use std::fmt::Write as _;
use std::io::stdout;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::{Context, Error, Signals, write_stdout};
use crate::execute::record_key;
use crate::exit::Exit;
use crate::host::log::{LogChunk, LogFileEvent, LogLine, LogMode, LogReader, LogStart};
use crate::inventory::{Inventory, Service};
use crate::text::{Colors, clean, clean_line};

/// The flags of `logs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of a service.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Follow the log, also one that is created again or does not exist yet.
    #[arg(short, long, env = "HEALTHCTL_FOLLOW", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) follow: bool,
    /// Begin with the last N lines of the log, or with `all` of it; when left out, with the last 1000 since the service
    /// was started.
    #[arg(short = 'n', long, value_name = "N|all", env = "HEALTHCTL_LINES", value_parser = line_count)]
    pub(crate) lines: Option<LineCount>,
    /// Inventory file; found in the current directory and above when left out. Its `-f` is that of `--follow` here.
    #[arg(long, value_name = "FILE", env = "HEALTHCTL_FILE")]
    pub(crate) file: Vec<PathBuf>,
}

/// The number of lines of a log to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineCount {
    Last(usize),
    All,
}

/// The number of lines shown by default.
const LINES: usize = 1000;
/// The time between two reads of a log that is followed.
const READ_INTERVAL: Duration = Duration::from_millis(200);
/// The number of reads without news after which an unfinished line is shown: it may be a question.
const QUIET_READS: u32 = 5;

pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let loaded = context.inventory()?;
    let (log, started_at) = log_of(context, &loaded.inventory, &args.name)?;
    let (offset, lines) = match args.lines {
        None => (started_at, Some(LINES)),
        Some(LineCount::Last(lines)) => (0, Some(lines)),
        Some(LineCount::All) => (0, None),
    };
    let mode = if args.follow {
        LogMode::Follow
    } else {
        LogMode::ToEnd
    };
    let mut printer = LogPrinter {
        log: LogReader::new(log, LogStart { offset, lines }, mode),
        colors: if context.color_stdout() {
            Colors::Keep
        } else {
            Colors::Drop
        },
        quiet: 0,
    };
    let mut signals = Signals::new()?;
    let mut waiting = false;
    loop {
        // A disk that hangs, or a reader that does not read, must not keep a signal from ending the command.
        let read = tokio::select! {
            biased;
            exit = signals.recv() => return Ok(exit),
            read = spawn_blocking(move || printer.read()) => read,
        };
        let (back, piece) = read.map_err(|error| Error::Bug(error.into()))??;
        printer = back;
        if let Some(news) = piece.event {
            match news {
                LogFileEvent::Missing if !args.follow => {
                    return Err(not_written(&printer.log, &args.name));
                }
                // It is printed when waiting begins, and not at every read.
                LogFileEvent::Missing if waiting => {}
                LogFileEvent::Skipped if args.lines.is_some() => {}
                _ => context.message(&describe(news, &printer.log)),
            }
            waiting = news == LogFileEvent::Missing;
        }
        if piece.has_more {
            continue;
        }
        if !args.follow {
            return Ok(Exit::Done);
        }
        if stdout_is_closed() {
            return Err(Error::BrokenPipe);
        }
        tokio::select! {
            biased;
            exit = signals.recv() => return Ok(exit),
            () = sleep(READ_INTERVAL) => {}
        }
    }
}

/// Returns whether the reader of stdout has closed it. A write would show it too, but a quiet service causes none.
fn stdout_is_closed() -> bool {
    let out = stdout();
    let mut ends = [PollFd::new(&out, PollFlags::empty())];
    let polled = poll(&mut ends, Some(&Timespec::default()));
    // Where poll fails, the next write shows it.
    polled.is_ok() && ends.iter().any(|end| !end.revents().is_empty())
}

/// Reads a number of lines, or `all`.
fn line_count(typed: &str) -> Result<LineCount, String> {
    match typed.parse() {
        Ok(lines) => Ok(LineCount::Last(lines)),
        Err(_) if typed == "all" => Ok(LineCount::All),
        Err(_) => Err("expected a number of lines, or `all`".to_owned()),
    }
}

/// Returns the log that the record of the service names, and its length in bytes when the service was last started; 0
/// where that is not known. The inventory may have changed since the start.
fn log_of(context: &Context, inventory: &Inventory, name: &str) -> Result<(PathBuf, u64), Error> {
    let key = record_key(inventory, name);
    let records = context.policy().records;
    let service = inventory.services.get(name);
    // What cannot be the name of a service names no record either.
    let may_be_known = service.is_some() || is_name(name);
    if let Some(records) = records.as_ref().filter(|_| may_be_known) {
        let record = records.read(&key);
        let record = record.map_err(|error| Error::usage(error.to_string()))?;
        if let Some(record) = record {
            return Ok((record.log, record.log_offset));
        }
    }
    let Some(service) = service else {
        return Err(Error::unknown_service(inventory, name));
    };
    let start = service.start.as_ref().ok_or_else(|| not_started(service))?;
    let log = start
        .log
        .clone()
        .or_else(|| Some(records?.default_log(&key)));
    let log = log.ok_or_else(|| {
        Error::usage_hint(
            "there is no home directory for a log",
            "set HOME or XDG_STATE_HOME, or `start.log` of the service",
        )
    })?;
    Ok((log, 0))
}

fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed)
}

fn not_started(service: &Service) -> Error {
    let name = &service.name;
    Error::usage_hint(
        format!("healthctl does not start `{name}`, so it knows of no log"),
        format!(
            "its entry needs `start: {{command: […]}}`, and then `healthctl start {name}`; who else starts it keeps its log"
        ),
    )
}

fn not_written(log: &LogReader, name: &str) -> Error {
    Error::usage_hint(
        format!(
            "`{name}` has written nothing yet: there is no file {}",
            shown(log)
        ),
        format!(
            "`healthctl start {name}` starts it; `healthctl logs --follow {name}` waits for it"
        ),
    )
}

fn shown(log: &LogReader) -> String {
    clean(&log.path().display().to_string(), 300)
}

/// Formats what happened to a log.
fn describe(news: LogFileEvent, log: &LogReader) -> String {
    let path = shown(log);
    match news {
        LogFileEvent::Missing => format!("waiting for {path}"),
        LogFileEvent::Skipped => {
            format!("the last {LINES} lines of {path}; `--lines all` shows what was written before")
        }
        LogFileEvent::Truncated => format!("{path} was made shorter; from its first line:"),
        LogFileEvent::Replaced => format!("there is another file {path}; from its first line:"),
    }
}

/// Prints a log on stdout.
struct LogPrinter {
    log: LogReader,
    colors: Colors,
    /// The number of reads in a row that found nothing.
    quiet: u32,
}

impl LogPrinter {
    /// Reads on and prints the new lines. Returns the printer with what was read.
    fn read(mut self) -> Result<(Self, LogChunk), Error> {
        let mut piece = self.log.read().map_err(|error| {
            Error::usage(format!("{} cannot be read: {error}", shown(&self.log)))
        })?;
        self.quiet = if piece.has_more { 0 } else { self.quiet + 1 };
        if self.log.ends() && !piece.has_more || self.quiet == QUIET_READS {
            piece.lines.extend(self.log.take_partial_line());
        }
        let text: String = piece
            .lines
            .iter()
            .map(|line| text(line, self.colors))
            .collect();
        if !text.is_empty() {
            write_stdout(&text)?;
        }
        Ok((self, piece))
    }
}

/// Returns a line with its line break, cleaned for a terminal.
fn text(line: &LogLine, colors: Colors) -> String {
    let bytes = line.bytes.strip_suffix(b"\r").unwrap_or(&line.bytes);
    let mut text = clean_line(&String::from_utf8_lossy(bytes), colors);
    if line.omitted > 0 {
        // Writing to a string cannot fail.
        let _ = write!(text, "… ({} bytes more)", line.omitted);
    }
    text.push('\n');
    text
}
