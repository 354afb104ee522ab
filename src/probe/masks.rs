//! What a command or a request was given that is not to be told, whatever it writes or answers.

use crate::inventory::Exec;

/// What is shorter than this is no secret, and is found everywhere.
const SHORTEST: usize = 4;

/// What is left of a character that was cut.
const BROKEN: char = '\u{fffd}';

/// The secrets of one command or request, each with what is told in its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Masks(Vec<(String, String)>);

impl Masks {
    /// Those that stand in its words and its environment, and those that were read for it: name and value.
    pub(super) fn new(exec: &Exec, read: Vec<(String, String)>) -> Self {
        let read = read.into_iter().map(named);
        Self::of(exec.hidden.iter().cloned().chain(read))
    }

    /// Those that were read for a program: name and value.
    pub(crate) fn read(read: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::of(read.into_iter().map(named))
    }

    /// These: a secret, and what is told in its place.
    pub(super) fn of(secrets: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut masks: Vec<(String, String)> = Vec::new();
        for (secret, shown) in secrets {
            // A key is written line by line.
            let lines = secret.lines().filter(|line| line.len() < secret.len());
            masks.extend(lines.map(|line| (line.trim().to_owned(), shown.clone())));
            masks.push((secret, shown));
        }
        masks.retain(|(secret, _)| secret.len() >= SHORTEST);
        // The longest first: one may be part of another.
        masks.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        Self(masks)
    }

    /// Nothing has to be kept back.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of a text that is whole; others than of a text where there is nothing in them to be kept back.
    pub(super) fn apply_to_bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        let holds = |secret: &str| {
            let mut windows = bytes.windows(secret.len());
            windows.any(|window| window == secret.as_bytes())
        };
        if self.0.iter().any(|(secret, _)| holds(secret)) {
            self.apply(&String::from_utf8_lossy(&bytes)).into_bytes()
        } else {
            bytes
        }
    }

    /// A text that is whole.
    pub(crate) fn apply(&self, text: &str) -> String {
        let masks = self.0.iter();
        masks.fold(text.to_owned(), |text, (secret, shown)| {
            text.replace(secret, shown)
        })
    }

    /// A text whose end is missing, and with it perhaps that of a secret.
    pub(super) fn apply_to_beginning(&self, text: &str) -> String {
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

    /// A text whose beginning is missing, and with it perhaps that of a secret.
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

fn named((name, value): (String, String)) -> (String, String) {
    (value, format!("${{{name}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks() -> Masks {
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
        Masks::new(&exec, read.to_vec())
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
            assert_eq!(masks().apply(text), expected, "{text}");
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
            assert_eq!(masks().apply_to_beginning(text), expected, "{text}");
        }
        for (text, expected) in [
            ("hunter22 it is", "${TOKEN} it is"),
            ("unter22 it is", " it is"),
            ("2 it is", " it is"),
            ("it is", "it is"),
        ] {
            assert_eq!(masks().apply_to_end(text), expected, "{text}");
        }
    }
}
