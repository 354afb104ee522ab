//! The conventions known, as a table and as JSON.

use serde_json::{Value, json};

use crate::inventory::AvailableProfile;
use crate::profile::{Profile, ProfileSource};
use crate::text::{Table, clean};

/// The list for people.
pub(super) fn table(known: &[AvailableProfile], color: bool) -> String {
    let titles = ["PROFILE", "TITLE", "SOURCE", "PROBES", "ACTIONS", "FROM"];
    let rows = known.iter().map(|offered| {
        let Some(profile) = &offered.profile else {
            let wrong = format!(
                "cannot be used: {}",
                counted(offered.problems.error_count())
            );
            return [
                offered.name.clone(),
                wrong,
                dash(),
                dash(),
                dash(),
                offered.origin.clone(),
            ];
        };
        [
            offered.name.clone(),
            profile.title.clone().unwrap_or_else(dash),
            profile
                .source
                .map_or_else(dash, |source| source.as_str().to_owned()),
            or_dash(&probes(profile)),
            or_dash(&actions(profile)),
            offered.origin.clone(),
        ]
    });
    columns(&titles, rows, color)
}

/// A table without lines, every cell fit for a terminal.
pub(super) fn columns<const N: usize>(
    titles: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
    color: bool,
) -> String {
    let mut table = Table::new(titles, color);
    for row in rows {
        table.add_row(row.map(|cell| clean(&cell, 200)));
    }
    table.to_string()
}

/// The list for programs.
pub(super) fn json(known: &[AvailableProfile]) -> String {
    let profiles: Vec<Value> = known.iter().map(entry).collect();
    format!("{}\n", json!({"schema_version": 1, "profiles": profiles}))
}

/// One profile with its text.
pub(super) fn json_one(offered: &AvailableProfile) -> String {
    let mut entry = entry(offered);
    if let Some(map) = entry.as_object_mut() {
        map.insert("schema_version".to_owned(), json!(1));
        map.insert("yaml".to_owned(), json!(offered.text));
    }
    format!("{entry}\n")
}

fn entry(offered: &AvailableProfile) -> Value {
    let profile = offered.profile.as_deref();
    json!({
        "name": offered.name,
        "title": profile.and_then(|profile| profile.title.as_deref()),
        "source": profile.and_then(|profile| profile.source).map(ProfileSource::as_str),
        "probes": profile.map(probes),
        "actions": profile.map(actions),
        "from": offered.origin,
        "mistakes": offered.problems.error_count(),
    })
}

fn probes(profile: &Profile) -> Vec<&str> {
    profile.probes.keys().map(String::as_str).collect()
}

fn actions(profile: &Profile) -> Vec<&'static str> {
    let actions = &profile.actions;
    [
        ("shutdown", actions.shutdown.is_some()),
        ("schedule", actions.schedule.is_some()),
        ("reload", actions.reload.is_some()),
        ("restart", actions.restart.is_some()),
    ]
    .into_iter()
    .filter(|(_, offered)| *offered)
    .map(|(name, _)| name)
    .collect()
}

fn or_dash(words: &[&str]) -> String {
    if words.is_empty() {
        dash()
    } else {
        words.join(" ")
    }
}

fn dash() -> String {
    "-".to_owned()
}

fn counted(mistakes: usize) -> String {
    match mistakes {
        1 => "1 mistake, see `healthctl validate`".to_owned(),
        mistakes => format!("{mistakes} mistakes, see `healthctl validate`"),
    }
}
