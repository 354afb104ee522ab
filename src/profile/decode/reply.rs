//! How the reply to a reload is read. All of it is data of a profile or an inventory.
//!
//! ```yaml
//! reply:
//!   status: {at: /status, words: {reloaded: [success], rejected: [error]}}   # of the whole
//!   message: [/error, /message]     # what the service says of it
//!   parts:                          # one table, or a list of them
//!     - at: /parts                  # a map by name, or a list; "" is the whole reply
//!       name: /name                 # left out: the key of a map, `/name` of an item, the item itself
//!       status: /status             # with `words` as above; left out: /status, or the entry itself
//!       message: [/error, /message]
//!       ignore: [total]
//!     - {at: /needs_restart, as: needs-restart}    # all that is listed there
//! ```
//!
//! Of a part that several tables name, the first one counts. What is left out is looked for at the usual places, and what is not found there says nothing. A reply that is no
//! JSON is the service's sentence.

use serde_json::Value;

use super::json;
use super::place::{Document, Place, Places, Source, holds, raw};
use super::words::{Words, meaning};
use crate::health::{Part, ReloadReply, ReloadStatus};
use crate::text::clean;

/// Parts kept of one reply.
const MOST_PARTS: usize = 200;
/// Characters of a name.
const LONGEST_NAME: usize = 128;
/// Characters of a word.
const LONGEST_WORD: usize = 100;
/// Characters of a sentence.
const LONGEST_MESSAGE: usize = 300;

/// Where the word of the whole usually stands.
const USUAL_STATUS: [&str; 3] = ["/status", "/result", "/success"];
/// Where the sentence usually stands.
const USUAL_MESSAGE: [&str; 6] = [
    "/error/message",
    "/error",
    "/message",
    "/detail",
    "/reason",
    "/errors/0",
];

/// A place of a status word, with words of its own.
pub(super) type StatusPlace = (Place, Option<Words<ReloadStatus>>);

/// A `reply:` of an action, parsed and checked. The default is what holds where none is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReplyDecode {
    pub(super) status: Vec<StatusPlace>,
    pub(super) message: Places,
    pub(super) parts: Vec<PartsTable>,
}

/// `parts:` of a reply.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PartsTable {
    /// Where the entries are.
    pub(super) at: Places,
    /// The name of an entry.
    pub(super) name: Places,
    /// Names that are no parts.
    pub(super) ignore: Vec<String>,
    /// What became of all that is listed there, unless an entry says otherwise.
    pub(super) all: Option<ReloadStatus>,
    /// The status word of an entry.
    pub(super) status: Vec<StatusPlace>,
    /// What is said of an entry.
    pub(super) message: Places,
}

impl ReplyDecode {
    /// Reads a reply, whatever its code.
    pub fn read(&self, body: &[u8], headers: &[(String, String)]) -> ReloadReply {
        let json = json::parse(body).ok();
        let document = Document {
            json: json.as_ref(),
            headers,
        };
        let mut reply = ReloadReply::default();
        self.whole(document, &mut reply);
        reply.message = match &json {
            Some(Value::String(text)) => sentence(text),
            Some(_) if self.message.is_empty() => {
                pointers(&USUAL_MESSAGE).text(document, LONGEST_MESSAGE)
            }
            Some(_) => self.message.text(document, LONGEST_MESSAGE),
            None => sentence(&String::from_utf8_lossy(body)),
        };
        for table in &self.parts {
            let told = reply.parts.len();
            table.read(document, told, &mut reply);
        }
        reply
    }

    fn whole(&self, document: Document<'_>, reply: &mut ReloadReply) {
        let found = self.status.iter().find_map(|(place, words)| {
            let value = place.source.look(document)?;
            holds(&value).then(|| (words.as_ref(), raw(&value)))
        });
        if let Some((words, word)) = found {
            reply.status = Some(meaning(words, &word).unwrap_or(ReloadStatus::Unknown));
            reply.word = Some(clean(&word, LONGEST_WORD));
            return;
        }
        if !self.status.is_empty() {
            return;
        }
        // Nobody said that the word stands there, so one that is not known is about something else.
        let usual = pointers(&USUAL_STATUS);
        let known = usual.0.iter().find_map(|place| {
            let word = raw(&*place.source.look(document)?);
            Some((meaning::<ReloadStatus>(None, &word)?, word))
        });
        if let Some((status, word)) = known {
            reply.status = Some(status);
            reply.word = Some(clean(&word, LONGEST_WORD));
        }
    }
}

impl PartsTable {
    /// `told` parts were read from the tables before this one.
    fn read(&self, document: Document<'_>, told: usize, reply: &mut ReloadReply) {
        let Some((_, table)) = self.at.find(document) else {
            return;
        };
        match &*table {
            Value::Object(map) => {
                for (key, entry) in map {
                    self.keep(Some(key), entry, document.headers, told, reply);
                }
            }
            Value::Array(items) => {
                for entry in items {
                    self.keep(None, entry, document.headers, told, reply);
                }
            }
            _ => {}
        }
    }

    fn keep(
        &self,
        key: Option<&str>,
        entry: &Value,
        headers: &[(String, String)],
        told: usize,
        reply: &mut ReloadReply,
    ) {
        let document = Document {
            json: Some(entry),
            headers,
        };
        let bare = key.is_none() && !entry.is_object();
        let name = self
            .name
            .text(document, LONGEST_NAME)
            .or_else(|| key.map(|key| clean(key.trim(), LONGEST_NAME)))
            .or_else(|| {
                let own = if bare { Some(entry) } else { entry.get("name") };
                own.filter(|own| holds(own))
                    .map(|own| clean(&raw(own), LONGEST_NAME))
            })
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "(no name)".to_owned());
        let known = reply.parts.iter().take(told);
        if self.ignore.contains(&name) || known.into_iter().any(|part| part.name == name) {
            return;
        }
        if reply.parts.len() >= MOST_PARTS {
            reply.left_out = reply.left_out.saturating_add(1);
            return;
        }
        let (status, word) = if bare {
            (self.all, None)
        } else {
            self.status_of(entry, document)
        };
        let said = match entry {
            Value::Object(_) if self.message.is_empty() => {
                pointers(&USUAL_MESSAGE).text(document, LONGEST_MESSAGE)
            }
            Value::Object(_) => self.message.text(document, LONGEST_MESSAGE),
            // Under a name whose status is given, a text is what is said of it.
            Value::String(text) if !bare && self.all.is_some() => sentence(text),
            _ => None,
        };
        reply.parts.push(Part {
            name,
            status: status.unwrap_or(ReloadStatus::Unknown),
            word: word.map(|word| clean(&word, LONGEST_WORD)),
            message: said,
        });
    }

    /// What an entry says of itself, else what is said of all.
    fn status_of(
        &self,
        entry: &Value,
        document: Document<'_>,
    ) -> (Option<ReloadStatus>, Option<String>) {
        if entry.is_object() {
            let found = self.status.iter().find_map(|(place, words)| {
                let value = place.source.look(document)?;
                holds(&value).then(|| (words.as_ref(), raw(&value)))
            });
            return match found {
                Some((words, word)) => (meaning(words, &word).or(self.all), Some(word)),
                None => (self.all, None),
            };
        }
        if !holds(entry) {
            return (self.all, None);
        }
        let word = raw(entry);
        let words = self.status.first().and_then(|(_, words)| words.as_ref());
        let amount = match entry {
            // So many of it; none of it is no change.
            Value::Number(number) => number.as_f64().map(|amount| amount > 0.0),
            Value::Bool(flag) => Some(*flag),
            _ => None,
        };
        let status = match (self.all, amount) {
            (Some(_), Some(false)) => Some(ReloadStatus::Unchanged),
            (Some(all), _) => Some(all),
            (None, _) => meaning(words, &word).or(match (entry, amount) {
                (Value::Number(_), Some(true)) => Some(ReloadStatus::Reloaded),
                (Value::Number(_), Some(false)) => Some(ReloadStatus::Unchanged),
                _ => None,
            }),
        };
        (status, Some(word))
    }
}

fn sentence(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('\u{feff}');
    (!text.is_empty()).then(|| clean(text, LONGEST_MESSAGE))
}

/// Places of which nothing more is said.
fn pointers(list: &[&str]) -> Places {
    let place = |pointer: &&str| Place::plain(Source::Pointer((*pointer).to_owned()));
    Places(list.iter().map(place).collect())
}
