//! From an answer to what it says: fields, word, rule and dependencies, not yet weighed against each other.

use super::dependencies::LONGEST_WORD;
use super::place::{Document, holds, raw, truthy};
use super::words::meaning;
use super::{Answer, Decode, Format, Overall, json};
use crate::health::{Reading, Start, State};
use crate::text::clean;

/// Characters of a version, a name, an instance.
const LONGEST_NAME: usize = 128;
/// Characters of a sentence.
const LONGEST_MESSAGE: usize = 500;
/// Bytes of a text body that are looked at; a status word is no novel.
const MOST_TEXT: usize = 64 * 1024;

/// A status word of a service.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    /// What it means.
    pub(super) state: State,
    /// The word as written, where there is one.
    pub(super) raw: Option<String>,
    /// Why it means nothing: it is not known, or not there.
    pub(super) unclear: Option<String>,
}

/// All that an answer says of a service.
#[derive(Debug, Default)]
pub(super) struct Payload {
    /// The fields; the status is left out until everything has been weighed.
    pub(super) reading: Reading,
    /// The status word, where the profile has a place for one.
    pub(super) word: Option<Word>,
    /// The state and note of the first rule that matches.
    pub(super) rule: Option<(Option<State>, Option<String>)>,
    /// What the dependencies amount to.
    pub(super) dependencies: Option<State>,
    /// A required dependency in error, with its text.
    pub(super) required_error: Option<String>,
    /// Why the body does not decode.
    pub(super) trouble: Option<String>,
}

impl Decode {
    /// Reads an answer, whatever its code.
    pub(super) fn read(&self, answer: &Answer<'_>) -> Payload {
        let mut trouble = None;
        let json = match self.format {
            Format::Json => match json::parse(answer.body) {
                Ok(value) => Some(value),
                Err(reason) => {
                    trouble = Some(reason);
                    None
                }
            },
            Format::Lines => {
                let read = self.lines.as_ref().map(|lines| lines.read(answer.body));
                read.transpose().unwrap_or_else(|reason| {
                    trouble = Some(reason);
                    None
                })
            }
            Format::Text | Format::None => None,
        };
        let document = Document {
            json: json.as_ref(),
            headers: answer.headers,
        };
        let mut payload = Payload {
            reading: self.fields(document, answer),
            trouble,
            ..Payload::default()
        };
        payload.word = match self.format {
            Format::Text if self.status.is_empty() => {
                let text = body_text(answer.body);
                if text.is_empty() {
                    payload.trouble = Some("the body is empty".to_owned());
                    None
                } else {
                    Some(Self::understood(self.words.as_ref(), &text, "the body"))
                }
            }
            // Of a body that does not decode, the places in it are not missing one by one.
            _ if payload.trouble.is_some() => self.word(document).filter(|word| word.raw.is_some()),
            _ => self.word(document),
        };
        if let Some(pulse) = &self.heartbeat
            && payload.trouble.is_none()
            && payload.reading.heartbeat.is_none()
        {
            payload.trouble = Some(format!("there is no heartbeat at {}", pulse.place()));
        }
        payload.rule = self
            .rules
            .iter()
            .find(|rule| rule.when.holds(document))
            .map(|rule| (rule.state, rule.note.clone()));
        self.table(document, answer, &mut payload);
        let note = payload.rule.as_ref().and_then(|(_, note)| note.clone());
        payload.reading.message = joined([payload.reading.message.take(), note]);
        payload
    }

    /// What stands at the places of single fields.
    fn fields(&self, document: Document<'_>, answer: &Answer<'_>) -> Reading {
        let uptime = self.uptime.duration(document);
        let reported = self.started.time(document).map(|point| Start {
            at: point.at,
            tolerance: point.resolution,
            derived: false,
        });
        let derived = uptime.and_then(|uptime| {
            let at = answer.at.wall.checked_sub(uptime).ok()?;
            // An uptime from before there were computers is a wrong unit.
            (at > jiff::Timestamp::UNIX_EPOCH).then_some(Start {
                at,
                // The uptime was true some time between question and answer, and is often in whole seconds.
                tolerance: std::time::Duration::from_secs(2).saturating_add(answer.latency),
                derived: true,
            })
        });
        Reading {
            draining: self.is_draining(document),
            version: self.version.text(document, LONGEST_NAME),
            service: self.service.text(document, LONGEST_NAME),
            instance: self.instance.text(document, LONGEST_NAME),
            started: reported.or(derived),
            uptime,
            message: self.message.text(document, LONGEST_MESSAGE),
            resources: self.resources.read(document),
            heartbeat: self
                .heartbeat
                .as_ref()
                .and_then(|pulse| pulse.read(document)),
            ..Reading::default()
        }
    }

    /// Whether the first place that holds something says so.
    fn is_draining(&self, document: Document<'_>) -> bool {
        let found = self.draining.iter().find_map(|(place, words)| {
            let value = place.source.look(document)?;
            holds(&value).then_some((words, value))
        });
        found.is_some_and(|(words, value)| match words {
            Some(words) => words.lookup(&raw(&value)) == Some(State::Draining),
            None => truthy(&value) || meaning(None, &raw(&value)) == Some(State::Draining),
        })
    }

    /// The status word; `None` only where the profile has no place for one.
    fn word(&self, document: Document<'_>) -> Option<Word> {
        let (first, _) = self.status.first()?;
        for (place, words) in &self.status {
            if let Some(value) = place.source.look(document)
                && holds(&value)
            {
                let words = words.as_ref().or(self.words.as_ref());
                return Some(Self::understood(
                    words,
                    &raw(&value),
                    &place.source.to_string(),
                ));
            }
        }
        Some(Word {
            state: State::Unknown,
            raw: None,
            unclear: Some(format!("there is no status at {}", first.source)),
        })
    }

    fn understood(words: Option<&super::words::Words<State>>, text: &str, place: &str) -> Word {
        let shown = clean(text, LONGEST_WORD);
        match meaning(words, text) {
            Some(state) => Word {
                state,
                raw: Some(shown),
                unclear: None,
            },
            None => Word {
                state: State::Unknown,
                unclear: Some(format!("the word `{shown}` at {place} is not known")),
                raw: Some(shown),
            },
        }
    }

    fn table(&self, document: Document<'_>, answer: &Answer<'_>, payload: &mut Payload) {
        let Some(table) = &self.dependencies else {
            return;
        };
        if payload.trouble.is_some() {
            return;
        }
        let Some(found) = table.read(document, answer.at) else {
            if self.overall == Overall::Worst {
                // What alone was to decide is not there.
                payload.trouble = Some(format!("there are no dependencies at {}", table.place()));
            }
            return;
        };
        payload.dependencies = found.state();
        payload.required_error = found.required_error();
        payload.reading.message = joined([payload.reading.message.take(), found.note()]);
        payload.reading.lists_failures_only = table.failures_only;
        payload.reading.dependencies = Some(found.list);
    }
}

/// The text of a body as one word or line.
fn body_text(body: &[u8]) -> String {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let body = body.get(..MOST_TEXT).unwrap_or(body);
    String::from_utf8_lossy(body).trim().to_owned()
}

/// Sentences one after another.
fn joined(parts: [Option<String>; 2]) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
