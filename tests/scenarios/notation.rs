//! The notation of scenario files: services, probes, answers.

use std::time::Duration;

use healthctl::health::{
    Age, Beat, Dependency, DependencyStatus, FailureKind, Heartbeat, HostFinding, Identity,
    LocalProcess, Moment, OnRecord, Outcome, ProbeInfo, ProbeResult, Process, Reading, Role,
    ServiceInfo, Start, State, StatusWord, VerdictPolicy,
};
use serde_yaml::{Mapping, Value};

pub(crate) type Result<T> = std::result::Result<T, String>;

/// The entries of a map, with text keys.
pub(crate) fn entries(value: &Value) -> Result<Vec<(&str, &Value)>> {
    let map: &Mapping = value
        .as_mapping()
        .ok_or_else(|| format!("expected a map, found {}", show(value)))?;
    map.iter()
        .map(|(key, value)| {
            let key = key.as_str().ok_or_else(|| "a key is no text".to_owned())?;
            Ok((key, value))
        })
        .collect()
}

pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_yaml::to_string(other)
            .unwrap_or_default()
            .trim_end()
            .to_owned(),
    }
}

pub(crate) fn text(value: &Value) -> Result<&str> {
    value
        .as_str()
        .ok_or_else(|| format!("expected text, found {}", show(value)))
}

pub(crate) fn texts(value: &Value) -> Result<Vec<String>> {
    let list = value
        .as_sequence()
        .ok_or_else(|| format!("expected a list, found {}", show(value)))?;
    list.iter()
        .map(|item| text(item).map(str::to_owned))
        .collect()
}

pub(crate) fn duration(value: &Value) -> Result<Duration> {
    let written = text(value)?;
    humantime::parse_duration(written).map_err(|error| format!("`{written}`: {error}"))
}

fn number(value: &Value) -> Result<u64> {
    value
        .as_u64()
        .ok_or_else(|| format!("expected a whole number, found {}", show(value)))
}

fn flag(value: &Value) -> Result<bool> {
    value
        .as_bool()
        .ok_or_else(|| format!("expected true or false, found {}", show(value)))
}

/// A service with the given entries; one `live` probe where it has no other.
pub(crate) fn service(name: &str, value: Option<&Value>) -> Result<ServiceInfo> {
    let mut rules = ServiceInfo::new(name);
    for (key, value) in value.map(entries).transpose()?.unwrap_or_default() {
        match key {
            "probes" => {
                for (name, value) in entries(value)? {
                    rules.probes.push(probe(name, value)?);
                }
            }
            "required" => rules.required = texts(value)?.into_iter().collect(),
            "degraded" => {
                rules.degraded = VerdictPolicy::parse(text(value)?).ok_or("no such policy")?;
            }
            "stopped" => {
                rules.stopped = VerdictPolicy::parse(text(value)?).ok_or("no such policy")?;
            }
            "max_success_age" => rules.max_success_age = Some(duration(value)?),
            "start_period" => rules.start_period = duration(value)?,
            "shutdown_timeout" => rules.shutdown_timeout = duration(value)?,
            "depends_on" => rules.depends_on = texts(value)?,
            "replicas" => rules.replicas = flag(value)?,
            _ => return Err(format!("`{key}` is no key of a service")),
        }
    }
    if rules.probes.is_empty() {
        rules.probes.push(probe("live", &Value::Null)?);
    }
    Ok(rules)
}

fn probe(name: &str, value: &Value) -> Result<ProbeInfo> {
    let mut rule = ProbeInfo {
        name: name.to_owned(),
        role: Role::of(name),
        kind: "http",
        target: format!("http://localhost:8000/{name}"),
        failure_threshold: 3,
        success_threshold: 1,
        required: false,
        interval: Duration::from_secs(5),
        reports_dependencies: false,
    };
    if value.is_null() {
        return Ok(rule);
    }
    for (key, value) in entries(value)? {
        let threshold = || u32::try_from(number(value)?).map_err(|error| error.to_string());
        match key {
            "failure_threshold" => rule.failure_threshold = threshold()?,
            "success_threshold" => rule.success_threshold = threshold()?,
            "required" => rule.required = flag(value)?,
            "reports_dependencies" => rule.reports_dependencies = flag(value)?,
            "target" => text(value)?.clone_into(&mut rule.target),
            _ => return Err(format!("`{key}` is no key of a probe")),
        }
    }
    Ok(rule)
}

/// An answer: `pass`, `fail timeout`, or a map with `is` and what the payload says.
pub(crate) fn answer(value: &Value, at: Moment) -> Result<Outcome> {
    if value.is_string() {
        return result(text(value)?, at);
    }
    let entries = entries(value)?;
    let is = entries.iter().find(|(key, _)| *key == "is");
    let (_, is) = is.ok_or("an answer lacks `is`")?;
    let mut outcome = result(text(is)?, at)?;
    let mut reading = Reading::default();
    let mut process = None;
    for (key, value) in entries {
        match key {
            "is" => {}
            "latency" => outcome.latency = Some(duration(value)?),
            "because" => {
                let failure = outcome
                    .failure
                    .as_mut()
                    .ok_or("`because` without a failure")?;
                text(value)?.clone_into(&mut failure.message);
            }
            "says" => reading.status = Some(status(text(value)?)?),
            "draining" => reading.draining = flag(value)?,
            "version" => reading.version = Some(text(value)?.to_owned()),
            "instance" => reading.instance = Some(text(value)?.to_owned()),
            "message" => reading.message = Some(text(value)?.to_owned()),
            "heartbeat" => reading.heartbeat = Some(heartbeat(value)?),
            "started" => reading.started = Some(start(text(value)?, at)?),
            "uptime" => reading.uptime = Some(duration(value)?),
            "pid" => process = Some(owner(text(value)?)?),
            "ignores_dependencies" => reading.ignores_dependencies = flag(value)?,
            "lists_failures_only" => reading.lists_failures_only = flag(value)?,
            "dependencies" => {
                let list = self::entries(value)?;
                let list = list
                    .into_iter()
                    .map(|(name, value)| dependency(name, value));
                reading.dependencies = Some(list.collect::<Result<_>>()?);
            }
            _ => return Err(format!("`{key}` is nothing that an answer has")),
        }
    }
    if process.is_some() {
        outcome.identity = Some(Identity {
            process,
            ..Identity::default()
        });
    }
    if reading != Reading::default() {
        outcome.reading = Some(reading);
    }
    Ok(outcome)
}

/// `pass`, `warn`, `fail KIND`, `fail CODE`, `fail refused`, `unknown KIND`.
fn result(written: &str, at: Moment) -> Result<Outcome> {
    let (word, detail) = written.split_once(' ').unwrap_or((written, ""));
    let result = ProbeResult::parse(word).ok_or_else(|| format!("`{word}` is no result"))?;
    let mut outcome = Outcome::bare(result, at);
    if result.is_success() {
        outcome.code = Some(200);
        outcome.latency = Some(Duration::from_millis(3)).filter(|_| detail == "in 3ms");
        return Ok(outcome);
    }
    let (kind, message) = match detail {
        "refused" => (FailureKind::Connect, "connection refused (127.0.0.1:8000)"),
        "timeout" => (FailureKind::Timeout, "no answer within 2s"),
        "auth" => (FailureKind::Auth, "answered 401 Unauthorized"),
        "local" => (FailureKind::Local, "too many open files"),
        "decode" => (FailureKind::Decode, "the body is no JSON"),
        "protocol" => (FailureKind::Protocol, "the answer is no HTTP"),
        "exit" => (FailureKind::Exit, "exit status 1"),
        code if code.parse::<u16>().is_ok() => (FailureKind::Status, ""),
        "" => (FailureKind::Expect, "not as expected"),
        other => return Err(format!("`{other}` is no way to fail")),
    };
    outcome.refused = detail == "refused";
    outcome.code = match detail {
        "auth" => Some(401),
        "decode" | "" => Some(200),
        code => code.parse().ok(),
    };
    let message = match outcome.code {
        Some(code) if message.is_empty() => format!("answered {code}"),
        _ => message.to_owned(),
    };
    outcome.failure = Some(healthctl::health::Failure::new(kind, message));
    Ok(outcome)
}

/// `degraded`, or `draining (shutting_down)` with the service's own word.
fn status(written: &str) -> Result<StatusWord> {
    let (state, raw) = match written.split_once(" (") {
        Some((state, raw)) => (state, raw.strip_suffix(')').ok_or("`)` is missing")?),
        None => (written, written),
    };
    Ok(StatusWord {
        state: State::parse(state).ok_or_else(|| format!("`{state}` is no state"))?,
        raw: Some(raw.to_owned()),
    })
}

/// `09:00:00` (exact to 1 µs), `09:00:00 ±1s`, or `30s ago ±2s` for one derived from an uptime.
fn start(written: &str, at: Moment) -> Result<Start> {
    let (written, tolerance) = written.split_once(" ±").unwrap_or((written, "1us"));
    let tolerance = humantime::parse_duration(tolerance).map_err(|error| error.to_string())?;
    if let Some(ago) = written.strip_suffix(" ago") {
        let ago = humantime::parse_duration(ago).map_err(|error| error.to_string())?;
        return Ok(Start {
            at: at.minus(ago).wall,
            tolerance,
            derived: true,
        });
    }
    let written = format!("2026-11-22T{written}Z");
    Ok(Start {
        at: written
            .parse()
            .map_err(|error| format!("{written}: {error}"))?,
        tolerance,
        derived: false,
    })
}

/// A time of the reporter's clock, `30s ago` or `never`; or a map with it as `last`, `fresh_for` (10s), `every`,
/// `holder`, `final`, `message`.
fn heartbeat(value: &Value) -> Result<Heartbeat> {
    let mut heartbeat = Heartbeat {
        beat: Beat::Never,
        fresh_for: Some(Duration::from_secs(10)),
        every: None,
        holder: None,
        is_final: false,
        message: None,
    };
    if value.is_string() {
        heartbeat.beat = beat(text(value)?)?;
        return Ok(heartbeat);
    }
    for (key, value) in entries(value)? {
        match key {
            "last" => heartbeat.beat = beat(text(value)?)?,
            "fresh_for" if value.is_null() => heartbeat.fresh_for = None,
            "fresh_for" => heartbeat.fresh_for = Some(duration(value)?),
            "every" => heartbeat.every = Some(duration(value)?),
            "holder" => heartbeat.holder = Some(text(value)?.to_owned()),
            "final" => heartbeat.is_final = flag(value)?,
            "message" => heartbeat.message = Some(text(value)?.to_owned()),
            _ => return Err(format!("`{key}` is nothing that a heartbeat has")),
        }
    }
    Ok(heartbeat)
}

fn beat(written: &str) -> Result<Beat> {
    if written == "never" {
        return Ok(Beat::Never);
    }
    if let Some(ago) = written.strip_suffix(" ago") {
        let ago = humantime::parse_duration(ago).map_err(|error| error.to_string())?;
        return Ok(Beat::Ago(ago));
    }
    let written = format!("2026-11-22T{written}Z");
    let time = written.parse();
    time.map(Beat::At)
        .map_err(|error| format!("{written}: {error}"))
}

/// `7@100`: pid and kernel start.
fn owner(written: &str) -> Result<Process> {
    let (pid, start_ticks) = written.split_once('@').ok_or("a pid is written 7@100")?;
    Ok(Process {
        pid: pid.parse().map_err(|_| "pid")?,
        start_ticks: start_ticks.parse().map_err(|_| "kernel start")?,
    })
}

/// `working`, `error: timeout after 2s` or a map.
fn dependency(name: &str, value: &Value) -> Result<Dependency> {
    let status = |word: &str| {
        DependencyStatus::parse(word).ok_or_else(|| format!("`{word}` is no dependency status"))
    };
    if let Some(written) = value.as_str() {
        let (word, error) = match written.split_once(": ") {
            Some((word, error)) => (word, Some(error.to_owned())),
            None => (written, None),
        };
        return Ok(Dependency {
            word: Some(word.to_owned()),
            error,
            ..Dependency::new(name, status(word)?)
        });
    }
    let mut dependency = Dependency::new(name, DependencyStatus::Working);
    for (key, value) in entries(value)? {
        let age = || match value.as_str() {
            Some("never") => Ok(Age::Never),
            _ => duration(value).map(Age::Ago),
        };
        match key {
            "status" => dependency.status = status(text(value)?)?,
            "word" => dependency.word = Some(text(value)?.to_owned()),
            "error" => dependency.error = Some(text(value)?.to_owned()),
            "required" => dependency.required = flag(value)?,
            "success" => dependency.success_count = Some(number(value)?),
            "failure" => dependency.failure_count = Some(number(value)?),
            "heartbeat" => dependency.heartbeat = Some(heartbeat(value)?),
            "last_success" => dependency.last_success = age()?,
            "last_failure" => dependency.last_failure = age()?,
            _ => return Err(format!("`{key}` is nothing that a dependency has")),
        }
    }
    Ok(dependency)
}

/// What was seen on this machine: `runs 7`, `runs 7 since 80s`, `never started`, `shut down at 50s`, `started until 60s`,
/// `nothing`; nothing of it runs where no process is named. The clock begins at 10:00:00.
pub(crate) fn host(text: &str) -> Result<HostFinding> {
    let second = |word: &str| {
        let time = humantime::parse_duration(word).map_err(|error| format!("`{word}`: {error}"))?;
        Ok::<_, String>(Moment::at_seconds(time.as_secs_f64()).wall)
    };
    let mut finding = HostFinding::default();
    for part in text.split(", ") {
        let words: Vec<&str> = part.split(' ').collect();
        match words.as_slice() {
            ["nothing"] => {}
            ["runs", pid, since @ ..] => {
                let since = since.last().copied().unwrap_or("0s");
                finding.process = Some(LocalProcess {
                    pid: pid.parse().map_err(|_| format!("`{pid}` is no pid"))?,
                    started: second(since)?,
                });
            }
            ["never", "started"] => finding.on_record = OnRecord::NeverStarted,
            ["shut", "down", "at", time] => finding.on_record = OnRecord::ShutDown(second(time)?),
            ["started", "until", time] => finding.on_record = OnRecord::StartedUntil(second(time)?),
            _ => return Err(format!("`{part}` is nothing that is seen on a machine")),
        }
    }
    finding.gone = finding.process.is_none() && text != "nothing";
    Ok(finding)
}
