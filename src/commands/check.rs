//! `healthctl check`: every probe once, a report, and with `--exit-code` a verdict for a pipeline.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::Instant;

use super::host_scan::HostScanner;
use super::select::{SelectedServices, ServiceArgs};
use super::{Context, Error, Signals, duration};
use crate::engine::{self, Progress, Until};
use crate::exit::Exit;
use crate::health::{CheckVerdict, ServiceSnapshot};
use crate::host::Clock;
use crate::output::{FailOn, FailOnError, Report, json, table};
use crate::probe::Prober;

/// The default of `--wait`.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);

/// The flags of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) choice: ServiceArgs,
    /// Exit with 1 when a service fails, with 3 when one cannot be told.
    #[arg(long, env = "HEALTHCTL_EXIT_CODE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) exit_code: bool,
    /// Ask again until every service is pass or warn, at most this long (60s); exit with 124 when it passes.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "", value_parser = wait_time, env = "HEALTHCTL_WAIT")]
    pub(crate) wait: Option<Duration>,
    /// States and flags that are a failure too: degraded, flapping, success-age, …
    #[arg(long, value_name = "LEVEL,FLAG", env = "HEALTHCTL_FAIL_ON")]
    pub(crate) fail_on: Vec<String>,
    /// Format of the report, and a file to write it to; can be given several times.
    #[arg(short, long, value_name = "FORMAT[=FILE]", env = "HEALTHCTL_OUTPUT")]
    pub(crate) output: Vec<OutputSpec>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Table,
    Json,
}

/// A format, and the file that it goes to; stdout without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputSpec {
    format: Format,
    file: Option<PathBuf>,
}

/// Formats that are promised and do not exist yet.
const NOT_YET: [&str; 7] = [
    "ndjson",
    "junit",
    "github",
    "markdown",
    "nagios",
    "tap",
    "prometheus",
];

impl FromStr for OutputSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = match text.split_once('=') {
            Some((_, "")) => return Err("a file name is missing behind `=`".to_owned()),
            // As everywhere, `-` is standard output.
            Some((name, "-")) => (name, None),
            Some((name, file)) => (name, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let format = match name {
            "table" => Format::Table,
            "json" => Format::Json,
            name if NOT_YET.contains(&name) => {
                return Err(format!("`{name}` is not supported yet"));
            }
            _ => return Err("expected `table` or `json`".to_owned()),
        };
        Ok(Self { format, file })
    }
}

/// Reads the value of `--wait`; nothing is the default.
fn wait_time(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Ok(DEFAULT_WAIT);
    }
    match duration(text)? {
        Duration::ZERO => Err("waiting for no time is not waiting: leave `--wait` out".to_owned()),
        time => Ok(time),
    }
}

/// The exit code that a verdict leads to.
const fn exit(verdict: CheckVerdict) -> Exit {
    match verdict {
        CheckVerdict::Pass | CheckVerdict::Warn => Exit::Done,
        CheckVerdict::Unknown => Exit::Unknown,
        CheckVerdict::Fail => Exit::Fail,
    }
}

/// Runs `healthctl check`.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let fail_on = FailOn::parse(args.fail_on.iter().map(String::as_str))
        .map_err(|FailOnError { message, hint }| Error::Usage { message, hint })?;
    let outputs = Outputs::new(&args.output)?;
    // The rest of the inventory has done its work: with many services it is not small.
    let SelectedServices {
        loaded,
        services,
        selection,
    } = args.choice.services(context)?;
    let mut scanner = HostScanner::new(context, &services, &loaded.inventory);
    drop(loaded);
    let mut signals = Signals::new()?;
    let clock = Clock::start();
    let prober = Prober::new(clock);
    let mut meter = Meter::new();
    let good = |snapshot: &ServiceSnapshot| {
        !selection.matches(snapshot)
            || matches!(
                fail_on.verdict(snapshot),
                CheckVerdict::Pass | CheckVerdict::Warn
            )
    };
    let (sender, inputs) = unbounded_channel();
    let (mut problems, checked) = tokio::select! {
        biased;
        exit = signals.recv() => {
            meter.clear();
            context.message("interrupted before every service had answered; no report was written");
            return Ok(exit);
        }
        done = async {
            let show = |progress| meter.show(progress);
            if let Some(limit) = args.wait {
                // A flag of the host scan can fail a service, so the wait must not end before the first scan.
                let mut problems = scanner.scan_once(sender.clone()).await;
                let scans = scanner.start(sender, Arc::default());
                let until = Until::AllHold { condition: &good, limit: Some(limit) };
                let checked = engine::check(services, prober, until, clock, inputs, show).await;
                problems.extend(scans.problems());
                (problems, checked)
            } else {
                let until = Until::EachAnswered;
                let check = engine::check(services, prober, until, clock, inputs, show);
                tokio::join!(scanner.scan_once(sender), check)
            }
        } => done,
    };
    meter.clear();
    problems.sort();
    problems.dedup();
    for problem in problems {
        context.message(&problem);
    }
    let selected = checked
        .snapshots
        .into_iter()
        .filter(|it| selection.matches(it));
    let report = Report::new(selected, &fail_on, clock.now());
    outputs.write(context, &report)?;
    if !checked.in_time {
        return Ok(Exit::Deadline);
    }
    let strict = args.exit_code || args.wait.is_some() || !args.fail_on.is_empty();
    Ok(if strict {
        exit(report.verdict)
    } else {
        Exit::Done
    })
}

#[derive(Debug)]
struct Outputs(Vec<OutputSpec>);

impl Outputs {
    /// Checks that at most one goes to stdout and that every file can be written, before anything is asked.
    fn new(specs: &[OutputSpec]) -> Result<Self, Error> {
        if specs.is_empty() {
            return Ok(Self(vec![OutputSpec {
                format: Format::Table,
                file: None,
            }]));
        }
        if specs.iter().filter(|spec| spec.file.is_none()).count() > 1 {
            return Err(Error::usage_hint(
                "only one format can go to standard output",
                "write the others to files: `-o json=report.json`",
            ));
        }
        for path in specs.iter().filter_map(|spec| spec.file.as_ref()) {
            File::options()
                .append(true)
                .create(true)
                .open(path)
                .map_err(|error| {
                    Error::usage(format!("cannot write {}: {error}", path.display()))
                })?;
        }
        Ok(Self(specs.to_vec()))
    }

    /// Writes every report, whatever becomes of the others: nobody reading one of them is no reason to leave out the
    /// rest, nor to keep the verdict from the exit code.
    fn write(&self, context: &Context, report: &Report) -> Result<(), Error> {
        let mut first_error = Ok(());
        for spec in &self.0 {
            match spec.write(context, report) {
                Ok(()) | Err(Error::BrokenPipe) => {}
                Err(error) => first_error = first_error.and(Err(error)),
            }
        }
        first_error
    }
}

impl OutputSpec {
    fn write(&self, context: &Context, report: &Report) -> Result<(), Error> {
        let color = self.file.is_none() && context.color_stdout();
        let text = match self.format {
            Format::Table => table(report, color),
            Format::Json => json(report),
        };
        match &self.file {
            None => context.print(&text),
            Some(path) => fs::write(path, text)
                .map_err(|error| Error::usage(format!("cannot write {}: {error}", path.display()))),
        }
    }
}

/// The progress of the probes, on one line of a terminal that is rewritten.
struct Meter {
    on: bool,
    shown: Option<Instant>,
    written: bool,
}

impl Meter {
    /// A round that takes less long than this is not worth a line.
    const PATIENCE: Duration = Duration::from_millis(300);

    fn new() -> Self {
        let on = io::stderr().is_terminal();
        Self {
            on,
            shown: on.then(Instant::now),
            written: false,
        }
    }

    fn show(&mut self, progress: Progress) {
        let Some(shown) = self.shown else { return };
        if shown.elapsed() < Self::PATIENCE {
            return;
        }
        self.shown = Some(Instant::now());
        self.written = true;
        let Progress {
            answered,
            expected,
            holding,
            services,
        } = progress;
        let waiting = if holding > 0 {
            format!(", {holding} of {services} good")
        } else {
            String::new()
        };
        // A terminal that cannot be written to shows no progress either.
        let _ = write!(
            io::stderr(),
            "\r\x1b[2K{answered} of {expected} probes answered{waiting}"
        );
        let _ = io::stderr().flush();
    }

    fn clear(&mut self) {
        if self.on && self.written {
            let _ = write!(io::stderr(), "\r\x1b[2K");
            let _ = io::stderr().flush();
        }
        self.shown = None;
    }
}
