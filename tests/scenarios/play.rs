//! Plays one scenario on a fleet.

use std::collections::BTreeMap;
use std::sync::Arc;

use healthctl::health::{
    Change, Flag, Fleet, LifecycleEvent, Moment, ServiceInfo, ServiceSnapshot, StartProgress,
    Update,
};
use serde_yaml::Value;

use crate::expectation::Found;
use crate::notation::{Result, answer, duration, entries, host, service, show, text};

/// The name of the service where a scenario has only one.
const ONLY: &str = "api";

struct Stage {
    fleet: Fleet,
    rules: Vec<ServiceInfo>,
    snapshots: Vec<Arc<ServiceSnapshot>>,
    /// What changed in the step under way, by service.
    changed: BTreeMap<String, Vec<Change>>,
}

/// Plays it to its end; the first step that does not end as it says is the failure.
pub(crate) fn scenario(value: &Value) -> Result<()> {
    let mut rules = Vec::new();
    let mut steps = None;
    for (key, value) in entries(value)? {
        match key {
            "service" => rules.push(service(ONLY, Some(value))?),
            "services" => {
                for (name, value) in entries(value)? {
                    rules.push(service(name, Some(value).filter(|it| !it.is_null()))?);
                }
            }
            "steps" => steps = value.as_sequence(),
            "why" => {
                text(value)?;
            }
            _ => return Err(format!("`{key}` is no key of a scenario")),
        }
    }
    if rules.is_empty() {
        rules.push(service(ONLY, None)?);
    }
    let fleet = Fleet::new(rules.clone(), Moment::at_seconds(0.0));
    let mut stage = Stage {
        snapshots: fleet.snapshots(),
        fleet,
        rules,
        changed: BTreeMap::new(),
    };
    let mut expects = false;
    for (number, step) in steps.ok_or("there are no `steps`")?.iter().enumerate() {
        let number = number + 1;
        expects |= stage
            .step(step)
            .map_err(|failure| format!("step {number} {failure}\n    in {}", flow(step)))?;
    }
    if expects {
        Ok(())
    } else {
        Err("nothing is expected".to_owned())
    }
}

fn flow(step: &Value) -> String {
    serde_json::to_string(step).unwrap_or_else(|_| show(step))
}

impl Stage {
    /// True where something was expected.
    fn step(&mut self, step: &Value) -> Result<bool> {
        let parts = entries(step)?;
        let at = parts.iter().find(|(key, _)| *key == "t");
        let (_, at) = at.ok_or("has no `t`")?;
        let now = Moment::at_seconds(duration(at)?.as_secs_f64());
        self.changed.clear();
        for (key, value) in &parts {
            if matches!(*key, "t" | "then" | "note") {
                continue;
            }
            let updates = self
                .happen(key, value, now)
                .map_err(|failure| format!("at {}: {key}: {failure}", show(at)))?;
            self.take_over(&updates)?;
        }
        let updates = self.fleet.tick(now);
        self.take_over(&updates)?;
        let Some((_, then)) = parts.iter().find(|(key, _)| *key == "then") else {
            return Ok(false);
        };
        let checked = match (self.rules.as_slice(), then) {
            ([one], then) => self.check(&one.name, then, now),
            (_, then) => entries(then)?
                .into_iter()
                .try_for_each(|(name, then)| self.check(name, then, now)),
        };
        checked.map_err(|failure| format!("at {}: {failure}", show(at)))?;
        Ok(true)
    }

    /// `live: pass`, `db.live: pass`, `event: started`, `db.event: shutdown accepted`.
    fn happen(&mut self, key: &str, value: &Value, now: Moment) -> Result<Vec<Update>> {
        let (service, probe) = match key.split_once('.') {
            Some((service, probe)) => (service, probe),
            None => (ONLY, key),
        };
        let place = self.fleet.index(service).ok_or("no such service")?;
        if probe == "host" {
            return Ok(self.fleet.update_host(place, host(text(value)?)?, now));
        }
        if probe == "event" {
            if text(value)? == "watched" {
                return Ok(self.fleet.begin_watch(now));
            }
            let start = LifecycleEvent::Start;
            let event = match text(value)? {
                "started" => LifecycleEvent::Started,
                "shutdown accepted" => LifecycleEvent::ShutdownAccepted,
                "awaited" => start(StartProgress::Begun),
                "proved" => start(StartProgress::Proved),
                "not come up" => start(StartProgress::Failed),
                "awaited no more" => start(StartProgress::Abandoned),
                "process runs on" => LifecycleEvent::NotListening { process_runs: true },
                "process gone" => LifecycleEvent::NotListening {
                    process_runs: false,
                },
                event => {
                    let (on, flag) = event
                        .strip_prefix("flag ")
                        .map(|flag| (true, flag))
                        .or_else(|| event.strip_prefix("no flag ").map(|flag| (false, flag)))
                        .ok_or_else(|| format!("`{event}` is no event"))?;
                    let flag = Flag::parse(flag).ok_or_else(|| format!("`{flag}` is no flag"))?;
                    return Ok(self.fleet.set_flag(place, flag, on.then(String::new)));
                }
            };
            return Ok(self.fleet.lifecycle(place, event, now));
        }
        let mut probes = self.rules.get(place).into_iter().flat_map(|it| &it.probes);
        let number = probes
            .position(|rule| rule.name == probe)
            .ok_or_else(|| format!("`{probe}` is neither a probe nor an event"))?;
        // Several answers of one probe at one time may be written as a list.
        let answers = match value.as_sequence() {
            Some(answers) => answers.clone(),
            None => vec![value.clone()],
        };
        let mut updates = Vec::new();
        for value in answers {
            let outcome = answer(&value, now)?;
            updates.extend(self.fleet.record(place, number, outcome));
        }
        Ok(updates)
    }

    /// Keeps what was told, as a view does, and compares it with what the fleet holds.
    fn take_over(&mut self, updates: &[Update]) -> Result<()> {
        for update in updates {
            let name = &update.snapshot.info.name;
            let place = self.fleet.index(name).ok_or("an unknown service")?;
            let before = self.snapshots.get_mut(place).ok_or("no snapshot")?;
            if Change::between(before, &update.snapshot) != update.changed {
                return Err(format!("{name}: the changes told are not the changes made"));
            }
            *before = Arc::clone(&update.snapshot);
            self.changed
                .entry(name.clone())
                .or_default()
                .extend(&update.changed);
        }
        Ok(())
    }

    fn check(&self, name: &str, then: &Value, now: Moment) -> Result<()> {
        let place = self
            .fleet
            .index(name)
            .ok_or_else(|| format!("there is no service {name}"))?;
        let snapshot = self.snapshots.get(place).ok_or("no snapshot")?;
        if Some(snapshot) != self.fleet.snapshots().get(place) {
            return Err(format!("{name}: what was told is not what is believed"));
        }
        let rules = self.rules.get(place).ok_or("no rules")?;
        let wanted = |number: &usize| self.fleet.wants(place, *number);
        let asks = (0..rules.probes.len()).filter(wanted);
        let asks = asks.filter_map(|number| Some(rules.probes.get(number)?.name.clone()));
        let mut changed = self.changed.get(name).cloned().unwrap_or_default();
        changed.sort();
        changed.dedup();
        let found = Found {
            snapshot,
            changed: &changed,
            asks: asks.collect(),
            now,
        };
        found.check(then).map_err(|failure| {
            if self.rules.len() > 1 {
                format!("{name}: {failure}")
            } else {
                failure
            }
        })
    }
}
