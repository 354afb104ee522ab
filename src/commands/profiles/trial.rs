//! `--try`: what each probe of a profile makes of a saved reply, or of a running service that is probed once.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::commands::{Context, Error, environment};
use crate::health::{Age, Beat, Dependency, Heartbeat, Reading, Start, StatusWord};
use crate::host::Clock;
use crate::inventory::{AdHocTarget, AvailableProfile};
use crate::probe::Prober;
use crate::profile::{Captured, HttpResponse, Judgement, Profile, judge};
use crate::text::{TextTable, ago, clean, long_age, long_latency};

/// The most bytes of a reply that a probe would read.
const LARGEST: usize = 1 << 20;

/// The result of one probe of a profile on one reply.
#[derive(Debug)]
pub(super) struct Trial {
    profile: String,
    probe: String,
    /// The URL that was asked, where a service was.
    target: Option<String>,
    judgement: Judgement,
}

/// Tries one profile, or without a name every profile, on a saved reply.
pub(super) fn of_file(
    named: Option<&AvailableProfile>,
    known: &[AvailableProfile],
    path: &str,
    probe: Option<&str>,
) -> Result<Vec<Trial>, Error> {
    let reply = Captured::parse(&read(Path::new(path))?);
    let known = named.map_or(known, std::slice::from_ref);
    let mut trials = Vec::new();
    for profile in known.iter().filter_map(|it| it.profile.as_deref()) {
        for name in probes(profile, named.is_some(), probe)? {
            trials.push(judge_saved(profile, &name, &reply));
        }
    }
    Ok(trials)
}

/// Tries a profile on a running service: each of its probes is asked once.
pub(super) async fn of_url(
    context: &Context,
    named: Option<&AvailableProfile>,
    url: &str,
    probe: Option<&str>,
) -> Result<Vec<Trial>, Error> {
    let Some(offered) = named else {
        return Err(Error::usage_hint(
            "which profile should be tried on it?",
            "`healthctl profiles NAME --try URL`; `healthctl profiles` lists the names",
        ));
    };
    let Some(profile) = offered.profile.as_deref() else {
        return Ok(Vec::new());
    };
    let wanted = probes(profile, true, probe)?;
    let loaded = context.adhoc(AdHocTarget::Url(url), Some(&offered.name), &[])?;
    let prober = Prober::new(Clock::start());
    let mut trials = Vec::new();
    for service in loaded.inventory.services.values() {
        let all = service.probes.iter();
        for probe in all.filter(|probe| wanted.contains(&probe.name)) {
            let outcome = prober.probe(probe, None).await;
            trials.push(Trial {
                profile: offered.name.clone(),
                probe: probe.name.clone(),
                target: Some(probe.kind.target()),
                judgement: Judgement {
                    result: outcome.result,
                    failure: outcome.failure,
                    reading: outcome.reading,
                },
            });
        }
    }
    Ok(trials)
}

/// Returns the probes to try, in the order of the profile. Only a profile that was named must have the wanted probe.
fn probes(profile: &Profile, named: bool, wanted: Option<&str>) -> Result<Vec<String>, Error> {
    if profile.probes.is_empty() && named {
        // The profile is for the probes of others: any name will do.
        return Ok(vec![wanted.unwrap_or("live").to_owned()]);
    }
    let known = || profile.probes.keys();
    let Some(wanted) = wanted else {
        return Ok(known().cloned().collect());
    };
    let found: Vec<String> = known().filter(|name| *name == wanted).cloned().collect();
    if found.is_empty() && named {
        let known: Vec<&str> = known().map(String::as_str).collect();
        let wanted = clean(wanted, 80);
        return Err(Error::usage_hint(
            format!("the profile `{}` has no probe `{wanted}`", profile.name),
            format!("its probes: {}", known.join(", ")),
        ));
    }
    Ok(found)
}

fn judge_saved(profile: &Profile, probe: &str, reply: &Captured) -> Trial {
    let response = HttpResponse {
        // A body alone is taken for that of a good answer.
        code: reply.code.unwrap_or(200),
        headers: &reply.headers,
        body: &reply.body,
        at: Clock::start().now(),
        latency: Duration::ZERO,
    };
    let decode = profile.decode_of(probe).map(Arc::as_ref);
    Trial {
        profile: profile.name.clone(),
        probe: probe.to_owned(),
        target: None,
        judgement: judge(decode, &profile.expect_of(probe), &response),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let shown = clean(&path.display().to_string(), 200);
    let message = match environment::read_at_most(path, LARGEST + 1) {
        Err(error) => format!("cannot read `{shown}`: {error}"),
        Ok(bytes) if bytes.len() > LARGEST => format!("`{shown}` is larger than 1 MiB"),
        Ok(bytes) => return Ok(bytes),
    };
    let hint = "a reply as `curl -i` saves it, a mere body, `-`, or a URL";
    Err(Error::usage_hint(message, hint))
}

/// Formats the trials for people.
pub(super) fn text(trials: &[Trial]) -> String {
    let parts: Vec<String> = trials.iter().map(text_of).collect();
    parts.join("\n")
}

fn text_of(trial: &Trial) -> String {
    let mut out = format!(
        "{} {}: {}",
        trial.profile, trial.probe, trial.judgement.result
    );
    if let Some(target) = &trial.target {
        let _ = write!(out, " ({target})");
    }
    out.push('\n');
    let failure = trial.judgement.failure.as_ref();
    let nothing = Reading::default();
    let reading = trial.judgement.reading.as_ref().unwrap_or(&nothing);
    for (name, value) in [
        (
            "failure",
            failure.map(|it| format!("{}: {}", it.kind, it.message)),
        ),
        ("state", reading.status.as_ref().map(state)),
        ("version", reading.version.clone()),
        ("service", reading.service.clone()),
        ("instance", reading.instance.clone()),
        ("started", reading.started.map(started)),
        ("uptime", reading.uptime.map(long_age)),
        ("message", reading.message.clone()),
        ("heartbeat", reading.heartbeat.as_ref().map(heartbeat)),
        ("resources", pairs(reading.resources.iter())),
    ] {
        if let Some(value) = value {
            let _ = writeln!(out, "  {name:<10} {value}");
        }
    }
    match reading.dependencies.as_deref() {
        None => {}
        Some([]) => {
            let _ = writeln!(out, "  {:<10} no dependencies", "");
        }
        Some(dependencies) => {
            for line in dependency_table(dependencies).to_string().lines() {
                let _ = writeln!(out, "  {line}");
            }
        }
    }
    out
}

fn state(status: &StatusWord) -> String {
    match &status.raw {
        Some(raw) => format!("{} (reports `{raw}`)", status.state),
        None => status.state.to_string(),
    }
}

fn started(start: Start) -> String {
    let derived = if start.derived {
        ", from the uptime"
    } else {
        ""
    };
    format!("{} (to {:?}{derived})", start.at, start.tolerance)
}

fn dependency_table(dependencies: &[Dependency]) -> TextTable {
    let titles = [
        "DEPENDENCY",
        "STATUS",
        "OK",
        "FAILED",
        "LAST SUCCESS",
        "LAST FAILURE",
        "LATENCY",
        "ERROR",
        "DETAILS",
    ];
    let mut table = TextTable::new(&titles, false);
    for dependency in dependencies {
        let required = if dependency.required {
            " (required)"
        } else {
            ""
        };
        let last_success = match (dependency.last_success, &dependency.heartbeat) {
            // A dependency with a heartbeat worked when that was last seen.
            (Age::NotReported, Some(heartbeat)) => Some(beat(heartbeat.beat)),
            (age, _) => age_text(age),
        };
        table.add_texts([
            Some(format!("{}{required}", dependency.name)),
            Some(dependency.status.to_string()),
            dependency.success_count.map(|count| count.to_string()),
            dependency.failure_count.map(|count| count.to_string()),
            last_success,
            age_text(dependency.last_failure),
            dependency.latency.map(long_latency),
            dependency.error.clone(),
            pairs(dependency.details.iter()),
        ]);
    }
    table
}

fn age_text(age: Age) -> Option<String> {
    match age {
        Age::NotReported => None,
        Age::Never => Some(ago(None)),
        Age::Ago(age) => Some(ago(Some(age))),
    }
}

fn beat(beat: Beat) -> String {
    match beat {
        Beat::Never => ago(None),
        Beat::Ago(age) => ago(Some(age)),
        Beat::At(time) => time.to_string(),
    }
}

/// Formats a heartbeat, as `2026-11-22T10:00:00Z, good for 30s, held by syncer-1`.
fn heartbeat(heartbeat: &Heartbeat) -> String {
    let fresh_for = heartbeat.fresh_for.map(long_age);
    let every = heartbeat.every.map(long_age);
    let parts = [
        Some(beat(heartbeat.beat)),
        fresh_for.map(|span| format!("good for {span}")),
        every.map(|span| format!("then missed every {span}")),
        heartbeat.holder.as_ref().map(|it| format!("held by {it}")),
        heartbeat.is_final.then(|| "the last one".to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Formats values as `a=1 b=2`, text without quotes.
fn pairs<'a>(pairs: impl Iterator<Item = (&'a String, &'a Value)>) -> Option<String> {
    let pairs: Vec<String> = pairs
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key}={text}"),
            other => format!("{key}={other}"),
        })
        .collect();
    (!pairs.is_empty()).then(|| pairs.join(" "))
}

/// Formats the trials as JSON.
pub(super) fn json(trials: &[Trial]) -> String {
    let trials: Vec<Value> = trials.iter().map(json_of).collect();
    format!("{}\n", json!({"schema_version": 1, "tries": trials}))
}

fn json_of(trial: &Trial) -> Value {
    let judgement = &trial.judgement;
    let failure = judgement.failure.as_ref();
    let nothing = Reading::default();
    let reading = judgement.reading.as_ref().unwrap_or(&nothing);
    let status = reading.status.as_ref();
    let dependencies = reading.dependencies.as_ref();
    json!({
        "profile": trial.profile,
        "probe": trial.probe,
        "target": trial.target,
        "result": judgement.result,
        "failure": failure.map(|failure| json!({"kind": failure.kind, "message": failure.message})),
        "state": status.map(|status| status.state),
        "word": status.and_then(|status| status.raw.as_deref()),
        "service": reading.service,
        "instance": reading.instance,
        "version": reading.version,
        "started_at": reading.started.map(|start| start.at.to_string()),
        "uptime_seconds": reading.uptime.map(|uptime| uptime.as_secs_f64()),
        "message": reading.message,
        "heartbeat": reading.heartbeat.as_ref().map(json_heartbeat),
        "resources": judgement.reading.as_ref().map(|reading| &reading.resources),
        "dependencies": dependencies.map(|all| all.iter().map(json_dependency).collect::<Vec<_>>()),
    })
}

fn json_dependency(dependency: &Dependency) -> Value {
    let seconds = |age: Age| match age {
        Age::Ago(ago) => json!(ago.as_secs_f64()),
        Age::NotReported | Age::Never => Value::Null,
    };
    json!({
        "name": dependency.name,
        "status": dependency.status,
        "word": dependency.word,
        "required": dependency.required,
        "error": dependency.error,
        "success_count": dependency.success_count,
        "failure_count": dependency.failure_count,
        "last_success_seconds": seconds(dependency.last_success),
        "last_failure_seconds": seconds(dependency.last_failure),
        "heartbeat": dependency.heartbeat.as_ref().map(json_heartbeat),
        "latency_ms": dependency.latency.map(|latency| latency.as_secs_f64() * 1e3),
        "details": dependency.details,
    })
}

fn json_heartbeat(heartbeat: &Heartbeat) -> Value {
    let (at, seconds) = match heartbeat.beat {
        Beat::Never => (None, None),
        Beat::At(time) => (Some(time.to_string()), None),
        Beat::Ago(ago) => (None, Some(ago.as_secs_f64())),
    };
    json!({
        "last_at": at,
        "last_seconds": seconds,
        "fresh_for_seconds": heartbeat.fresh_for.map(|span| span.as_secs_f64()),
        "every_seconds": heartbeat.every.map(|span| span.as_secs_f64()),
        "holder": heartbeat.holder,
        "final": heartbeat.is_final,
    })
}
