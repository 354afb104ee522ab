//! What it costs to check many components of one service: the time and the processor time of a round in which all are
//! checked at the same time.
//!
//! `cargo bench -p healthctl-service --bench components`. First each component answers at once, which shows what the kit
//! itself costs; then each takes 20 ms, which shows that a round takes as long as one component and not as long as all.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use healthctl_service::{Need, Service, Settings, kcp_syncer};
use rustix::time::{ClockId, clock_gettime};

const SLOW: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:>10} {:>16} {:>22} {:>18}",
        "components", "round", "CPU of a component", "round at 20 ms"
    )?;
    for count in [1, 10, 12, 100, 1_000] {
        let (round, cpu) = measure(count, Duration::ZERO, 200).await;
        let (slow, _) = measure(count, SLOW, 20).await;
        let each = cpu / u32::try_from(count).unwrap_or(u32::MAX);
        writeln!(
            out,
            "{count:>10} {:>16} {:>22} {:>18}",
            format!("{round:.1?}"),
            format!("{each:.1?}"),
            format!("{slow:.1?}")
        )?;
    }
    Ok(())
}

/// Returns the mean time and the mean processor time of a round.
async fn measure(count: usize, takes: Duration, rounds: u32) -> (Duration, Duration) {
    let settings = Settings {
        check_result_ttl: Duration::ZERO,
        check_wait: Duration::from_secs(60),
        ..Settings::default()
    };
    let service = Service::new("bench", "1.0", settings);
    for number in 0..count {
        let name = format!("component-{number}");
        service.register_check(
            &name,
            Need::Required,
            kcp_syncer::CHECK_TIMEOUT,
            move || async move {
                if !takes.is_zero() {
                    // An answer that does not come stands for one that takes that long.
                    let _ = tokio::time::timeout(takes, std::future::pending::<()>()).await;
                }
            },
        );
    }
    service.run_due_checks().await;
    let (begin, cpu) = (Instant::now(), cpu_time());
    for _ in 0..rounds {
        service.run_due_checks().await;
    }
    (
        begin.elapsed() / rounds,
        cpu_time().saturating_sub(cpu) / rounds,
    )
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.try_into().unwrap_or_default()
}
