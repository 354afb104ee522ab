//! A command that a probe runs.

use crate::yaml::{Entry, Node, Problem, Problems, Style, Value, is_secret_name, mask_secrets};

use super::action::command;
use super::{At, Exec, Variable, secret};

impl Exec {
    /// Reads `exec:`.
    pub(crate) fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        let command = command(&entry.value, problems)?;
        let Value::List(items) = &entry.value.value else {
            return Some(Self {
                shown: command.value.clone(),
                command,
                hidden: Vec::new(),
            });
        };
        let mut shown: Vec<String> = items.iter().map(shown).collect();
        if let (Some(item), Some(first), Some(program)) =
            (items.first(), shown.first_mut(), command.value.first())
            && item.style != Style::Interpolated
        {
            first.clone_from(program);
        }
        Some(Self {
            hidden: items.iter().flat_map(hidden).collect(),
            command,
            shown,
        })
    }
}

/// A word as it may be shown: where a variable is put in, which may be a secret, what was written.
fn shown(word: &Node) -> String {
    match word.style {
        Style::Interpolated => word.place.text().trim_matches(['"', '\'']).to_owned(),
        Style::Plain | Style::Quoted => mask_secrets(word.as_text().unwrap_or_default()),
    }
}

/// What stands in a word and is not to be told, each with what is told in its place.
fn hidden(word: &Node) -> Vec<(String, String)> {
    let mut hidden = word.put_in.clone();
    if hidden.is_empty() {
        let text = word.as_text().unwrap_or_default();
        hidden.push(different(text, &shown(word)));
    }
    hidden.retain(|(value, _)| !value.is_empty());
    hidden
}

/// The part of a word in which it is not as it is shown.
fn different(word: &str, shown: &str) -> (String, String) {
    let alike = |pair: &(char, char)| pair.0 == pair.1;
    let before = std::iter::zip(word.chars(), shown.chars());
    let before: usize = before.take_while(alike).map(|(c, _)| c.len_utf8()).sum();
    let (word, shown) = (
        word.get(before..).unwrap_or_default(),
        shown.get(before..).unwrap_or_default(),
    );
    let behind = std::iter::zip(word.chars().rev(), shown.chars().rev());
    let behind: usize = behind.take_while(alike).map(|(c, _)| c.len_utf8()).sum();
    let part = |text: &str| {
        let part = text.get(..text.len() - behind).unwrap_or_default();
        part.to_owned()
    };
    (part(word), part(shown))
}

/// `env:`, names to values.
pub(crate) fn env(entry: &Entry, problems: &mut Problems) -> Vec<Variable> {
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
        let mut hidden = Vec::new();
        if let super::Secret::Plain(text) = &value {
            hidden.clone_from(&entry.value.put_in);
            if hidden.is_empty() && is_secret_name(&entry.key) {
                hidden.push((text.clone(), format!("${{{}}}", entry.key)));
            }
        }
        variables.push(Variable {
            name,
            value: At::new(value, &entry.value),
            hidden,
        });
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::yaml::{SourceFile, interpolate, parse};

    #[test]
    fn what_is_not_shown_is_what_was_put_in() {
        let env = |name: &str| match name {
            "TOKEN" => Some("hunter22".to_owned()),
            "USER" => Some("me".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (word, expected) in [
            ("plain", ""),
            ("${TOKEN}", "hunter22 is ${TOKEN}"),
            ("--token=${TOKEN}/x", "hunter22 is ${TOKEN}"),
            // Masked where it was written.
            ("http://me:abc@host", "abc is ***"),
            ("x${EMPTY}", ""),
            ("$$HOME ${USER}", "me is ${USER}"),
            (
                "http://${USER}:${PASS:-${TOKEN}}@host/x",
                "me is ${USER}; hunter22 is ${PASS:-${TOKEN}}",
            ),
            ("${USER}${TOKEN}", "me is ${USER}; hunter22 is ${TOKEN}"),
        ] {
            let file = Arc::new(SourceFile::new(
                "x.yaml",
                format!("exec: [run, \"{word}\"]"),
            ));
            let mut problems = Problems::default();
            let mut node = parse(&file, &mut problems).unwrap();
            interpolate(&mut node, &env, &mut problems);
            let exec = Exec::read(node.get("exec").unwrap(), &mut problems).unwrap();
            let found: Vec<String> = exec
                .hidden
                .iter()
                .map(|(value, written)| format!("{value} is {written}"))
                .collect();
            assert_eq!(found.join("; "), expected, "{word}");
        }
    }
}
