//! What a scenario expects of a snapshot.

use std::fmt::Display;

use healthctl::health::{
    Change, DependencySnapshot, HeartbeatSnapshot, Moment, ProbeSnapshot, ServiceSnapshot, State,
};
use serde_yaml::Value;

use crate::notation::{Result, entries, show, text};

/// What can be compared: a snapshot, what has changed, which probes are wanted.
pub(crate) struct Found<'a> {
    pub(crate) snapshot: &'a ServiceSnapshot,
    pub(crate) changed: &'a [Change],
    pub(crate) asks: Vec<String>,
    pub(crate) now: Moment,
}

impl Found<'_> {
    /// Compares with `then`: a state, or a map of what is expected.
    pub(crate) fn check(&self, then: &Value) -> Result<()> {
        if let Some(state) = then.as_str() {
            State::parse(state).ok_or_else(|| format!("`{state}` is no state"))?;
            return same("state", self.snapshot.state, then);
        }
        for (key, expected) in entries(then)? {
            self.check_one(key, expected)?;
        }
        Ok(())
    }

    fn check_one(&self, key: &str, expected: &Value) -> Result<()> {
        let snapshot = self.snapshot;
        match key {
            "state" => same(key, snapshot.state, expected),
            "since" => same(key, seconds(self.now.since(snapshot.since)), expected),
            "reasons" => same(key, list(&snapshot.reasons), &listed(expected)?),
            "notes" => same(key, list(&snapshot.notes), &listed(expected)?),
            "flags" => same(key, list(&snapshot.flags), &listed(expected)?),
            "asks" => same(key, list(&self.asks), &listed(expected)?),
            "changed" => {
                let words = self
                    .changed
                    .iter()
                    .map(|it| format!("{it:?}").to_lowercase());
                same(key, list(words), &listed(expected)?)
            }
            "live" => same(key, option(snapshot.live), expected),
            "ready" => same(key, option(snapshot.ready), expected),
            "verdict" => same(key, snapshot.verdict, expected),
            "blocked_by" => same(key, option(snapshot.blocked_by.as_ref()), expected),
            "version" => same(key, option(snapshot.version.as_ref()), expected),
            "started" => same(
                key,
                option(
                    snapshot
                        .started
                        .map(|start| start.at.strftime("%H:%M:%S").to_string()),
                ),
                expected,
            ),
            "uptime" => same(
                key,
                option(
                    snapshot
                        .uptime
                        .map(|(uptime, at)| seconds(uptime + self.now.since(at))),
                ),
                expected,
            ),
            "heartbeat" => {
                let beat = snapshot.heartbeat.as_ref().ok_or("there is no heartbeat")?;
                for (key, expected) in entries(expected)? {
                    let found = self.of_heartbeat(beat, key)?;
                    same(&format!("heartbeat.{key}"), found, expected)?;
                }
                Ok(())
            }
            "counted" => each(expected, |name, expected| {
                let counted = self.probe(name)?.counted;
                same(&format!("counted.{name}"), option(counted), expected)
            }),
            "probes" => each(expected, |name, expected| {
                let probe = self.probe(name)?;
                for (key, expected) in entries(expected)? {
                    let found = self.of_probe(probe, key)?;
                    same(&format!("probes.{name}.{key}"), found, expected)?;
                }
                Ok(())
            }),
            "dependencies" => each(expected, |name, expected| {
                let mut dependencies = snapshot.dependencies.iter();
                let dependency = dependencies
                    .find(|dependency| dependency.name == name)
                    .ok_or_else(|| format!("dependency {name} is not shown"))?;
                for (key, expected) in entries(expected)? {
                    let found = self.of_dependency(dependency, key)?;
                    same(&format!("dependencies.{name}.{key}"), found, expected)?;
                }
                Ok(())
            }),
            _ => Err(format!("`{key}` is nothing that can be expected")),
        }
    }

    fn probe(&self, name: &str) -> Result<&ProbeSnapshot> {
        let mut probes = self.snapshot.probes.iter();
        probes
            .find(|probe| probe.info.name == name)
            .ok_or_else(|| format!("there is no probe {name}"))
    }

    fn of_probe(&self, probe: &ProbeSnapshot, key: &str) -> Result<String> {
        Ok(match key {
            "result" => option(probe.latest),
            "counted" => option(probe.counted),
            "success_count" => probe.counters.success.to_string(),
            "failure_count" => probe.counters.failure.to_string(),
            "consecutive_successes" => probe.consecutive_successes.to_string(),
            "consecutive_failures" => probe.consecutive_failures.to_string(),
            "last_success" => self.age(probe.last_success),
            "last_failure" => self.age(probe.last_failure),
            "flapping" => probe.flapping.to_string(),
            "failure" => option(probe.failure.as_ref().map(|failure| &failure.message)),
            _ => return Err(format!("`{key}` is nothing that a probe shows")),
        })
    }

    fn of_dependency(&self, dependency: &DependencySnapshot, key: &str) -> Result<String> {
        Ok(match key {
            "status" => dependency.status.to_string(),
            "required" => dependency.required.to_string(),
            "error" => option(dependency.error.as_ref()),
            "success_count" => option(dependency.success_count),
            "failure_count" => option(dependency.failure_count),
            "success_total" => option(dependency.success_total),
            "failure_total" => option(dependency.failure_total),
            "last_success" => self.age(dependency.last_success),
            "last_failure" => self.age(dependency.last_failure),
            "missed" => option(dependency.heartbeat.as_ref().map(|it| it.missed)),
            "observed" => self.age(Some(dependency.observed_at)),
            _ => return Err(format!("`{key}` is nothing that a dependency shows")),
        })
    }

    fn of_heartbeat(&self, beat: &HeartbeatSnapshot, key: &str) -> Result<String> {
        Ok(match key {
            "last" => self.age(beat.beat_at),
            "missed" => beat.missed.to_string(),
            "holder" => option(beat.holder.as_ref()),
            "final" => beat.is_final.to_string(),
            _ => return Err(format!("`{key}` is nothing that a heartbeat shows")),
        })
    }

    /// How long ago; `never` for none.
    fn age(&self, moment: Option<Moment>) -> String {
        moment.map_or("never".to_owned(), |moment| seconds(self.now.since(moment)))
    }
}

fn each(expected: &Value, check: impl Fn(&str, &Value) -> Result<()>) -> Result<()> {
    entries(expected)?
        .into_iter()
        .try_for_each(|(name, expected)| check(name, expected))
}

fn same(what: &str, found: impl Display, expected: &Value) -> Result<()> {
    let (found, expected) = (found.to_string(), show(expected));
    if found == expected {
        return Ok(());
    }
    Err(format!("{what} is {found}, expected {expected}"))
}

fn seconds(duration: std::time::Duration) -> String {
    humantime::format_duration(duration).to_string()
}

fn option(value: Option<impl Display>) -> String {
    value.map_or("null".to_owned(), |value| value.to_string())
}

fn list(items: impl IntoIterator<Item = impl Display>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(" | "))
}

fn listed(value: &Value) -> Result<Value> {
    let items = value.as_sequence().ok_or("expected a list")?;
    let items: Vec<_> = items.iter().map(text).collect::<Result<_>>()?;
    Ok(Value::String(list(items)))
}
