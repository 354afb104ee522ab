//! Free figures of a payload as short words for people. They were cleaned and bounded where they were read.

use std::collections::BTreeMap;

use serde_json::Value;

/// Items of a list that are told.
const MOST_ITEMS: usize = 8;

/// Each figure as `name value`, what is inside another as `outer.inner value`; what holds nothing is left out.
pub fn details(figures: &BTreeMap<String, Value>) -> Vec<String> {
    let mut words = Vec::new();
    for (name, value) in figures {
        tell(name, value, &mut words);
    }
    words
}

fn tell(name: &str, value: &Value, words: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            for (inner, value) in map {
                tell(&format!("{name}.{inner}"), value, words);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, item) in items.iter().take(MOST_ITEMS).enumerate() {
                tell(&format!("{name}.{index}"), item, words);
            }
            if items.len() > MOST_ITEMS {
                words.push(format!("{name} …"));
            }
        }
        Value::Array(items) => {
            let mut shown: Vec<String> = items.iter().take(MOST_ITEMS).map(single).collect();
            if items.len() > MOST_ITEMS {
                shown.push("…".to_owned());
            }
            if !shown.is_empty() {
                words.push(format!("{name} {}", shown.join(", ")));
            }
        }
        Value::String(text) if text.trim().is_empty() => {}
        other => words.push(format!("{name} {}", single(other))),
    }
}

fn single(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // Nobody reads the sixteenth digit of a rate.
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map_or_else(|| number.to_string(), short)
        }
        other => other.to_string(),
    }
}

/// Four significant digits, large figures whole.
fn short(number: f64) -> String {
    let size = number.abs();
    let text = if size >= 1_000.0 || size == 0.0 {
        format!("{number:.0}")
    } else if size >= 1e-6 {
        let digits = (1..=9).find(|digits| size * 10_f64.powi(*digits) >= 1_000.0);
        let digits = usize::try_from(digits.unwrap_or(9)).unwrap_or(9);
        format!("{number:.digits$}")
    } else {
        return format!("{number:e}");
    };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::details;

    fn check(figures: serde_json::Value, expected: &str) {
        let serde_json::Value::Object(map) = figures else {
            panic!("figures are a map");
        };
        let found = details(&map.into_iter().collect());
        assert_eq!(found.join(" · "), expected);
    }

    #[test]
    fn figures_are_told_by_name() {
        check(
            json!({"pool_size": 5, "region": "eu west", "leader": true, "none": null, "text": " ", "map": {}}),
            "leader true · pool_size 5 · region eu west",
        );
        check(
            json!({"metadata": {"workers": 1, "queue": {"depth": 12}}, "tags": ["a", "b"], "empty": []}),
            "metadata.workers 1 · metadata.queue.depth 12 · tags a, b",
        );
        check(
            json!({"nodes": [{"id": 1}, {"id": 2}], "many": [1, 2, 3, 4, 5, 6, 7, 8, 9]}),
            "many 1, 2, 3, 4, 5, 6, 7, 8, … · nodes.0.id 1 · nodes.1.id 2",
        );
    }

    #[test]
    fn no_more_digits_than_anybody_reads() {
        for (number, expected) in [
            (json!(12.5), "x 12.5"),
            (json!(0.001_832_000_1), "x 0.001832"),
            (json!(1.0 / 3.0), "x 0.3333"),
            (json!(99.999_999), "x 100"),
            (json!(123_456.78), "x 123457"),
            (json!(123_456_789), "x 123456789"),
            (json!(-0.5), "x -0.5"),
            (json!(0.0), "x 0"),
            (json!(1e-9), "x 1e-9"),
            (json!(1e300), &format!("x {:.0}", 1e300)),
        ] {
            check(json!({"x": number}), expected);
        }
    }
}
