//! What a command costs: a small process of its own runs it and reads what its only child has used.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use color_eyre::Result;
use color_eyre::eyre::{bail, ensure, eyre};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

/// The cost of one run.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// From start to end.
    pub(crate) wall_ms: f64,
    /// User and system time.
    pub(crate) cpu_ms: f64,
    /// The most memory that was resident.
    pub(crate) peak_mib: f64,
}

/// Runs the command in a process of its own, its output thrown away.
pub(crate) fn measure(command: &Command) -> Result<Cost> {
    let mut meter = Command::new(std::env::current_exe()?);
    meter
        .arg("measure")
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    if let Some(folder) = command.get_current_dir() {
        meter.current_dir(folder);
    }
    let output = meter.output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The process that measures: runs the words as a command and prints its cost.
pub(crate) fn run(mut words: impl Iterator<Item = String>) -> Result<()> {
    let program = words.next().ok_or_else(|| eyre!("no command"))?;
    let start = Instant::now();
    let output = Command::new(program)
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    let wall_ms = start.elapsed().as_secs_f64() * 1e3;
    ensure!(
        output.status.success(),
        "the command ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = usage.user_time() + usage.system_time();
    let cost = Cost {
        wall_ms,
        cpu_ms: cpu.num_microseconds() as f64 / 1e3,
        peak_mib: usage.max_rss() as f64 / 1024.0,
    };
    serde_json::to_writer(std::io::stdout().lock(), &cost)?;
    std::io::stdout().flush()?;
    Ok(())
}

/// The middle of the values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(below), Some(above)) if values.len().is_multiple_of(2) => {
            f64::midpoint(*below, *above)
        }
        (_, Some(middle)) => *middle,
        (_, None) => 0.0,
    }
}
