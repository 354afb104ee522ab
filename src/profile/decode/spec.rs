//! `decode:` of a profile: what is read of a response, and what its state follows from.

use super::code::CodeTable;
use super::dependencies::DependencyTable;
use super::details::Resources;
use super::field::{FieldSpecs, WordSpecs};
use super::heartbeat::{Condition, HeartbeatDecode};
use super::lines::LineFormat;
use super::parser::{BodyFormat, FieldKind, Parser};
use super::words::{Vocabulary, WordMap};
use crate::health::State;
use crate::yaml::{Entry, Fields, Node, Problem, Problems, Value};

/// A decode description, parsed and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Decode {
    pub(super) format: BodyFormat,
    pub(super) lines: Option<LineFormat>,
    /// The words of a status without words of its own.
    pub(super) words: Option<WordMap<State>>,
    pub(super) status: WordSpecs<State>,
    pub(super) version: FieldSpecs,
    pub(super) service: FieldSpecs,
    pub(super) instance: FieldSpecs,
    pub(super) message: FieldSpecs,
    pub(super) started: FieldSpecs,
    pub(super) uptime: FieldSpecs,
    pub(super) draining: WordSpecs<State>,
    pub(super) resources: Resources,
    pub(super) heartbeat: Option<HeartbeatDecode>,
    pub(super) codes: CodeTable,
    pub(super) overall: Overall,
    /// The first rule that matches counts.
    pub(super) rules: Vec<StateRule>,
    pub(super) dependencies: Option<DependencyTable>,
}

/// `overall:` the part of a response from which the state follows. A rule that matches and a code to which `codes:`
/// gives a state count always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overall {
    /// The worst of all that is known. A dependency of which nothing is known says nothing against the service's word.
    All,
    Status,
    /// The worse of the word and the worst dependency, as far as there are some. Where no dependency is known the
    /// service is unknown, whatever its word.
    Worst,
    Codes,
}

/// A rule of a profile: the state that follows from a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StateRule {
    pub(super) when: Condition,
    /// The state that follows, if any.
    pub(super) state: Option<State>,
    /// A sentence for people.
    pub(super) note: Option<String>,
}

impl Decode {
    /// Returns whether a response can be judged only with its body.
    pub fn needs_body(&self) -> bool {
        self.format != BodyFormat::None
    }

    /// Returns whether the payload can tell of dependencies.
    pub(crate) fn reports_dependencies(&self) -> bool {
        self.dependencies.is_some()
    }

    /// Returns whether the response is about other services: it has heartbeats and no status word of its own. Then
    /// nothing in it says where those others are.
    pub fn is_of_others(&self) -> bool {
        let table = self.dependencies.as_ref();
        let beats = self.heartbeat.is_some() || table.is_some_and(|it| it.heartbeat.is_some());
        beats && self.status.is_empty()
    }

    /// Reads the `decode:` of a profile or a probe.
    pub fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::read(node, "a map that says how to read a payload", problems)?;
        let format = fields.take("format");
        let format_place = format.map_or(&node.place, |entry| &entry.value.place);
        let format = format.map_or(Some(BodyFormat::Json), |entry| {
            parse_format(&entry.value, problems)
        })?;
        let mut parser = Parser {
            format,
            format_place,
            problems,
        };
        let decode = Self::parse_fields(&mut fields, &mut parser);
        fields.finish(problems);
        Some(decode)
    }

    fn parse_fields(fields: &mut Fields<'_>, parser: &mut Parser<'_>) -> Self {
        let lines = LineFormat::take(fields, parser);
        let (mut status, words) = (fields.take("status"), fields.take("words"));
        let mut words_of_body = None;
        // The body of a text is the word itself, so its status needs no path.
        if let Some(entry) = status.filter(|entry| {
            parser.format == BodyFormat::Text
                && matches!(entry.value.value, Value::Map(_))
                && entry.value.get("at").is_none()
        }) {
            status = None;
            words_of_body = parse_words_of_body(&entry.value, parser.problems);
        }
        let status = parser.word(status);
        if let (Some(entry), true) = (
            words,
            status.is_empty() && parser.format != BodyFormat::Text,
        ) {
            let message = "`words` without a status to compare with them";
            Problem::at(&entry.key_place, message)
                .label("no `status` beside it")
                .hint("add `status: /status`, or where else the word stands")
                .report(parser.problems);
        }
        let mut decode = Self {
            format: parser.format,
            words: WordMap::parse(words, parser.problems).or(words_of_body),
            status,
            version: parser.take_text(fields, "version"),
            service: parser.take_text(fields, "service"),
            instance: parser.take_text(fields, "instance"),
            message: parser.take_text(fields, "message"),
            started: parser.field(fields.take("started"), FieldKind::Time),
            uptime: parser.take_duration(fields, "uptime"),
            draining: parser.take_word(fields, "draining"),
            resources: Resources::parse(fields.take("resources"), parser),
            heartbeat: HeartbeatDecode::parse(fields.take("heartbeat"), parser),
            codes: CodeTable::parse(fields.take("codes"), parser.problems),
            overall: Overall::All,
            rules: StateRule::parse_list(fields.take("rules"), parser),
            dependencies: match fields.take("dependencies") {
                Some(entry) => DependencyTable::parse(entry, parser),
                None => lines.as_ref().and_then(LineFormat::table),
            },
            lines,
        };
        if let Some(entry) = fields.take("overall") {
            decode.parse_overall(&entry.value, parser.problems);
        }
        decode
    }

    fn parse_overall(&mut self, node: &Node, problems: &mut Problems) {
        let words = [
            ("status", Overall::Status),
            ("worst", Overall::Worst),
            ("codes", Overall::Codes),
        ];
        let Some(overall) = node.word(&words, problems) else {
            return;
        };
        self.overall = overall;
        let no_status = self.status.is_empty() && self.format != BodyFormat::Text;
        let missing = match overall {
            Overall::Status if no_status => "status",
            Overall::Worst if self.dependencies.is_none() => "dependencies",
            _ => return,
        };
        let shown = node.shown();
        let message = format!("{shown} decides, and there is no `{missing}`");
        Problem::at(&node.place, message)
            .label(format!("needs `{missing}`"))
            .hint(format!("add `{missing}`, or take `overall` out"))
            .report(problems);
    }
}

fn parse_format(node: &Node, problems: &mut Problems) -> Option<BodyFormat> {
    if let Some(later @ ("health+json" | "grpc")) = node.as_text() {
        let message = format!("`format: {later}` is not supported yet");
        return Problem::at(&node.place, message)
            .label("not supported yet")
            .hint("`json`, `text`, `lines` and `none` are")
            .reject(problems);
    }
    let words = [
        ("json", BodyFormat::Json),
        ("text", BodyFormat::Text),
        ("lines", BodyFormat::Lines),
        ("none", BodyFormat::None),
    ];
    // The rest is read all the same, so that every mistake is reported at once.
    Some(node.word(&words, problems).unwrap_or(BodyFormat::Json))
}

/// Reads `status: {words: …}` of a text, whose status has no path.
fn parse_words_of_body(node: &Node, problems: &mut Problems) -> Option<WordMap<State>> {
    let mut fields = Fields::read(node, "a place, or `{words: …}`", problems)?;
    let words = fields.take("words");
    fields.finish(problems);
    WordMap::parse(words, problems)
}

impl StateRule {
    fn parse_list(entry: Option<&Entry>, parser: &mut Parser<'_>) -> Vec<Self> {
        let expected =
            "a list of rules, such as `[{when: {at: /sealed, is: true}, state: unhealthy}]`";
        let items = entry.and_then(|entry| entry.value.list(expected, parser.problems));
        let items = items.unwrap_or_default().iter();
        items.filter_map(|item| Self::parse(item, parser)).collect()
    }

    fn parse(node: &Node, parser: &mut Parser<'_>) -> Option<Self> {
        let expected = "a rule, such as `{when: {at: /sealed, is: true}, state: unhealthy}`";
        let mut fields = Fields::read(node, expected, parser.problems)?;
        let when = fields.take("when");
        let condition = when.map(|entry| Condition::parse(&entry.value, parser));
        let (state, remark) = (fields.take("state"), fields.take("note"));
        let rule = (
            state.and_then(|entry| entry.value.word(State::KEYS, parser.problems)),
            remark.and_then(|entry| entry.value.line("a sentence", parser.problems)),
        );
        fields.finish(parser.problems);
        let missing = if condition.is_none() {
            "a rule without `when`"
        } else if state.is_none() && remark.is_none() {
            "a rule without `state` or `note`"
        } else {
            return Some(Self {
                when: condition.flatten()?,
                state: rule.0,
                note: rule.1,
            });
        };
        Problem::at(&node.place, missing)
            .expected(expected)
            .hint("say when it holds and what follows")
            .reject(parser.problems)
    }
}
