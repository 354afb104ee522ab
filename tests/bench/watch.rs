//! Watches the services for a while: what it costs, and how well the schedule is kept, seen from the services.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Instant;

use color_eyre::Result;
use color_eyre::eyre::{ensure, eyre};

use super::fleet::Fleet;
use super::options::Options;

/// Watches and prints what it cost.
pub(crate) fn run(options: Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut fleet = Fleet::start(options.services)?;
    let inventory = folder.path().join("healthctl.yaml");
    let interval = humantime::format_duration(options.interval).to_string();
    fs::write(&inventory, fleet.inventory(&interval))?;

    let mut child = Command::new(env!("CARGO_BIN_EXE_healthctl"))
        .args(["watch", "-o", "ndjson", "-f"])
        .arg(&inventory)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let usage = format!("/proc/{}/stat", child.id());
    let (lines, read) = channel();
    let output = child.stdout.take().ok_or_else(|| eyre!("no output"))?;
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // The other end is gone when the time is up.
            let _ = lines.send(line);
        }
    });

    let start = Instant::now();
    let mut told = 0;
    let ended = loop {
        match read.recv_timeout(options.time.saturating_sub(start.elapsed())) {
            Ok(_) => told += 1,
            Err(RecvTimeoutError::Timeout) => break false,
            Err(RecvTimeoutError::Disconnected) => break true,
        }
    };
    let took = start.elapsed();
    let memory = fs::read_to_string(status);
    let cpu = fs::read_to_string(usage);
    // By its own id, and reaped.
    child.kill()?;
    child.wait()?;
    ensure!(!ended, "it ended by itself");
    reader.join().map_err(|_| eyre!("the reader panicked"))?;

    let arrivals = fleet.arrivals(options.interval)?;
    let ticks = cpu_ticks(&cpu?).ok_or_else(|| eyre!("no CPU time in /proc"))?;
    // A tick is a hundredth of a second on every Linux.
    let cpu_seconds = ticks as f64 / 100.0;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\n{} services watched for {:.0?} at {interval}, fresh connections\n",
        options.services, took
    )?;
    let rows = [
        (
            "CPU, one core",
            format!("{:.1} %", 100.0 * cpu_seconds / took.as_secs_f64()),
        ),
        (
            "CPU, a probe",
            format!("{:.0} µs", 1e6 * cpu_seconds / arrivals.requests as f64),
        ),
        ("peak memory", peak(&memory?).unwrap_or_default()),
        ("probes", arrivals.requests.to_string()),
        ("lines told", told.to_string()),
        ("jitter p50", format!("{:.2} ms", arrivals.jitter_p50_ms)),
        ("jitter p99", format!("{:.2} ms", arrivals.jitter_p99_ms)),
        ("grid points missed", arrivals.missed.to_string()),
        (
            "busiest 100 ms to mean",
            format!("{:.1}", arrivals.peak_to_mean),
        ),
    ];
    for (name, value) in rows {
        writeln!(out, "{name:<24} {value:>12}")?;
    }
    Ok(())
}

/// User and system time of `/proc/PID/stat`; the name in it may hold anything, so it counts from the last bracket.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn peak(status: &str) -> Option<String> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(format!("{:.1} MiB", kib / 1024.0))
}
