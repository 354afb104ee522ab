//! A command that a probe runs.

use crate::yaml::{Entry, Node, Problem, Problems, Style, Value, is_secret_name, mask_secrets};

use super::action::command;
use super::{At, Exec, secret};

impl Exec {
    /// Reads `exec:`.
    pub(crate) fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        let command = command(&entry.value, problems)?;
        let mut shown = words(&entry.value);
        if let (Some(first), Some(program), Value::List(items)) =
            (shown.first_mut(), command.value.first(), &entry.value.value)
            && items
                .first()
                .is_some_and(|item| item.style != Style::Interpolated)
        {
            first.clone_from(program);
        }
        Some(Self { command, shown })
    }
}

/// The words as they may be shown: where a variable is put in, which may be a secret, what was written.
fn words(node: &Node) -> Vec<String> {
    let Value::List(items) = &node.value else {
        return Vec::new();
    };
    items
        .iter()
        .map(|item| match item.style {
            Style::Interpolated => item.place.text().trim_matches(['"', '\'']).to_owned(),
            Style::Plain | Style::Quoted => mask_secrets(item.as_text().unwrap_or_default()),
        })
        .collect()
}

/// `env:`, names to values.
pub(crate) fn env(entry: &Entry, problems: &mut Problems) -> Vec<(At<String>, At<super::Secret>)> {
    const EXPECTED: &str = "a map of variables, as in `{MODE: fast}`";
    let Some(entries) = entry.value.map(EXPECTED, problems) else {
        return Vec::new();
    };
    let mut variables = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.key.is_empty() || entry.key.contains(['=', '\0', ' ']) {
            problems.push(
                Problem::at(
                    &entry.key_place,
                    format!("`{}` does not name a variable", entry.key),
                )
                .label("expected a name such as `MODE`"),
            );
            continue;
        }
        let Some(value) = value(entry, problems) else {
            continue;
        };
        let name = At {
            value: entry.key.clone(),
            place: entry.key_place.clone(),
        };
        variables.push((name, At::new(value, &entry.value)));
    }
    variables
}

/// Text, which may be empty here, or a secret from elsewhere.
fn value(entry: &Entry, problems: &mut Problems) -> Option<super::Secret> {
    let node = &entry.value;
    if matches!(node.value, Value::Map(_)) {
        return secret::reference(node, problems);
    }
    let text = match &node.value {
        // `NAME:` alone is as good as `NAME: ""`.
        Value::Null => String::new(),
        _ => node.text(secret::FORMS, problems)?,
    };
    if text.contains('\0') {
        problems.push(Problem::at(
            &node.place,
            "the environment cannot hold a null byte",
        ));
        return None;
    }
    let secret = super::Secret::Plain(text);
    if is_secret_name(&entry.key) {
        secret::warn_plain(node, &secret, &format!("`{}`", entry.key), problems);
    }
    Some(secret)
}
