//! Reads the reply to a reload, as a profile or an inventory describes it.
//!
//! ```yaml
//! reply:
//!   status: {at: /status, words: {reloaded: [success], rejected: [error]}}   # of the whole
//!   message: [/error, /message]     # the message of the service
//!   parts:                          # one table, or a list of them
//!     - at: /parts                  # a map by name, or a list; "" is the whole reply
//!       name: /name                 # left out: the key of a map, `/name` of an item, the item itself
//!       status: /status             # with `words` as above; left out: /status, or the entry itself
//!       message: [/error, /message]
//!       ignore: [total]
//!     - {at: /needs_restart, as: needs-restart}    # all that is listed there
//! ```
//!
//! When several tables name a part, the first one counts. A field that is left out is looked for at the usual paths. A
//! reply that is not JSON is the message of the service.

use serde_json::Value;

use super::field::{FieldSpecs, PayloadView, WordSpecs, as_text, has_content};
use super::json;
use super::parser::{BodyFormat, FieldKind, Parser};
use super::words::{LONGEST_WORD, Vocabulary, meaning};
use crate::health::{Part, ReloadReply, ReloadStatus};
use crate::text::clean;
use crate::yaml::{Fields, Node, Problem, Problems};

/// The number of parts kept of one reply.
const MOST_PARTS: usize = 200;
/// The longest name, in characters.
const LONGEST_NAME: usize = 128;
/// The longest message, in characters.
const LONGEST_MESSAGE: usize = 300;

/// The usual paths of the status of the whole.
const USUAL_STATUS: [&str; 3] = ["/status", "/result", "/success"];
/// The usual paths of a message.
const USUAL_MESSAGE: [&str; 6] = [
    "/error/message",
    "/error",
    "/message",
    "/detail",
    "/reason",
    "/errors/0",
];

/// The description of a table for messages.
const TABLE: &str = "a map that says where the parts are, such as `{at: /parts}`";

/// A `reply:` of an action, parsed and checked. The default is what holds when none is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReplyDecode {
    status: WordSpecs<ReloadStatus>,
    message: FieldSpecs,
    parts: Vec<PartsTable>,
}

/// `parts:` of a reply.
#[derive(Debug, Clone, PartialEq)]
struct PartsTable {
    /// The paths of the entries.
    at: FieldSpecs,
    /// The name of an entry.
    name: FieldSpecs,
    /// Names that are no parts.
    ignore: Vec<String>,
    /// The status of all entries that do not have one of their own.
    all: Option<ReloadStatus>,
    status: WordSpecs<ReloadStatus>,
    message: FieldSpecs,
}

impl ReplyDecode {
    /// Reads the `reply:` of an action.
    pub fn parse(node: &Node, problems: &mut Problems) -> Option<Self> {
        let expected = "a map that says how to read a reply, such as `{parts: {at: /parts}}`";
        let mut fields = Fields::read(node, expected, problems)?;
        let mut parser = Parser {
            format: BodyFormat::Json,
            format_place: &node.place,
            problems,
        };
        let status = parser.take_word(&mut fields, "status");
        let message = parser.take_text(&mut fields, "message");
        let tables = fields.take("parts").map(|entry| entry.value.one_or_many());
        let tables = tables.unwrap_or_default().iter();
        let parts = tables.filter_map(|node| PartsTable::parse(node, &mut parser));
        let parts = parts.collect();
        fields.finish_with(problems, |key| match key {
            "at" | "name" | "as" => {
                Some(format!("it stands inside `parts`: `parts: {{{key}: …}}`"))
            }
            "error" | "reason" => Some("did you mean `message`?".to_owned()),
            _ => None,
        });
        Some(Self {
            status,
            message,
            parts,
        })
    }

    /// Reads a reply. Of one with an error status only what names a part with a word of its own is one: the fields of an
    /// error page are none.
    pub fn read(&self, code: u16, body: &[u8], headers: &[(String, String)]) -> ReloadReply {
        let json = json::parse(body).ok();
        let view = PayloadView {
            json: json.as_ref(),
            headers,
        };
        let mut reply = ReloadReply::default();
        if let Some((status, word)) = self.status(view) {
            reply.status = Some(status);
            reply.word = Some(clean(&word, LONGEST_WORD));
        }
        reply.message = match &json {
            Some(Value::String(text)) => sentence(text),
            Some(_) => message(&self.message, view),
            None => sentence(&String::from_utf8_lossy(body)),
        };
        for table in &self.parts {
            let known = reply.parts.len();
            if code < 400 {
                table.read(view, known, &mut reply);
                continue;
            }
            let table = PartsTable {
                all: None,
                ..table.clone()
            };
            table.read(view, known, &mut reply);
        }
        if code >= 400 {
            let is_told = |word: &String| word.parse::<f64>().is_err();
            reply.parts.retain(|part| {
                part.status != ReloadStatus::Unknown && part.word.as_ref().is_some_and(is_told)
            });
        }
        reply
    }

    fn status(&self, view: PayloadView<'_>) -> Option<(ReloadStatus, String)> {
        if !self.status.is_empty() {
            let (status, word) = self.status.find(view, None)?.meaning();
            return Some((status.unwrap_or(ReloadStatus::Unknown), word));
        }
        // Nobody said that the word is there, so one that is not known is about something else.
        let usual = FieldSpecs::pointers(&USUAL_STATUS);
        usual.0.iter().find_map(|spec| {
            let word = as_text(&*spec.path.look_up(view)?);
            Some((meaning(None, &word)?, word))
        })
    }
}

impl PartsTable {
    fn parse(node: &Node, parser: &mut Parser<'_>) -> Option<Self> {
        let mut fields = Fields::read(node, TABLE, parser.problems)?;
        let Some(at) = fields.take("at") else {
            return Problem::at(&node.place, "parts without `at`")
                .expected(TABLE)
                .hint("`at: \"\"` is the whole reply")
                .reject(parser.problems);
        };
        let all = fields
            .take("as")
            .and_then(|entry| entry.value.word(ReloadStatus::KEYS, parser.problems));
        let mut status = parser.take_word(&mut fields, "status");
        if status.is_empty() {
            status = WordSpecs::pointer("/status");
        }
        let table = Self {
            at: parser.field(Some(at), FieldKind::Text),
            name: parser.take_text(&mut fields, "name"),
            ignore: parser.names(fields.take("ignore"), "a list of names, such as `[total]`"),
            all,
            status,
            message: parser.take_text(&mut fields, "message"),
        };
        fields.finish_with(parser.problems, |key| match key {
            "error" | "reason" => Some("did you mean `message`?".to_owned()),
            "words" => Some("they stand inside `status`: `status: {at: …, words: …}`".to_owned()),
            _ => None,
        });
        Some(table)
    }

    /// Reads the parts of the table. The first `known` parts of the reply are those of the tables before this one.
    fn read(&self, view: PayloadView<'_>, known: usize, reply: &mut ReloadReply) {
        let Some((_, table)) = self.at.find(view) else {
            return;
        };
        let entries: Vec<(Option<&str>, &Value)> = match &*table {
            Value::Object(map) => map
                .iter()
                .map(|(key, entry)| (Some(&**key), entry))
                .collect(),
            Value::Array(items) => items.iter().map(|entry| (None, entry)).collect(),
            _ => return,
        };
        for (key, entry) in entries {
            let view = view.within(entry);
            let name = self.name_of(key, entry, view);
            let mut earlier = reply.parts.iter().take(known);
            if self.ignore.contains(&name) || earlier.any(|part| part.name == name) {
                continue;
            }
            if reply.parts.len() >= MOST_PARTS {
                reply.left_out = reply.left_out.saturating_add(1);
                continue;
            }
            reply.parts.push(self.part(name, key, entry, view));
        }
    }

    fn name_of(&self, key: Option<&str>, entry: &Value, view: PayloadView<'_>) -> String {
        let own = || {
            let own = match entry {
                Value::Object(map) => map.get("name"),
                _ => Some(entry),
            };
            own.filter(|own| has_content(own)).map(as_text)
        };
        let name = self.name.text(view, LONGEST_NAME).or_else(|| {
            let name = key.map(|key| key.trim().to_owned()).or_else(own)?;
            Some(clean(&name, LONGEST_NAME))
        });
        name.filter(|name| !name.is_empty())
            .unwrap_or_else(|| "(no name)".to_owned())
    }

    fn part(&self, name: String, key: Option<&str>, entry: &Value, view: PayloadView<'_>) -> Part {
        let is_name = key.is_none() && !entry.is_object();
        let (status, word) = if is_name {
            (self.all, None)
        } else {
            self.status_of(entry, view)
        };
        Part {
            name,
            status: status.unwrap_or(ReloadStatus::Unknown),
            word: word.map(|word| clean(&word, LONGEST_WORD)),
            message: match entry {
                Value::Object(_) => message(&self.message, view),
                // When the status is given for all entries, a text is the message of one.
                Value::String(text) if !is_name && self.all.is_some() => sentence(text),
                _ => None,
            },
        }
    }

    /// Returns the status and word of an entry; without one, the status of all entries.
    fn status_of(
        &self,
        entry: &Value,
        view: PayloadView<'_>,
    ) -> (Option<ReloadStatus>, Option<String>) {
        if entry.is_object() {
            return match self.status.find(view, None).map(|word| word.meaning()) {
                Some((status, word)) => (status.or(self.all), Some(word)),
                None => (self.all, None),
            };
        }
        if !has_content(entry) {
            return (self.all, None);
        }
        let word = as_text(entry);
        // A count of zero means no change, and so does a flag that is not set.
        let count = entry.as_f64().map(|count| {
            if count > 0.0 {
                ReloadStatus::Reloaded
            } else {
                ReloadStatus::Unchanged
            }
        });
        let unchanged = count == Some(ReloadStatus::Unchanged) || *entry == Value::Bool(false);
        let status = match self.all {
            Some(_) if unchanged => Some(ReloadStatus::Unchanged),
            Some(all) => Some(all),
            None => meaning(self.status.first_words(), &word).or(count),
        };
        (status, Some(word))
    }
}

/// Returns the message at its field, or at the usual paths when the field is left out.
fn message(field: &FieldSpecs, view: PayloadView<'_>) -> Option<String> {
    if field.is_empty() {
        FieldSpecs::pointers(&USUAL_MESSAGE).text(view, LONGEST_MESSAGE)
    } else {
        field.text(view, LONGEST_MESSAGE)
    }
}

fn sentence(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('\u{feff}');
    (!text.is_empty()).then(|| clean(text, LONGEST_MESSAGE))
}
