//! Fake services for the benchmarks: one process, a listener each, a status of the `hephaestus` kind at once.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use color_eyre::Result;
use color_eyre::eyre::{ensure, eyre};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// The path that is asked.
const PATH: &str = "/health/status";

/// The running fleet. It ends when this is dropped, or when this process dies: its input closes.
#[derive(Debug)]
pub(crate) struct Fleet {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    ports: Vec<u16>,
}

/// How it was asked.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Arrivals {
    /// All requests.
    pub(crate) requests: usize,
    /// Distance of an arrival from the grid of its service, the middle one and the 99th of 100, milliseconds.
    pub(crate) jitter_p50_ms: f64,
    /// See above.
    pub(crate) jitter_p99_ms: f64,
    /// Grid points at which no request came.
    pub(crate) missed: usize,
    /// The busiest 100 ms against the mean, after the first interval.
    pub(crate) peak_to_mean: f64,
}

impl Fleet {
    /// Starts so many services on free loopback ports.
    pub(crate) fn start(services: usize) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(services.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or_else(|| eyre!("no input"))?;
        let output = child.stdout.take().ok_or_else(|| eyre!("no output"))?;
        let mut fleet = Self {
            child,
            input,
            output: BufReader::new(output),
            ports: Vec::new(),
        };
        fleet.ports = fleet.read()?;
        ensure!(fleet.ports.len() == services, "not all services listen");
        Ok(fleet)
    }

    /// The URL of each service's status.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.ports
            .iter()
            .map(|port| format!("http://127.0.0.1:{port}{PATH}"))
            .collect()
    }

    /// An inventory that asks each for its status and nothing else.
    pub(crate) fn inventory(&self, interval: &str) -> String {
        let mut yaml = format!("defaults: {{interval: {interval}, timeout: 2s}}\nservices:\n");
        for (number, port) in self.ports.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = writeln!(
                yaml,
                "  service-{number:04}: {{profile: hephaestus, url: \"http://127.0.0.1:{port}\", probes: {{live: off}}}}"
            );
        }
        yaml
    }

    /// How it was asked so far, given the interval it should have been asked at.
    pub(crate) fn arrivals(&mut self, interval: Duration) -> Result<Arrivals> {
        writeln!(self.input, "{}", interval.as_micros())?;
        self.read()
    }

    fn read<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Arrivals as service and microseconds since the start.
type Log = Rc<RefCell<Vec<(usize, u64)>>>;

/// The process that serves: prints its ports, then answers each line of its input (an interval in microseconds)
/// with the arrivals so far, and ends with its input.
pub(crate) fn serve(mut words: impl Iterator<Item = String>) -> Result<()> {
    let services = words.next().unwrap_or_default().parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, serve_until_input_ends(services))
}

async fn serve_until_input_ends(services: usize) -> Result<()> {
    let start = Instant::now();
    let log = Log::default();
    let mut ports = Vec::with_capacity(services);
    for service in 0..services {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        ports.push(listener.local_addr()?.port());
        tokio::task::spawn_local(accept(listener, service, start, Rc::clone(&log)));
    }
    say(&ports)?;
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let arrivals = weigh(&log.borrow(), services, line.trim().parse()?);
        say(&arrivals)?;
    }
    Ok(())
}

fn say(value: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

async fn accept(listener: TcpListener, service: usize, start: Instant, log: Log) {
    while let Ok((stream, _)) = listener.accept().await {
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        log.borrow_mut().push((service, micros));
        tokio::task::spawn_local(answer(stream, service, start));
    }
}

/// Answers the requests of one connection until the other side closes it.
async fn answer(mut stream: TcpStream, service: usize, start: Instant) {
    let mut request = Vec::with_capacity(1024);
    loop {
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut request).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        request.clear();
        let body = status(service, start.elapsed());
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// About 1.1 KB of JSON, as the services that healthctl was made for answer.
fn status(service: usize, uptime: Duration) -> String {
    let mut dependencies = String::new();
    for name in ["database", "qdrant", "openai", "anthropic", "lmstudio"] {
        // Writing to a string cannot fail.
        let _ = write!(
            dependencies,
            "\"{name}\":{{\"status\":\"working\",\"pool_size\":20,\"error\":null,\"last_success_seconds\":0.8,\
             \"last_failure_seconds\":-1,\"success_count\":1204,\"failure_count\":0}},"
        );
    }
    format!(
        "{{\"status\":\"healthy\",\"uptime_seconds\":{:.2},\"start_time\":\"2026-11-22T10:00:00\",\"version\":\"1.4.2\",\
         \"service\":\"service-{service:04}\",\"should_shutdown\":false,\"dependencies\":{{{dependencies}\
         \"groq\":{{\"status\":\"not_used\"}}}},\"resources\":{{\"open_connections\":17,\"background_tasks\":4}}}}",
        uptime.as_secs_f64()
    )
}

/// What the arrivals say of the schedule behind them. The first of each service belongs to the first pass.
fn weigh(log: &[(usize, u64)], services: usize, interval: u64) -> Arrivals {
    let mut of_service = vec![Vec::new(); services];
    for (service, micros) in log {
        if let Some(times) = of_service.get_mut(*service) {
            times.push(*micros);
        }
    }
    let mut distances = Vec::new();
    let mut missed = 0;
    for times in &of_service {
        let Some((first, rest)) = times.get(1..).and_then(<[u64]>::split_first) else {
            continue;
        };
        let mut points = 0;
        let mut off: Vec<f64> = vec![0.0];
        for time in rest {
            let passed = time - first;
            let point = (passed + interval / 2) / interval;
            missed += usize::try_from(point.saturating_sub(points + 1)).unwrap_or(usize::MAX);
            points = point;
            off.push(passed as f64 - (point * interval) as f64);
        }
        let middle = crate::measure::median(off.iter().copied());
        distances.extend(off.iter().map(|off| (off - middle).abs() / 1e3));
    }
    distances.sort_by(f64::total_cmp);
    Arrivals {
        requests: log.len(),
        jitter_p50_ms: share(&distances, 50),
        jitter_p99_ms: share(&distances, 99),
        missed,
        peak_to_mean: peak_to_mean(log, interval),
    }
}

fn share(sorted: &[f64], percent: usize) -> f64 {
    sorted
        .get(sorted.len() * percent / 100)
        .copied()
        .unwrap_or(0.0)
}

fn peak_to_mean(log: &[(usize, u64)], interval: u64) -> f64 {
    const TENTH: u64 = 100_000;
    let Some((_, first)) = log.first() else {
        return 0.0;
    };
    let steady = || {
        log.iter()
            .map(|(_, at)| at - first)
            .filter(|at| *at > 2 * interval)
    };
    let mut tenths = std::collections::BTreeMap::<u64, u32>::new();
    for at in steady() {
        *tenths.entry(at / TENTH).or_default() += 1;
    }
    let (Some((begin, _)), Some((end, _))) = (tenths.first_key_value(), tenths.last_key_value())
    else {
        return 0.0;
    };
    let mean = steady().count() as f64 / (end - begin + 1) as f64;
    f64::from(tenths.values().copied().max().unwrap_or(0)) / mean
}
