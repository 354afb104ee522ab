//! From YAML to a [`Decode`], or every mistake in it with its place.

mod heartbeat;
mod lines;
mod places;
mod reply;
mod resources;
mod table;
mod words;

use super::code::{CodeMeaning, Codes};
use super::rule::{Condition, Rule};
use super::words::Vocabulary;
use super::{Decode, Format, Lines, Overall};
use crate::health::State;
use crate::profile::StatusRange;
use crate::text::nearest;
use crate::yaml::{Entry, Fields, Node, Place, Problem, Problems, Value};

use places::{Setting, WordPlaces};

/// What is read of a profile's `decode:`.
struct Parser<'p> {
    format: Format,
    /// Where that is said, or should be.
    format_place: &'p Place,
    problems: &'p mut Problems,
}

impl Decode {
    /// Reads a `decode:` of a profile or a probe.
    pub fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::read(node, "a map that says how to read a payload", problems)?;
        let format = fields.take("format");
        let format_place = format.map_or(&node.place, |entry| &entry.value.place);
        let format = format.map_or(Some(Format::Json), |entry| {
            format_of(&entry.value, problems)
        })?;
        let mut parser = Parser {
            format,
            format_place,
            problems,
        };
        let decode = parser.decode(&mut fields);
        fields.finish(problems);
        Some(decode)
    }
}

fn format_of(node: &Node, problems: &mut Problems) -> Option<Format> {
    if let Some(later @ ("health+json" | "grpc")) = node.as_text() {
        problems.push(
            Problem::at(
                &node.place,
                format!("`format: {later}` is not supported yet"),
            )
            .label("not supported yet")
            .hint("`json`, `text`, `lines` and `none` are"),
        );
        return None;
    }
    let words = [
        ("json", Format::Json),
        ("text", Format::Text),
        ("lines", Format::Lines),
        ("none", Format::None),
    ];
    // The rest is read all the same, so that every mistake is told at once.
    Some(node.word(&words, problems).unwrap_or(Format::Json))
}

impl Parser<'_> {
    fn decode(&mut self, fields: &mut Fields<'_>) -> Decode {
        let lines = self.lines(fields);
        let status = fields.take("status");
        let words = fields.take("words");
        // The body of a text is the word itself, so its status needs no place.
        let bodiless = |entry: &&Entry| {
            self.format == Format::Text
                && matches!(entry.value.value, Value::Map(_))
                && entry.value.get("at").is_none()
        };
        let (status, within) = match status.filter(bodiless) {
            Some(entry) => (None, self.words_alone(&entry.value)),
            None => (status, None),
        };
        let status = self.word_places(status);
        if let (Some(entry), true) = (words, status.is_empty() && self.format != Format::Text) {
            self.problems.push(
                Problem::at(
                    &entry.key_place,
                    "`words` without a status to compare with them",
                )
                .label("no `status` beside it")
                .hint("add `status: /status`, or where else the word stands"),
            );
        }
        let decode = Decode {
            format: self.format,
            words: words.and_then(|entry| self.words(&entry.value)).or(within),
            status,
            version: self.places(fields.take("version"), Setting::Text),
            service: self.places(fields.take("service"), Setting::Text),
            instance: self.places(fields.take("instance"), Setting::Text),
            message: self.places(fields.take("message"), Setting::Text),
            started: self.places(fields.take("started"), Setting::Time),
            uptime: self.places(fields.take("uptime"), Setting::Duration),
            draining: self.word_places(fields.take("draining")),
            resources: self.resources(fields.take("resources")),
            heartbeat: fields
                .take("heartbeat")
                .and_then(|entry| self.heartbeat(entry)),
            codes: self.codes(fields.take("codes")),
            overall: Overall::All,
            rules: self.rules(fields.take("rules")),
            dependencies: match fields.take("dependencies") {
                Some(entry) => self.table(entry),
                None => lines.as_ref().and_then(Lines::table),
            },
            lines,
        };
        let overall = self.overall(fields.take("overall"), &decode);
        Decode { overall, ..decode }
    }

    fn overall(&mut self, entry: Option<&Entry>, decode: &Decode) -> Overall {
        let Some(entry) = entry else {
            return Overall::All;
        };
        let words = [
            ("status", Overall::Status),
            ("worst", Overall::Worst),
            ("codes", Overall::Codes),
        ];
        let Some(overall) = entry.value.word(&words, self.problems) else {
            return Overall::All;
        };
        let missing = match overall {
            Overall::Status if decode.status.is_empty() && self.format != Format::Text => "status",
            Overall::Worst if decode.dependencies.is_none() => "dependencies",
            _ => return overall,
        };
        self.problems.push(
            Problem::at(
                &entry.value.place,
                format!(
                    "{} decides, and there is no `{missing}`",
                    entry.value.shown()
                ),
            )
            .label(format!("needs `{missing}`"))
            .hint(format!("add `{missing}`, or take `overall` out")),
        );
        overall
    }

    /// `{429: healthy, 500-599: unhealthy, 503: body}`
    fn codes(&mut self, entry: Option<&Entry>) -> Codes {
        let expected = "a map of status codes, such as `{429: healthy, 503: body}`";
        let entries = entry.and_then(|entry| entry.value.map(expected, self.problems));
        let mut codes = Codes::default();
        for entry in entries.unwrap_or_default() {
            let Some(range) = range(&entry.key) else {
                self.problems.push(
                    Problem::at(
                        &entry.key_place,
                        format!("`{}` is no status code", entry.key),
                    )
                    .label("expected a code from 100 to 999, or a range of them")
                    .hint("such as `503` or `500-599`"),
                );
                continue;
            };
            if let Some(meaning) = self.code_meaning(&entry.value) {
                codes.0.push((range, meaning));
            }
        }
        codes
    }

    fn code_meaning(&mut self, node: &Node) -> Option<CodeMeaning> {
        let states = State::KEYS.iter().filter_map(|key| {
            let state = State::from_key(key)?;
            Some((*key, CodeMeaning::State(state)))
        });
        let words: Vec<_> = states.chain([("body", CodeMeaning::Body)]).collect();
        node.word(&words, self.problems)
    }

    fn rules(&mut self, entry: Option<&Entry>) -> Vec<Rule> {
        let expected =
            "a list of rules, such as `[{when: {at: /sealed, is: true}, state: unhealthy}]`";
        let items = entry.and_then(|entry| entry.value.list(expected, self.problems));
        let items = items.unwrap_or_default();
        items.iter().filter_map(|item| self.rule(item)).collect()
    }

    fn rule(&mut self, node: &Node) -> Option<Rule> {
        let expected = "a rule, such as `{when: {at: /sealed, is: true}, state: unhealthy}`";
        let mut fields = Fields::read(node, expected, self.problems)?;
        let condition = fields
            .take("when")
            .map(|entry| self.condition(&entry.value));
        let outcome = fields
            .take("state")
            .and_then(|entry| self.outcome(&entry.value));
        let remark = fields
            .take("note")
            .and_then(|entry| entry.value.line("a sentence", self.problems));
        let idle = node.get("state").is_none() && node.get("note").is_none();
        fields.finish(self.problems);
        let missing = match (&condition, idle) {
            (None, _) => "a rule without `when`",
            (_, true) => "a rule without `state` or `note`",
            _ => {
                return Some(Rule {
                    when: condition.flatten()?,
                    state: outcome,
                    note: remark,
                });
            }
        };
        self.problems.push(
            Problem::at(&node.place, missing)
                .label(format!("expected {expected}"))
                .hint("say when it holds and what follows"),
        );
        None
    }

    fn condition(&mut self, node: &Node) -> Option<Condition> {
        let expected = "a condition, such as `{at: /sealed, is: true}`";
        let mut fields = Fields::read(node, expected, self.problems)?;
        let at = fields.take("at");
        let is = fields.take("is");
        fields.finish(self.problems);
        let (Some(at), Some(is)) = (at, is) else {
            let missing = if at.is_none() { "at" } else { "is" };
            self.problems.push(
                Problem::at(&node.place, format!("a condition without `{missing}`"))
                    .label(format!("expected {expected}")),
            );
            return None;
        };
        let at = self.places(Some(at), Setting::Text);
        let is = match &is.value.value {
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            _ => vec![is.value.to_json()],
        };
        (!at.is_empty()).then_some(Condition { at, is })
    }

    /// A state that an answer can stand for.
    fn outcome(&mut self, node: &Node) -> Option<State> {
        let words: Vec<_> = State::KEYS
            .iter()
            .filter_map(|key| Some((*key, State::from_key(key)?)))
            .collect();
        node.word(&words, self.problems)
    }

    fn word_places(&mut self, entry: Option<&Entry>) -> WordPlaces<State> {
        self.places_with_words(entry)
    }
}

/// `503` or `500-599`.
fn range(text: &str) -> Option<StatusRange> {
    let code = |text: &str| {
        let text = text.trim();
        let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        digits
            .then(|| text.parse().ok())
            .flatten()
            .filter(|code| *code >= 100)
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (code(first)?, code(last)?),
        None => (code(text)?, code(text)?),
    };
    (first <= last).then_some(StatusRange { first, last })
}

/// `did you mean …?` for a word of a closed set.
fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean `{near}`?"))
}
