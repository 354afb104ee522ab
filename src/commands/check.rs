//! `healthctl check`: every probe once, a report, and with `--exit-code` a verdict for a pipeline.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{Context, Error};
use crate::exit::Exit;
use crate::health::CheckVerdict;
use crate::output::{FailOn, FailOnError, Report, Style, json, table};

/// How long `--wait` waits where nothing is said.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);

/// The flags of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which services: names, globs, group:NAME, KEY=VALUE, state:STATE, flag:FLAG; all when left out.
    #[arg(value_name = "SELECTOR")]
    pub(crate) selectors: Vec<String>,
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
    /// Check this URL, without an inventory.
    #[arg(long, value_name = "URL", env = "HEALTHCTL_URL")]
    pub(crate) url: Option<String>,
    /// The convention that the URL follows.
    #[arg(
        long,
        value_name = "PROFILE",
        requires = "url",
        env = "HEALTHCTL_PROFILE"
    )]
    pub(crate) profile: Option<String>,
}

/// A report format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// The JSON report.
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
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("a duration needs a unit: did you mean `{text}s`?"));
    }
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => {
            Err("waiting for no time is not waiting: leave `--wait` out".to_owned())
        }
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
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
pub(crate) async fn run(_context: &Context, _args: &Args) -> Result<Exit, Error> {
    Err(Error::usage("`check` is not supported yet"))
}
