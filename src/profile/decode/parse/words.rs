//! `words:` as a profile writes them.

use super::Parser;
use crate::profile::decode::words::{Vocabulary, Words, is_phrase};
use crate::yaml::{Fields, Node, Problem, Value};

impl Parser<'_> {
    /// `{healthy: [ok, {contains: is fine}], default: unhealthy}`
    pub(super) fn words<S: Vocabulary>(&mut self, node: &Node) -> Option<Words<S>> {
        let expected = "a map from states to words, such as `{healthy: [ok]}`";
        let mut fields = Fields::read(node, expected, self.problems)?;
        let mut words = Words::new();
        for key in S::KEYS {
            let Some((entry, state)) = fields.take(key).zip(S::from_key(key)) else {
                continue;
            };
            match &entry.value.value {
                Value::List(items) => {
                    for item in items {
                        self.word(item, state, &mut words);
                    }
                }
                _ => self.word(&entry.value, state, &mut words),
            }
        }
        if let Some(entry) = fields.take("default") {
            let known: Vec<_> = S::KEYS
                .iter()
                .filter_map(|key| Some((*key, S::from_key(key)?)))
                .collect();
            words.default = entry.value.word(&known, self.problems);
        }
        fields.finish(self.problems);
        Some(words)
    }

    /// `status: {words: …}` of a text, which has no place.
    pub(super) fn words_alone<S: Vocabulary>(&mut self, node: &Node) -> Option<Words<S>> {
        let mut fields = Fields::read(node, "a place, or `{words: …}`", self.problems)?;
        let words = fields.take("words");
        fields.finish(self.problems);
        words.and_then(|entry| self.words(&entry.value))
    }

    fn word<S: Vocabulary>(&mut self, node: &Node, state: S, words: &mut Words<S>) {
        if let Value::Map(_) = &node.value {
            self.phrase(node, state, words);
            return;
        }
        let expected = "a word, or `{contains: phrase}`";
        let Some(word) = node.text(expected, self.problems) else {
            return;
        };
        if word.trim().is_empty() {
            self.problems.push(node.wrong(expected));
        } else if let Err(other) = words.add(&word, state) {
            self.twice(node, other);
        }
    }

    fn phrase<S: Vocabulary>(&mut self, node: &Node, state: S, words: &mut Words<S>) {
        let expected = "a word, or `{contains: phrase}`";
        let Some(mut fields) = Fields::read(node, expected, self.problems) else {
            return;
        };
        let contains = fields.take("contains");
        fields.finish(self.problems);
        let Some(contains) = contains else {
            self.problems.push(node.wrong(expected));
            return;
        };
        let phrases = match &contains.value.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&contains.value),
        };
        for phrase in phrases {
            let expected = "a phrase with at least one letter or digit";
            let Some(text) = phrase.text(expected, self.problems) else {
                continue;
            };
            if !is_phrase(&text) {
                self.problems.push(phrase.wrong(expected));
            } else if let Err(other) = words.add_phrase(&text, state) {
                self.twice(phrase, other);
            }
        }
    }

    fn twice<S: Vocabulary>(&mut self, node: &Node, other: S) {
        let other = S::KEYS.iter().find(|key| S::from_key(key) == Some(other));
        let other = other.copied().unwrap_or_default();
        self.problems.push(
            Problem::at(&node.place, format!("{} has two meanings", node.shown()))
                .label(format!("it already stands for `{other}`"))
                .hint("case, `-`, `_` and space are ignored in comparing"),
        );
    }
}
