//! `healthctl logs`: what a service wrote that healthctl has started.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::{Context, Error, Signals};
use crate::exit::Exit;
use crate::host::log::{LogFileEvent, LogLine, LogMode, LogReader, LogStart};
use crate::host::records::RecordKey;
use crate::inventory::{Inventory, Service};
use crate::text::{Colors, clean, clean_line};

/// The flags of `logs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of a service.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Go on with what it writes, also to a log that is made anew or is not there yet.
    #[arg(short, long, env = "HEALTHCTL_FOLLOW", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) follow: bool,
    /// Begin with the last N lines of the log, or with `all` of it; when left out, with the last 1000 since the service
    /// was started.
    #[arg(short = 'n', long, value_name = "N|all", env = "HEALTHCTL_LINES", value_parser = amount)]
    pub(crate) lines: Option<Amount>,
    /// Inventory file; found in the current directory and above when left out. Its `-f` is that of `--follow` here.
    #[arg(long, value_name = "FILE", env = "HEALTHCTL_FILE")]
    pub(crate) file: Vec<PathBuf>,
}

/// So many lines of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    /// The last ones.
    Last(usize),
    /// All.
    All,
}

/// So many are shown where nobody says how many.
const LINES: usize = 1000;
/// A log that is followed is looked at so often.
const LOOK: Duration = Duration::from_millis(200);
/// After so many looks that brought nothing a line is shown whose end has not come: it may be a question.
const PATIENCE: u32 = 5;

/// Runs `healthctl logs`.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let loaded = context.inventory()?;
    let place = Place::of(context, &loaded.inventory, &args.name)?;
    let begin = match args.lines {
        None => LogStart {
            offset: place.since,
            lines: Some(LINES),
        },
        Some(Amount::Last(lines)) => LogStart {
            offset: 0,
            lines: Some(lines),
        },
        Some(Amount::All) => LogStart {
            offset: 0,
            lines: None,
        },
    };
    let until = if args.follow {
        LogMode::Follow
    } else {
        LogMode::ToEnd
    };
    let mut reading = Reading {
        log: LogReader::new(place.log, begin, until),
        colors: if context.color_stdout() {
            Colors::Keep
        } else {
            Colors::Drop
        },
        quiet: 0,
    };
    let mut signals = Signals::new()?;
    let mut waits = false;
    loop {
        // A disk that hangs, or a reader that does not read, must not keep a signal from ending this.
        let looked = tokio::select! {
            biased;
            exit = signals.recv() => return Ok(exit),
            looked = spawn_blocking(move || reading.look()) => looked,
        };
        let looked = looked.map_err(|error| Error::Bug(error.into()))??;
        reading = looked.reading;
        if let Some(news) = looked.news {
            match news {
                LogFileEvent::Missing if !args.follow => {
                    return Err(not_written(&reading.log, &args.name));
                }
                // It is told when waiting begins, and not at every look.
                LogFileEvent::Missing if waits => {}
                LogFileEvent::Skipped if args.lines.is_some() => {}
                _ => context.tell(&told(news, &reading.log)),
            }
            waits = news == LogFileEvent::Missing;
        }
        if looked.more {
            continue;
        }
        if !args.follow {
            return Ok(Exit::Done);
        }
        if reader_has_gone() {
            return Err(Error::BrokenPipe);
        }
        tokio::select! {
            biased;
            exit = signals.recv() => return Ok(exit),
            () = sleep(LOOK) => {}
        }
    }
}

/// Whether nobody reads stdout any more. A quiet service would keep us from noticing that for ever.
fn reader_has_gone() -> bool {
    let out = stdout();
    let mut ends = [PollFd::new(&out, PollFlags::empty())];
    let told = poll(&mut ends, Some(&Timespec::default()));
    // What cannot be asked is found out by writing.
    told.is_ok() && ends.iter().any(|end| !end.revents().is_empty())
}

/// `10`, or `all`.
fn amount(typed: &str) -> Result<Amount, String> {
    match typed.parse() {
        Ok(lines) => Ok(Amount::Last(lines)),
        Err(_) if typed == "all" => Ok(Amount::All),
        Err(_) => Err("expected a number of lines, or `all`".to_owned()),
    }
}

/// Where a service writes.
struct Place {
    log: PathBuf,
    /// The length of the log when the service was last started, as far as that is known.
    since: u64,
}

impl Place {
    /// As the record of a service says: the inventory may say something else by now, or nothing any more.
    fn of(context: &Context, inventory: &Inventory, name: &str) -> Result<Self, Error> {
        let key = RecordKey {
            inventory: inventory.file(),
            service: name.to_owned(),
        };
        let records = context.policy().records;
        let service = inventory.services.get(name);
        // Whatever is no name of a service names no file of ours either.
        let may_be_known = service.is_some() || is_name(name);
        if let Some(records) = records.as_ref().filter(|_| may_be_known) {
            let record = records.read(&key);
            let record = record.map_err(|error| Error::usage(error.to_string()))?;
            if let Some(record) = record {
                return Ok(Self {
                    log: record.log,
                    since: record.log_offset,
                });
            }
        }
        let Some(service) = service else {
            return Err(Error::unknown_service(inventory, name));
        };
        let start = service.start.as_ref().ok_or_else(|| never(service))?;
        let log = start
            .log
            .clone()
            .or_else(|| Some(records?.default_log(&key)));
        let log = log.ok_or_else(|| {
            Error::usage_hint(
                "there is no home directory that a log could stand in",
                "set HOME or XDG_STATE_HOME, or `start.log` of the service",
            )
        })?;
        Ok(Self { log, since: 0 })
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

fn never(service: &Service) -> Error {
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

/// What happened to a log, for people.
fn told(news: LogFileEvent, log: &LogReader) -> String {
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

/// A log on its way to stdout.
struct Reading {
    log: LogReader,
    colors: Colors,
    /// So many looks in a row have brought nothing.
    quiet: u32,
}

/// What a look at it has brought; its lines are written by then.
struct Looked {
    reading: Reading,
    news: Option<LogFileEvent>,
    more: bool,
}

impl Reading {
    /// Reads on and writes what has come.
    fn look(mut self) -> Result<Looked, Error> {
        let mut piece = self.log.read().map_err(|error| {
            Error::usage(format!("{} cannot be read: {error}", shown(&self.log)))
        })?;
        self.quiet = if piece.has_more { 0 } else { self.quiet + 1 };
        if self.log.ends() && !piece.has_more || self.quiet == PATIENCE {
            piece.lines.extend(self.log.take_partial_line());
        }
        let text: String = piece
            .lines
            .iter()
            .map(|line| text(line, self.colors))
            .collect();
        if !text.is_empty() {
            let mut out = stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
        Ok(Looked {
            reading: self,
            news: piece.event,
            more: piece.has_more,
        })
    }
}

/// A line fit for a terminal.
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
