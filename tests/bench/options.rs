//! What may be said on the command line of a benchmark.

use std::time::Duration;

use color_eyre::Result;
use color_eyre::eyre::{WrapErr as _, bail, eyre};

/// The settings of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// How many services.
    pub(crate) services: usize,
    /// How many pairs of runs.
    pub(crate) runs: usize,
    /// How long to watch.
    pub(crate) time: Duration,
    /// The interval of every probe.
    pub(crate) interval: Duration,
}

impl Options {
    /// Reads `--services N --runs N --time 20s --interval 10s`; `--bench` is cargo's.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            services: 1000,
            runs: 7,
            time: Duration::from_secs(30),
            interval: Duration::from_secs(10),
        };
        let mut words = words.filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| eyre!("`{word}` needs a value"))?;
            let wrong = || format!("`{word} {value}`");
            match word.as_str() {
                "--services" => options.services = value.parse().wrap_err_with(wrong)?,
                "--runs" => options.runs = value.parse().wrap_err_with(wrong)?,
                "--time" => {
                    options.time = humantime::parse_duration(&value).wrap_err_with(wrong)?;
                }
                "--interval" => {
                    options.interval = humantime::parse_duration(&value).wrap_err_with(wrong)?;
                }
                _ => {
                    bail!("`{word}` is not known; there are --services, --runs, --time, --interval")
                }
            }
        }
        Ok(options)
    }
}
