//! Commands: what they are given, where they run, and what of that nobody is to be told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::profile::Secret;
use crate::profile::raw::{self, At};
use crate::yaml::{Place, is_secret_name};

use super::super::service::Exec;
use super::Parts;

/// A variable of a command's environment as written.
type Variable = (At<String>, At<Secret>);

/// A command with what was written for its environment, the strongest first.
pub(super) fn exec<'a>(
    written: &raw::Exec,
    variables: impl IntoIterator<Item = &'a Variable>,
    cwd: PathBuf,
) -> Exec {
    let command = written.command.value.clone();
    let shown = written.shown.clone();
    let mut hidden: Vec<(String, String)> = std::iter::zip(&command, &shown)
        .flat_map(|(word, shown)| put_in(word, shown))
        .collect();
    let mut env = BTreeMap::new();
    for variable in variables {
        let (name, value) = variable;
        if !env.contains_key(&name.value) {
            hidden.extend(of_variable(variable));
            env.insert(name.value.clone(), value.value.clone());
        }
    }
    Exec {
        command,
        shown,
        env,
        cwd,
        hidden,
    }
}

/// The environment of a command as written.
pub(super) fn env(written: &[Variable]) -> BTreeMap<String, Secret> {
    written
        .iter()
        .map(|(name, value)| (name.value.clone(), value.value.clone()))
        .collect()
}

/// Where a command runs: in the directory that is named, else in that of the file that says what is run (`own`); what a
/// profile says is run beside the inventory.
pub(super) fn cwd(
    parts: &Parts<'_>,
    written: &raw::Exec,
    own: bool,
    named: Option<&At<PathBuf>>,
) -> PathBuf {
    match named {
        // Without the `.` at the end that `cwd: .` leaves.
        Some(cwd) => cwd.value.components().collect(),
        None if own => directory(&written.command.place),
        None => directory(&parts.raw.name.place),
    }
}

/// That of the file in which something is written.
pub(super) fn directory(place: &Place) -> PathBuf {
    place.file.path.parent().unwrap_or(Path::new("")).to_owned()
}

/// What is not to be told of a variable whose value stands in the inventory; a secret from elsewhere is read when it is
/// used.
fn of_variable((name, value): &Variable) -> Vec<(String, String)> {
    let Secret::Plain(text) = &value.value else {
        return Vec::new();
    };
    let written = value.place.text().trim_matches(['"', '\'']);
    let mut hidden = put_in(
        text,
        if written.contains("${") {
            written
        } else {
            text
        },
    );
    if hidden.is_empty() && is_secret_name(&name.value) {
        hidden.push((text.clone(), format!("${{{}}}", name.value)));
    }
    hidden
}

/// The values that were put into a word for the variables in it, each with what was written for it; where they cannot be
/// told apart, all that is not as it was written.
fn put_in(word: &str, written: &str) -> Vec<(String, String)> {
    if word == written {
        return Vec::new();
    }
    let parts = parts(written);
    let has_variable = parts.iter().any(|part| matches!(part, Part::Variable(_)));
    let mut found = match apart(word, &parts) {
        Some(each) if has_variable => each,
        _ => vec![different(word, written)],
    };
    found.retain(|(value, _)| !value.is_empty());
    found
}

/// The part of a word in which it is not as it was written.
fn different(word: &str, written: &str) -> (String, String) {
    let alike = |pair: &(char, char)| pair.0 == pair.1;
    let before = std::iter::zip(word.chars(), written.chars());
    let before: usize = before.take_while(alike).map(|(c, _)| c.len_utf8()).sum();
    let (word, written) = (
        word.get(before..).unwrap_or_default(),
        written.get(before..).unwrap_or_default(),
    );
    let behind = std::iter::zip(word.chars().rev(), written.chars().rev());
    let behind: usize = behind.take_while(alike).map(|(c, _)| c.len_utf8()).sum();
    let part = |text: &str| {
        let part = text.get(..text.len() - behind).unwrap_or_default();
        part.to_owned()
    };
    (part(word), part(written))
}

/// A part of a word as written.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(String),
    Variable(&'a str),
}

/// The parts of a word as written. Variables that nothing stands between are one.
fn parts(written: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = written;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("${") {
            let mut end = variable(rest);
            while rest.get(end..).is_some_and(|next| next.starts_with("${")) {
                end += variable(rest.get(end..).unwrap_or_default());
            }
            let (name, after) = rest.split_at(end);
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::Variable(name));
            rest = after;
            continue;
        }
        text.push(c);
        // A doubled one stands for one.
        rest = match rest.strip_prefix("$$") {
            Some(after) => after,
            None => rest.get(c.len_utf8()..).unwrap_or_default(),
        };
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

/// The length of the `${…}` at the beginning, with those inside it.
fn variable(text: &str) -> usize {
    let mut open = 0usize;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if previous == '$' => open += 1,
            '}' if open == 1 => return at + 1,
            '}' => open = open.saturating_sub(1),
            _ => {}
        }
        previous = c;
    }
    text.len()
}

/// What stands in a word for each variable, by the text between them; `None` where the word is not made of these parts.
fn apart(word: &str, parts: &[Part<'_>]) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = word;
    let mut parts = parts.iter();
    while let Some(part) = parts.next() {
        let name = match part {
            Part::Text(text) => {
                rest = rest.strip_prefix(text.as_str())?;
                continue;
            }
            Part::Variable(name) => *name,
        };
        let value = match parts.as_slice() {
            [] => std::mem::take(&mut rest),
            [Part::Text(text)] => {
                parts.next();
                std::mem::take(&mut rest).strip_suffix(text.as_str())?
            }
            [Part::Text(text), ..] => {
                parts.next();
                let (value, after) = rest.split_once(text.as_str())?;
                rest = after;
                value
            }
            // Two that nothing stands between are one.
            [Part::Variable(_), ..] => return None,
        };
        found.push((value.to_owned(), name.to_owned()));
    }
    rest.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_shown_is_what_was_put_in() {
        for (word, written, expected) in [
            ("plain", "plain", ""),
            ("hunter22", "${TOKEN}", "hunter22 is ${TOKEN}"),
            (
                "--token=hunter22/x",
                "--token=${TOKEN}/x",
                "hunter22 is ${TOKEN}",
            ),
            // Masked where it was written.
            ("http://me:abc@host", "http://me:***@host", "abc is ***"),
            ("aa", "${A}a", "a is ${A}"),
            ("", "${EMPTY}", ""),
            ("$HOME x", "$$HOME ${X}", "x is ${X}"),
            (
                "http://me:pass@host/x",
                "http://${USER}:${PASS:-${OTHER}}@host/x",
                "me is ${USER}; pass is ${PASS:-${OTHER}}",
            ),
            (
                "a-one-b-two",
                "a-${ONE}-b-${TWO}",
                "one is ${ONE}; two is ${TWO}",
            ),
            ("onetwo", "${ONE}${TWO}", "onetwo is ${ONE}${TWO}"),
            ("a\tone", "a\\t${ONE}", "\tone is \\t${ONE}"),
        ] {
            let found: Vec<String> = put_in(word, written)
                .into_iter()
                .map(|(value, written)| format!("{value} is {written}"))
                .collect();
            assert_eq!(found.join("; "), expected, "{written}");
        }
    }
}
