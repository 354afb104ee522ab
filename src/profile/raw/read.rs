//! Readers of single values: names, paths, addresses, durations, words.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::yaml::{Entry, Node, Place, Problem, Problems, Style, Value};

use super::super::setting::Spanned;
use super::super::target::BadAddress;
use super::super::{HostPort, Target};

/// Reads text on one line; `expected` describes it.
pub(crate) fn line(expected: &str) -> impl Fn(&Entry, &mut Problems) -> Option<Spanned<String>> {
    move |entry, problems| {
        let text = entry.value.line(expected, problems)?;
        Some(Spanned::new(text, &entry.value))
    }
}

/// Reads a path, which is relative to the file that it is written in; `expected` describes it.
pub(crate) fn path(expected: &str) -> impl Fn(&Entry, &mut Problems) -> Option<Spanned<PathBuf>> {
    move |entry, problems| {
        let text = entry.value.line(expected, problems)?;
        Some(Spanned::new(
            beside(&entry.value.place, &text),
            &entry.value,
        ))
    }
}

/// Reads one word of a closed set.
pub(crate) fn word<T: Copy>(
    words: &[(&str, T)],
) -> impl Fn(&Entry, &mut Problems) -> Option<Spanned<T>> {
    move |entry, problems| {
        Some(Spanned::new(
            entry.value.word(words, problems)?,
            &entry.value,
        ))
    }
}

/// Reads a list of names; an empty one is as good as none.
pub(crate) fn names(
    expected: &str,
) -> impl Fn(&Entry, &mut Problems) -> Option<Spanned<Vec<Spanned<String>>>> {
    move |entry, problems| {
        let items = entry.value.list(expected, problems)?.iter();
        let names =
            items.filter_map(|item| Some(Spanned::new(item.line("a name", problems)?, item)));
        Some(Spanned::new(names.collect(), &entry.value))
    }
}

pub(crate) fn boolean(entry: &Entry, problems: &mut Problems) -> Option<Spanned<bool>> {
    Some(Spanned::new(entry.value.boolean(problems)?, &entry.value))
}

pub(crate) fn duration(entry: &Entry, problems: &mut Problems) -> Option<Spanned<Duration>> {
    Some(Spanned::new(entry.value.duration(problems)?, &entry.value))
}

pub(crate) fn positive_duration(
    entry: &Entry,
    problems: &mut Problems,
) -> Option<Spanned<Duration>> {
    let value = entry.value.positive_duration(problems)?;
    Some(Spanned::new(value, &entry.value))
}

/// Reads an address such as `http://localhost:8000`.
pub(crate) fn target(entry: &Entry, problems: &mut Problems) -> Option<Spanned<Target>> {
    const EXPECTED: &str = "an address such as `http://localhost:8000`";
    let node = &entry.value;
    let Value::Text(text) = &node.value else {
        let port = match &node.value {
            Value::Number { text, .. } => Some(text),
            _ => None,
        };
        let hint = port.map(|port| format!("did you mean `http://localhost:{port}`?"));
        return node.wrong(EXPECTED).maybe_hint(hint).reject(problems);
    };
    match Target::parse(text) {
        Ok(target) => {
            warn_password(node, &target, problems);
            Some(Spanned::new(target, node))
        }
        Err(bad) => bad_address(node, bad, EXPECTED).reject(problems),
    }
}

/// Reads a host and a port, `HOST:PORT`.
pub(crate) fn host_port(node: &Node, problems: &mut Problems) -> Option<Spanned<HostPort>> {
    const EXPECTED: &str = "a host and a port such as `localhost:6379`";
    let Some(text) = node.as_text() else {
        let hint = matches!(node.value, Value::List(_))
            .then(|| "an IPv6 address needs quotes: `\"[::1]:6379\"`".to_owned());
        return node.wrong(EXPECTED).maybe_hint(hint).reject(problems);
    };
    match HostPort::parse(text) {
        Ok(parsed) => Some(Spanned::new(parsed, node)),
        Err(bad) => bad_address(node, bad, EXPECTED).reject(problems),
    }
}

/// Warns of a password inside an address: it is a secret in plain text.
pub(crate) fn warn_password(node: &Node, target: &Target, problems: &mut Problems) {
    if target.has_password() && node.style != Style::Interpolated {
        Problem::at(&node.place, "a password is written in plain text")
            .label("whoever reads this file can use it")
            .hint("use `auth: {basic: {user: …, password: {env: NAME}}}`")
            .warning()
            .report(problems);
    }
}

/// Returns the problem with an address. The hint repeats the text, which may hold a variable's value.
pub(crate) fn bad_address(node: &Node, bad: BadAddress, expected: &str) -> Problem {
    let hint = (node.style != Style::Interpolated).then_some(bad.hint);
    Problem::at(&node.place, format!("{} {}", node.shown(), bad.reason))
        .expected(expected)
        .maybe_hint(hint)
}

/// Returns whether a text can name a service, a probe or a profile.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Reports a key that cannot be a name, and returns whether it can.
pub(crate) fn check_name(what: &str, text: &str, place: &Place, problems: &mut Problems) -> bool {
    if is_name(text) {
        return true;
    }
    let suggestion: String = text
        .chars()
        .map(|c| match c {
            '.' | '_' | '-' => c,
            c if c.is_ascii_alphanumeric() => c,
            _ => '-',
        })
        .collect();
    let suggestion = suggestion.trim_start_matches(['.', '_', '-']).chars();
    let suggestion: String = suggestion.take(63).collect();
    let hint = if suggestion.is_empty() {
        "for example `api-1`".to_owned()
    } else {
        format!("did you mean `{suggestion}`?")
    };
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    Problem::at(place, format!("`{short}` cannot name {what}"))
        .label("expected letters, digits, `.`, `_` and `-`, at most 63, a letter or digit first")
        .hint(hint)
        .report(problems);
    false
}

/// Returns the directory of the file that something is written in.
pub(crate) fn directory(place: &Place) -> PathBuf {
    place.file.path.parent().unwrap_or(Path::new("")).to_owned()
}

/// Returns a path that was written in a file, which is relative to that file.
pub(crate) fn beside(place: &Place, path: &str) -> PathBuf {
    directory(place).join(path)
}

/// Returns whether a value is `off`, in any form in which YAML tools hand it on.
pub(crate) fn is_off(node: &Node) -> bool {
    match &node.value {
        Value::Bool(value) => !value,
        Value::Text(text) => text.eq_ignore_ascii_case("off"),
        _ => false,
    }
}

/// Reports two keys of which a map can hold one.
pub(crate) fn check_single(given: &[&Entry], hint: &str, problems: &mut Problems) {
    if let [first, second, ..] = given {
        let message = format!("both `{}` and `{}`", first.key, second.key);
        Problem::at(&second.key_place, message)
            .label("expected one of them")
            .related(&first.key_place, "the other one")
            .hint(hint)
            .report(problems);
    }
}

/// Reports keys that mean nothing to a probe or an action (`what`) by this kind or these means.
pub(crate) fn check_keys(
    keys: &[Spanned<String>],
    what: &str,
    by: &str,
    owners: impl Fn(&str) -> Vec<&'static str>,
    problems: &mut Problems,
) {
    for key in keys {
        let owners = owners(&key.value);
        if owners.contains(&by) {
            continue;
        }
        let owners: Vec<String> = owners.iter().map(|owner| format!("`{owner}`")).collect();
        let message = format!("`{}` means nothing to {what} by `{by}`", key.value);
        Problem::at(&key.place, message)
            .label(format!("belongs to {}", owners.join(" and ")))
            .hint("take it out")
            .report(problems);
    }
}

/// Returns the keys of a map for which `belongs` holds, with their places.
pub(crate) fn keys_where(node: &Node, belongs: impl Fn(&str) -> bool) -> Vec<Spanned<String>> {
    let Value::Map(entries) = &node.value else {
        return Vec::new();
    };
    let entries = entries.iter().filter(|entry| belongs(&entry.key));
    entries.map(Spanned::key).collect()
}
