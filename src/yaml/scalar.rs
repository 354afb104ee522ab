//! What an unquoted scalar is, by the YAML core schema.

use super::Value;

/// Types the text of an unquoted scalar. `no`, `on` and `yes` are text, as the core schema has it.
pub(super) fn typed(text: &str) -> Value {
    if !worth_asking(text) {
        return Value::Text(text.to_owned());
    }
    match serde_yaml::from_str::<serde_yaml::Value>(text) {
        Ok(serde_yaml::Value::Null) => Value::Null,
        Ok(serde_yaml::Value::Bool(value)) => Value::Bool(value),
        Ok(serde_yaml::Value::Number(number)) => json_number(&number).map_or_else(
            || Value::Text(text.to_owned()),
            |number| Value::Number {
                text: text.to_owned(),
                number,
            },
        ),
        _ => Value::Text(text.to_owned()),
    }
}

/// Most scalars are words and paths, and a YAML parser for each of them is what a large inventory would
/// spend its time on. It also keeps a variable's value from being read as anything but one scalar.
fn worth_asking(text: &str) -> bool {
    text.is_empty()
        || (text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
            && text.contains(|c: char| c.is_ascii_digit())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')))
        || matches!(
            text.to_ascii_lowercase().as_str(),
            "~" | "null" | "true" | "false"
        )
}

/// The number as JSON has it; infinities and what is not a number have no place there.
fn json_number(number: &serde_yaml::Number) -> Option<serde_json::Number> {
    if let Some(value) = number.as_u64() {
        Some(value.into())
    } else if let Some(value) = number.as_i64() {
        Some(value.into())
    } else {
        serde_json::Number::from_f64(number.as_f64()?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Value, typed};

    #[test]
    fn the_core_schema_decides() {
        let check = |text: &str, expected: &str| {
            let found = match typed(text) {
                Value::Null => "null".to_owned(),
                Value::Bool(value) => format!("bool {value}"),
                Value::Number { text, number } => format!("number {number} as {text}"),
                Value::Text(text) => format!("text {text}"),
                Value::List(_) | Value::Map(_) => "collection".to_owned(),
            };
            assert_eq!(found, expected, "{text:?}");
        };
        for (text, expected) in [
            ("", "null"),
            ("~", "null"),
            ("null", "null"),
            ("true", "bool true"),
            ("False", "bool false"),
            ("yes", "text yes"),
            ("no", "text no"),
            ("on", "text on"),
            ("off", "text off"),
            ("5", "number 5 as 5"),
            ("-5", "number -5 as -5"),
            ("1.10", "number 1.1 as 1.10"),
            ("0755", "text 0755"),
            ("0x1F", "number 31 as 0x1F"),
            ("1e3", "number 1000.0 as 1e3"),
            ("200-299", "text 200-299"),
            ("5s", "text 5s"),
            ("1_000", "text 1_000"),
            (".inf", "text .inf"),
            ("- a", "text - a"),
            ("-", "text -"),
            ("---", "text ---"),
            ("...", "text ..."),
            ("[1]", "text [1]"),
            ("5\nfoo: bar", "text 5\nfoo: bar"),
            ("99999999999999999999999", "text 99999999999999999999999"),
        ] {
            check(text, expected);
        }
    }
}
