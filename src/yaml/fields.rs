//! Reading a map key by key, so that what nobody asked for is an unknown key.

use super::{Entry, Node, Problem, Problems, Value};
use crate::text::nearest;

/// The keys of one map that have not been taken yet.
#[derive(Debug)]
pub struct Fields<'a> {
    /// The map.
    pub node: &'a Node,
    entries: &'a [Entry],
    taken: Vec<bool>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The fields of a map; nothing at all is an empty map. `expected` says what else would have been right:
    /// `a map of services`.
    pub fn read(node: &'a Node, expected: &str, problems: &mut Problems) -> Option<Self> {
        let entries: &[Entry] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => {
                problems.push(node.wrong(expected));
                return None;
            }
        };
        Some(Self {
            node,
            entries,
            taken: vec![false; entries.len()],
            known: Vec::new(),
        })
    }

    /// Takes a key. The keys asked for are the ones that are valid here.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.known.push(key);
        self.take_other_name(key)
    }

    /// Takes a key that is valid but never suggested.
    pub fn take_other_name(&mut self, key: &str) -> Option<&'a Entry> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        if let Some(taken) = self.taken.get_mut(index) {
            *taken = true;
        }
        self.entries.get(index)
    }

    /// Refuses a key that a later version will know.
    pub fn not_yet(&mut self, key: &'static str, problems: &mut Problems) {
        if let Some(entry) = self.take_other_name(key) {
            problems.push(Problem::not_yet(entry));
        }
    }

    /// What is left is unknown. `explain` may say what to do about a key instead of the nearest valid one.
    pub fn finish_with(self, problems: &mut Problems, explain: impl Fn(&str) -> Option<String>) {
        for (entry, taken) in self.entries.iter().zip(&self.taken) {
            if *taken {
                continue;
            }
            let hint = explain(&entry.key).unwrap_or_else(|| {
                nearest(&entry.key, self.known.iter().copied()).map_or_else(
                    || format!("known here: {}", self.known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                )
            });
            problems.push(
                Problem::at(&entry.key_place, format!("unknown key `{}`", entry.key))
                    .label("not known here")
                    .hint(hint),
            );
        }
    }

    /// What is left is unknown.
    pub fn finish(self, problems: &mut Problems) {
        self.finish_with(problems, |_| None);
    }
}

impl Problem {
    /// A key that a later version will know.
    pub fn not_yet(entry: &Entry) -> Self {
        Self::at(
            &entry.key_place,
            format!("`{}` is not supported yet", entry.key),
        )
        .label("not supported yet")
        .hint("take it out; this version would ignore it, and nothing is ignored silently")
    }
}
