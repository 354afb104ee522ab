//! One tree laid over another: maps by key, everything else replaced.

use super::{Entry, Node, Value};

/// What the keys of maps mean to each other.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// Returns whether a key from above takes away a key from below.
    pub takes_away: fn(above: &str, below: &str) -> bool,
    /// Returns whether the map of a key holds names of the user's own, which mean nothing to each other.
    pub holds_names: fn(key: &str) -> bool,
}

impl Node {
    /// Lays another tree over this one. Nothing at all leaves a map as it is. What was changed last is where it was changed.
    pub fn lay(&mut self, over: Self, keys: Keys) {
        self.lay_in(over, keys, false);
    }

    fn lay_in(&mut self, over: Self, keys: Keys, of_names: bool) {
        match (&mut self.value, over.value) {
            (Value::Map(below), Value::Map(above)) => {
                merge(below, above, keys, of_names);
                self.place = over.place;
            }
            (Value::Map(_), Value::Null) => {}
            (_, value) => {
                *self = Self { value, ..over };
            }
        }
    }
}

fn merge(below: &mut Vec<Entry>, above: Vec<Entry>, keys: Keys, of_names: bool) {
    if !of_names {
        below.retain(|entry| {
            !above
                .iter()
                .any(|other| (keys.takes_away)(&other.key, &entry.key))
        });
    }
    for over in above {
        match below.iter_mut().find(|entry| entry.key == over.key) {
            Some(under) => {
                let names = !of_names && (keys.holds_names)(&over.key);
                if !matches!(under.value.value, Value::Map(_)) {
                    under.key_place = over.key_place;
                }
                under.value.lay_in(over.value, keys, names);
            }
            None => below.push(over),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Problems, SourceFile, parse};
    use super::Keys;

    const KEYS: Keys = Keys {
        takes_away: |above, below| above == "tcp" && ["http", "expect"].contains(&below),
        holds_names: |key| key == "probes",
    };

    #[test]
    fn maps_by_key_and_the_rest_replaced() {
        let tree = |text: &str| {
            let mut problems = Problems::default();
            let file = Arc::new(SourceFile::new("t.yaml", text));
            parse(&file, &mut problems).unwrap()
        };
        let check = |below: &str, above: &str, expected: &str| {
            let mut found = tree(below);
            found.lay(tree(above), KEYS);
            assert_eq!(
                found.to_json().to_string(),
                expected,
                "{below} under {above}"
            );
        };
        check("{a: 1, b: 2}", "{b: 3, c: 4}", r#"{"a":1,"b":3,"c":4}"#);
        check("{a: {b: 1, c: 2}}", "{a: {c: 3}}", r#"{"a":{"b":1,"c":3}}"#);
        check("{a: [1, 2]}", "{a: [3]}", r#"{"a":[3]}"#);
        check("{a: {b: 1}}", "{a: x}", r#"{"a":"x"}"#);
        check("{a: x}", "{a: {b: 1}}", r#"{"a":{"b":1}}"#);
        check("{a: {b: 1}}", "{a: }", r#"{"a":{"b":1}}"#);
        check("{a: x}", "{a: }", r#"{"a":null}"#);
        check(
            "{http: /x, expect: 2, b: 1}",
            "{tcp: y}",
            r#"{"b":1,"tcp":"y"}"#,
        );
        check("{tcp: y}", "{http: /x}", r#"{"tcp":"y","http":"/x"}"#);
        check(
            "{probes: {http: 1}}",
            "{probes: {tcp: 2}}",
            r#"{"probes":{"http":1,"tcp":2}}"#,
        );
        check(
            "{probes: {probes: {http: 1}}}",
            "{probes: {probes: {tcp: 2}}}",
            r#"{"probes":{"probes":{"tcp":2}}}"#,
        );
    }
}
