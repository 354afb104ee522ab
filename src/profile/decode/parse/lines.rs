//! `pattern:` and `preset:` of a body of lines, as a profile writes them.

use super::Parser;
use crate::profile::decode::{Format, Lines};
use crate::yaml::{Fields, Problem};

impl Parser<'_> {
    /// How a line is read, where the format is `lines`.
    pub(super) fn lines(&mut self, fields: &mut Fields<'_>) -> Option<Lines> {
        let (pattern, preset) = (fields.take("pattern"), fields.take("preset"));
        if self.format != Format::Lines {
            for entry in [pattern, preset].into_iter().flatten() {
                let key = &entry.key;
                self.problems.push(
                    Problem::at(&entry.key_place, format!("`{key}` says how lines are read"))
                        .label("needs `format: lines`")
                        .hint("take it out, or set `format: lines`"),
                );
            }
            return None;
        }
        match (pattern, preset) {
            (Some(pattern), None) => {
                let expected = "a regular expression such as `^(?<name>[^=]+)=(?<value>.*)$`";
                let text = pattern.value.line(expected, self.problems)?;
                Lines::parse(&text)
                    .map_err(|reason| {
                        self.problems.push(
                            Problem::at(
                                &pattern.value.place,
                                format!(
                                    "{} is no pattern for lines: {reason}",
                                    pattern.value.shown()
                                ),
                            )
                            .label(format!("expected {expected}")),
                        );
                    })
                    .ok()
            }
            (None, Some(preset)) => {
                let words = [("bracket", ())];
                let () = preset.value.word(&words, self.problems)?;
                Lines::bracket()
            }
            (Some(_), Some(preset)) => {
                self.problems.push(
                    Problem::at(&preset.key_place, "`preset` is a pattern, and there is one")
                        .label("one of the two is enough")
                        .hint("keep `pattern` or `preset`"),
                );
                None
            }
            (None, None) => {
                self.problems.push(
                    Problem::at(self.format_place, "lines without a `pattern`")
                        .label("how is a line read?")
                        .hint("add `preset: bracket` for `[+]name ok`, or a `pattern` with the group `(?<name>…)`"),
                );
                None
            }
        }
    }
}
