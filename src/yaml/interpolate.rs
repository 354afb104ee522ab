//! Replaces `${VAR}` in scalar values: after parsing, so that a value can never add YAML, and never in keys.

use std::sync::LazyLock;

use regex::Regex;

use super::node::{Node, Style, Value, typed};
use super::problem::{Problem, Problems};

/// The deepest nesting of defaults inside defaults.
const NESTING: usize = 8;

/// Replaces variables: `${VAR}` (unset is an error), `${VAR:-default}`, `${VAR:?message}` (both treat empty as
/// unset), `$$` for a dollar sign. An unquoted scalar is typed afterwards.
pub fn interpolate(node: &mut Node, env: &dyn Fn(&str) -> Option<String>, problems: &mut Problems) {
    match &mut node.value {
        Value::List(items) => {
            for item in items {
                interpolate(item, env, problems);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                interpolate(&mut entry.value, env, problems);
            }
        }
        Value::Text(text) if text.contains('$') => {
            let text = std::mem::take(text);
            if let Some(name) = bare_variable(&text) {
                problems.push(
                    Problem::at(&node.place, format!("`${name}` is taken as it is written"))
                        .label("no variable is put in here")
                        .hint(format!(
                            "write `${{{name}}}` for the variable, `$${name}` for this text"
                        ))
                        .warning(),
                );
            }
            match expand(&text, env, NESTING) {
                Ok((expanded, put_in)) => {
                    node.put_in = put_in;
                    node.value = match node.style {
                        Style::Quoted => Value::Text(expanded),
                        Style::Plain | Style::Interpolated => typed(&expanded),
                    };
                    if text.contains("${") {
                        node.style = Style::Interpolated;
                    }
                }
                Err(problem) => {
                    problems.push_last(problem.placed(&node.place));
                    // The value is unknown; with the text, the rest of the file can still be read.
                    node.value = Value::Text(text);
                    node.style = Style::Interpolated;
                }
            }
        }
        Value::Text(_) | Value::Null | Value::Bool(_) | Value::Number { .. } => {}
    }
}

/// Returns the problem of a `${…}` that cannot be parsed; its place is not set yet.
fn malformed(message: impl Into<String>) -> Problem {
    Problem::general(message)
        .expected("`${VAR}`, `${VAR:-default}` or `${VAR:?message}`")
        .hint("a dollar sign before `{` is written `$$`")
}

/// A text with its variables replaced, and each value with the text that was written for it.
type ExpandedText = (String, Vec<(String, String)>);

/// Returns the text with its variables replaced, and each value with the text that was written for it.
fn expand(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    nesting: usize,
) -> Result<ExpandedText, Box<Problem>> {
    let mut put_in = Vec::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let end = closing(after).ok_or_else(|| malformed("`${` without its `}`"))?;
            let (inside, after) = after.split_at(end);
            let value = variable(inside, env, nesting)?;
            out.push_str(&value);
            put_in.push((value, format!("${{{inside}}}")));
            rest = after.strip_prefix('}').unwrap_or(after);
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok((out, put_in))
}

/// Returns the offset of the closing `}`, after those of any `${…}` inside.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0usize;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '{' if previous == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        previous = c;
    }
    None
}

fn variable(
    inside: &str,
    env: &dyn Fn(&str) -> Option<String>,
    nesting: usize,
) -> Result<String, Box<Problem>> {
    let end = inside
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(inside.len());
    let (name, rule) = inside.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(malformed(format!("`${{{inside}}}` does not name a variable")).into());
    }
    let value = env(name);
    let filled = value.clone().filter(|value| !value.is_empty());
    if rule.is_empty() {
        let hint = format!("set it, or write `${{{name}:-default}}` with what holds otherwise");
        let problem = || Problem::general(format!("the variable `{name}` is not set"));
        return value.ok_or_else(|| problem().label("needs it").hint(hint).into());
    }
    if let Some(default) = rule.strip_prefix(":-") {
        return match filled {
            Some(value) => Ok(value),
            None if nesting == 0 => Err(malformed("too many defaults inside each other").into()),
            None => expand(default, env, nesting - 1).map(|(text, _)| text),
        };
    }
    if let Some(message) = rule.strip_prefix(":?") {
        return filled.ok_or_else(|| {
            let mut text = format!("the variable `{name}` is not set or empty");
            if !message.trim().is_empty() {
                text = format!("{text}: {}", message.trim());
            }
            let problem = Problem::general(text).label("needs it");
            problem.hint(format!("set `{name}`")).into()
        });
    }
    let hint = ["-", "?"]
        .into_iter()
        .find_map(|sign| rule.strip_prefix(sign).map(|rest| (sign, rest)))
        .map(|(sign, rest)| format!("did you mean `${{{name}:{sign}{rest}}}`?"));
    let problem = malformed(format!("`${{{inside}}}` is not understood"));
    Err(problem.maybe_hint(hint).into())
}

/// Returns the first `$VAR` without braces, written as in a shell.
fn bare_variable(text: &str) -> Option<&str> {
    static BARE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\$\$|\$([A-Z][A-Z0-9_]+)").ok());
    let mut found = BARE.as_ref()?.captures_iter(text);
    found.find_map(|found| Some(found.get(1)?.as_str()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Problems, SourceFile, Value, interpolate, parse};

    fn run(yaml: &str) -> (Option<Value>, Problems) {
        let mut problems = Problems::default();
        let file = Arc::new(SourceFile::new("t.yaml", yaml));
        let mut node = parse(&file, &mut problems).unwrap();
        let env = |name: &str| match name {
            "PORT" => Some("8000".to_owned()),
            "EMPTY" => Some(String::new()),
            "EVIL" => Some("1\nadded: [x, y]".to_owned()),
            "FLOW" => Some("{a: 1}".to_owned()),
            "YES" => Some("true".to_owned()),
            "DOLLAR" => Some("${PORT} $$".to_owned()),
            _ => None,
        };
        interpolate(&mut node, &env, &mut problems);
        let value = node.get("a").map(|entry| entry.value.value.clone());
        (value, problems)
    }

    #[test]
    fn values_are_put_in_and_typed_where_unquoted() {
        let check = |scalar: &str, expected: &str| {
            let (value, problems) = run(&format!("a: {scalar}\n"));
            assert!(problems.is_empty(), "{scalar}: {problems:?}");
            let json = match value.unwrap() {
                Value::Text(text) => format!("{text:?}"),
                Value::Number { text, .. } => text,
                other => format!("{other:?}"),
            };
            assert_eq!(json, expected, "{scalar}");
        };
        for (scalar, expected) in [
            ("${PORT}", "8000"),
            ("'${PORT}'", "\"8000\""),
            ("\"${PORT}\"", "\"8000\""),
            ("http://h:${PORT}/x", "\"http://h:8000/x\""),
            ("${YES}", "Bool(true)"),
            ("${NONE:-5}", "5"),
            ("${EMPTY:-5}", "5"),
            ("${EMPTY}", "Null"),
            ("'${EMPTY}'", "\"\""),
            ("${NONE:-}", "Null"),
            ("${NONE:-${PORT}}", "8000"),
            ("${NONE:-${EMPTY:-x}}y", "\"xy\""),
            ("${PORT:?must be}", "8000"),
            ("a$$b", "\"a$b\""),
            ("$${PORT}", "\"${PORT}\""),
            ("a$", "\"a$\""),
            ("^a$|b", "\"^a$|b\""),
            ("${EVIL}", "\"1\\nadded: [x, y]\""),
            ("${FLOW}", "\"{a: 1}\""),
            ("${DOLLAR}", "\"${PORT} $$\""),
        ] {
            check(scalar, expected);
        }
    }

    #[test]
    fn mistakes_are_told() {
        let check = |scalar: &str, expected: &str| {
            let (_, problems) = run(&format!("a: {scalar}\n"));
            let first = problems.list.first().unwrap();
            assert_eq!(first.message, expected, "{scalar}");
        };
        for (scalar, expected) in [
            ("${NONE}", "the variable `NONE` is not set"),
            (
                "${NONE:?where is it}",
                "the variable `NONE` is not set or empty: where is it",
            ),
            ("${EMPTY:?}", "the variable `EMPTY` is not set or empty"),
            ("x${PORT", "`${` without its `}`"),
            ("${}", "`${}` does not name a variable"),
            ("${1A}", "`${1A}` does not name a variable"),
            ("${PORT-1}", "`${PORT-1}` is not understood"),
            ("${PORT x}", "`${PORT x}` is not understood"),
            ("http://$HOST/", "`$HOST` is taken as it is written"),
        ] {
            check(scalar, expected);
        }
    }

    #[test]
    fn keys_are_left_alone() {
        let (value, problems) = run("${PORT}: 1\na: 2\n");
        assert!(problems.is_empty());
        assert!(matches!(value, Some(Value::Number { .. })));
    }
}
