//! Replaces the secrets that a command or a request was given in what it writes or returns.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::health::Outcome;
use crate::inventory::Exec;

/// The length below which a text is no secret: it would be found everywhere.
const SHORTEST: usize = 4;

/// The rest of a character that was cut.
const BROKEN: char = '\u{fffd}';

/// The secrets of one command or request, each with its replacement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Redactions(Vec<(String, String)>);

impl Redactions {
    /// Collects the secrets in the words and the environment of a command, and those that were read for it (name and value).
    pub(crate) fn new(exec: &Exec, read: Vec<(String, String)>) -> Self {
        let read = read
            .into_iter()
            .map(|(name, value)| (value, format!("${{{name}}}")));
        Self::of(exec.hidden.iter().cloned().chain(read))
    }

    /// Collects secrets with their replacements.
    pub(super) fn of(secrets: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut masks: Vec<(String, String)> = Vec::new();
        for (secret, shown) in secrets {
            // A private key may be printed line by line.
            let lines = secret.lines().filter(|line| line.len() < secret.len());
            masks.extend(lines.map(|line| (line.trim().to_owned(), shown.clone())));
            masks.push((secret, shown));
        }
        masks.retain(|(secret, _)| secret.len() >= SHORTEST);
        // The longest is first, because one may be part of another.
        masks.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        Self(masks)
    }

    /// Replaces secrets in the texts of an outcome. States and names of dependencies stay as they are.
    pub(super) fn apply_to_outcome(&self, outcome: &mut Outcome) {
        if self.0.is_empty() {
            return;
        }
        if let Some(failure) = &mut outcome.failure {
            failure.message = self.apply(&failure.message);
        }
        let Some(reading) = &mut outcome.reading else {
            return;
        };
        let word = reading.status.as_mut().map(|status| &mut status.raw);
        let texts = [
            &mut reading.version,
            &mut reading.service,
            &mut reading.instance,
            &mut reading.message,
        ];
        for text in texts.into_iter().chain(word) {
            self.hide(text);
        }
        self.hide_values(&mut reading.resources);
        for dependency in reading.dependencies.iter_mut().flatten() {
            self.hide(&mut dependency.word);
            self.hide(&mut dependency.error);
            if !dependency.details.is_empty() {
                self.hide_values(Arc::make_mut(&mut dependency.details));
            }
        }
    }

    fn hide(&self, text: &mut Option<String>) {
        if let Some(text) = text {
            *text = self.apply(text);
        }
    }

    fn hide_values(&self, values: &mut BTreeMap<String, Value>) {
        for value in values.values_mut() {
            self.hide_in_value(value);
        }
    }

    fn hide_in_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.apply(text),
            Value::Array(values) => values.iter_mut().for_each(|it| self.hide_in_value(it)),
            Value::Object(values) => values.values_mut().for_each(|it| self.hide_in_value(it)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Replaces secrets in a whole text.
    pub(crate) fn apply(&self, text: &str) -> String {
        let masks = self.0.iter();
        masks.fold(text.to_owned(), |text, (secret, shown)| {
            text.replace(secret, shown)
        })
    }

    /// Replaces secrets in a text whose end, and with it perhaps the end of a secret, is missing.
    pub(super) fn apply_to_start(&self, text: &str) -> String {
        let mut masked = self.apply(text.trim_end_matches(BROKEN));
        let begun = |secret: &str| {
            let mut lengths = (1..secret.len()).rev();
            let part =
                |length: &usize| secret.get(..*length).is_some_and(|it| masked.ends_with(it));
            lengths.find(part).unwrap_or(0)
        };
        let cut = self.0.iter().map(|(secret, _)| begun(secret)).max();
        masked.truncate(masked.len() - cut.unwrap_or(0));
        masked
    }

    /// Replaces secrets in a text whose start, and with it perhaps the start of a secret, is missing.
    pub(crate) fn apply_to_end(&self, text: &str) -> String {
        let masked = self.apply(text.trim_start_matches(BROKEN));
        let ended = |secret: &str| {
            let mut starts = 1..secret.len();
            let part = |start: &usize| {
                let part = secret.get(*start..);
                part.is_some_and(|it| masked.starts_with(it))
            };
            starts.find(part).map_or(0, |start| secret.len() - start)
        };
        let cut = self.0.iter().map(|(secret, _)| ended(secret)).max();
        masked
            .get(cut.unwrap_or(0)..)
            .unwrap_or_default()
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactions() -> Redactions {
        let exec = Exec {
            hidden: vec![
                ("hunter22".to_owned(), "${TOKEN}".to_owned()),
                ("no".to_owned(), "${SHORT}".to_owned()),
            ],
            ..Exec::default()
        };
        let read = [
            ("KEY", "-- begin\n  ABCDEF\n-- end\n"),
            ("LONG", "hunter22 and more"),
        ];
        let read = read.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Redactions::new(&exec, read.to_vec())
    }

    #[test]
    fn a_text_does_not_tell_what_a_command_was_given() {
        for (text, expected) in [
            ("no user hunter22, hunter22", "no user ${TOKEN}, ${TOKEN}"),
            ("hunter22 and more", "${LONG}"),
            ("bad line: ABCDEF", "bad line: ${KEY}"),
            ("all: -- begin\n  ABCDEF\n-- end\n", "all: ${KEY}"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(redactions().apply(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_cut_tells_no_part_of_it() {
        for (text, expected) in [
            ("it is hunter22", "it is ${TOKEN}"),
            ("it is hunter2", "it is "),
            ("it is h", "it is "),
            ("it is hunter22 and mo", "it is ${TOKEN} and mo"),
        ] {
            assert_eq!(redactions().apply_to_start(text), expected, "{text}");
        }
        for (text, expected) in [
            ("hunter22 it is", "${TOKEN} it is"),
            ("unter22 it is", " it is"),
            ("2 it is", " it is"),
            ("it is", "it is"),
        ] {
            assert_eq!(redactions().apply_to_end(text), expected, "{text}");
        }
    }
}
