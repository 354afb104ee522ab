//! Checks 1,000 services once: the real `healthctl check` against the plainest reqwest loop for the same requests.
//!
//! `cargo bench --bench check`, or `cargo bench --bench check -- --services 100 --runs 3`. The fleet, the loop and the
//! binary are processes of their own, so that nobody's cost is counted as another's; the two are run in turn, and what
//! counts are the ratios within a pair. `cargo bench --bench check -- watch` watches the fleet for half a minute instead
//! (`--services 1000 --interval 10s --time 30s`). Loopback only; ends by itself.

mod fleet;
mod measure;
mod options;
mod plain;
mod watch;

use std::io::Write as _;
use std::process::Command;

use color_eyre::Result;
use color_eyre::eyre::ensure;

use fleet::Fleet;
use measure::{Cost, median};
use options::Options;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("serve") => fleet::serve(words),
        Some("measure") => measure::run(words),
        Some("plain") => plain::run(words),
        Some("watch") => watch::run(Options::parse(words)?),
        _ => compare(Options::parse(std::env::args().skip(1))?),
    }
}

/// One of the figures of a cost.
type Figure = fn(&Cost) -> f64;

/// The cost of both, one after the other.
struct Pair {
    ours: Cost,
    plain: Cost,
}

fn compare(options: Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let fleet = Fleet::start(options.services)?;
    let inventory = folder.path().join("healthctl.yaml");
    std::fs::write(&inventory, fleet.inventory("10s"))?;
    let urls = folder.path().join("urls");
    std::fs::write(&urls, fleet.urls().join("\n"))?;

    let ours = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_healthctl"));
        command.arg("check").arg("--exit-code").arg("-f");
        command.arg(&inventory).current_dir(folder.path());
        measure::measure(&command)
    };
    let plain = || -> Result<Cost> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("plain").arg(&urls);
        measure::measure(&command)
    };
    // What is loaded for the first time is paid for by nobody.
    ours()?;
    plain()?;
    let mut pairs = Vec::new();
    for _ in 0..options.runs {
        pairs.push(Pair {
            ours: ours()?,
            plain: plain()?,
        });
    }
    ensure!(!pairs.is_empty(), "--runs needs at least one run");
    report(&options, &pairs)
}

fn report(options: &Options, pairs: &[Pair]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\n{} services checked once, fresh connections, medians of {} pairs\n",
        options.services,
        pairs.len()
    )?;
    writeln!(
        out,
        "{:<12} {:>16} {:>14} {:>8}   ratio of each pair",
        "", "healthctl check", "reqwest loop", "ratio"
    )?;
    let rows: [(&str, &str, Figure); 3] = [
        ("wall", "ms", |cost| cost.wall_ms),
        ("CPU", "ms", |cost| cost.cpu_ms),
        ("peak memory", "MiB", |cost| cost.peak_mib),
    ];
    for (name, unit, of) in rows {
        let ours = median(pairs.iter().map(|pair| of(&pair.ours)));
        let plain = median(pairs.iter().map(|pair| of(&pair.plain)));
        let ratios: Vec<_> = pairs
            .iter()
            .map(|pair| of(&pair.ours) / of(&pair.plain))
            .collect();
        let each: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        writeln!(
            out,
            "{name:<12} {:>16} {:>14} {:>8.2}   {}",
            format!("{ours:.1} {unit}"),
            format!("{plain:.1} {unit}"),
            median(ratios),
            each.join(" ")
        )?;
    }
    Ok(())
}
