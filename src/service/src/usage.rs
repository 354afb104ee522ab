//! The resources that the process uses, as measured: memory, processor time and tasks.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

use crate::{Figure, Service};

/// The shortest time over which the share of a processor is measured: shorter ones say more of the
/// moment than of the process.
const SHORTEST: Duration = Duration::from_millis(250);

/// The resources that the process uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResourceUsage {
    /// The memory that is resident, in bytes; `None` where `/proc` does not tell it.
    pub memory_bytes: Option<u64>,
    /// The share of one processor in use since the last measurement, where 1 is one processor in full
    /// use; the process of a service with several threads can use more.
    pub cpu: f64,
    /// The processor time that the process has used since its start, of user and system together.
    pub cpu_time: Duration,
    /// The number of tasks of the runtime that have not ended; 0 outside of a runtime.
    pub tasks: usize,
}

/// Measures the share of a processor that is in use.
#[derive(Debug)]
pub(crate) struct CpuMeter(Mutex<CpuMeasurement>);

#[derive(Debug)]
struct CpuMeasurement {
    at: Instant,
    cpu_time: Duration,
    share: Option<f64>,
}

impl Default for CpuMeter {
    fn default() -> Self {
        Self(Mutex::new(CpuMeasurement {
            at: Instant::now(),
            cpu_time: cpu_time(),
            share: None,
        }))
    }
}

impl CpuMeter {
    /// Returns the share since the last measurement; the last share where that was only just now.
    fn share(&self, at: Instant, cpu_time: Duration) -> f64 {
        let mut last = self.0.lock();
        let elapsed = at.saturating_duration_since(last.at);
        let share = || {
            let used = cpu_time.saturating_sub(last.cpu_time).as_secs_f64();
            used / elapsed.as_secs_f64().max(f64::EPSILON)
        };
        if elapsed < SHORTEST {
            return last.share.unwrap_or_else(share);
        }
        let share = share();
        *last = CpuMeasurement {
            at,
            cpu_time,
            share: Some(share),
        };
        share
    }
}

/// Returns the processor time that the process has used.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // The clock is that of the process, which begins at zero.
    time.try_into().unwrap_or_default()
}

/// Returns the memory that is resident, in bytes.
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    parse_resident_memory(&status)
}

fn parse_resident_memory(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

impl Service {
    /// Measures the memory, the processor time and the tasks of the process.
    ///
    /// ```
    /// use healthctl_service::{Service, Settings};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let service = Service::new("orders-api", "2.4.1", Settings::default());
    /// let before = service.resource_usage();
    /// let task = tokio::spawn(std::future::pending::<()>());
    /// assert_eq!(service.resource_usage().tasks, before.tasks + 1);
    /// # drop(task);
    /// # }
    /// ```
    pub fn resource_usage(&self) -> ResourceUsage {
        let runtime = tokio::runtime::Handle::try_current();
        let cpu_time = cpu_time();
        ResourceUsage {
            memory_bytes: resident_memory(),
            cpu: self.inner.cpu_meter.share(Instant::now(), cpu_time),
            cpu_time,
            tasks: runtime.map_or(0, |runtime| runtime.metrics().num_alive_tasks()),
        }
    }

    /// Returns the usage as figures to be collected.
    pub(crate) fn resource_figures(&self) -> Vec<Figure> {
        let usage = self.resource_usage();
        let mut figures = vec![
            Figure::new("cpu", usage.cpu, 0.25),
            Figure::new("tasks", usage.tasks as f64, 20.0),
        ];
        let memory = usage.memory_bytes;
        figures.extend(memory.map(|bytes| Figure::new("memory_bytes", bytes as f64, 16e6)));
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_since_the_last_measurement() {
        let begin = Instant::now();
        let millis = Duration::from_millis;
        let meter = CpuMeter(Mutex::new(CpuMeasurement {
            at: begin,
            cpu_time: millis(500),
            share: None,
        }));
        let check = |at, cpu_time, expected: f64| {
            let found = meter.share(begin + millis(at), millis(cpu_time));
            assert!((found - expected).abs() < 1e-9, "{at}: {found}");
        };
        check(100, 550, 0.5);
        check(1000, 750, 0.25);
        check(1100, 850, 0.25);
        check(2000, 2750, 2.0);
        check(3000, 2750, 0.0);
    }

    #[test]
    fn memory_is_read_as_linux_writes_it() {
        let status = "Name:\thealthctl\nVmHWM:\t   20480 kB\nVmRSS:\t   16384 kB\nThreads:\t3\n";
        assert_eq!(parse_resident_memory(status), Some(16 << 20));
        assert_eq!(parse_resident_memory("Name:\tkthreadd\n"), None);
        assert_eq!(parse_resident_memory("VmRSS:\tmany kB\n"), None);
    }

    /// A process that has work to do uses processor time, and memory that it writes to is resident.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_is_measured() {
        let before = cpu_time();
        let memory = resident_memory().unwrap();
        let mut block = vec![0_u8; 64 << 20];
        let mut rounds = 0_u8;
        // The block is written to at least once, however much time other tests of this process have used meanwhile.
        loop {
            rounds = rounds.wrapping_add(1);
            block.fill(rounds);
            if cpu_time() >= before + Duration::from_millis(20) {
                break;
            }
        }
        assert!(resident_memory().unwrap() > memory + (32 << 20));
        assert_eq!(block.last(), Some(&rounds));
    }
}
