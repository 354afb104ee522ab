//! Reads a response: fields, status word, rules and dependencies, not yet weighed against each other.

use super::HttpResponse;
use super::field::{PayloadView, as_text, truthy};
use super::json::{self, body_text};
use super::parser::BodyFormat;
use super::spec::{Decode, Overall, StateRule};
use super::words::LONGEST_WORD;
use super::words::{WordMap, meaning};
use crate::health::{Reading, Start, State};
use crate::text::clean;

/// The longest version, name and instance, in characters.
const LONGEST_NAME: usize = 128;
/// The longest message, in characters.
const LONGEST_MESSAGE: usize = 500;
/// The number of characters of a text body that are read.
const MOST_TEXT: usize = 64 * 1024;

/// A status word of a service.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DecodedStatus {
    pub(super) state: State,
    /// The word as written, if there is one.
    pub(super) raw: Option<String>,
    /// The reason why the word means nothing: it is not known, or not there.
    pub(super) unclear: Option<String>,
}

/// All that a response says about a service.
#[derive(Debug, Default)]
pub(super) struct Payload<'d> {
    /// The fields; the status is left out until everything has been weighed.
    pub(super) reading: Reading,
    /// The status word, if the profile has a path for one.
    pub(super) status: Option<DecodedStatus>,
    /// The first rule that matches.
    pub(super) rule: Option<&'d StateRule>,
    /// The state that follows from the dependencies.
    pub(super) dependency_state: Option<State>,
    /// A sentence about a required dependency in error.
    pub(super) required_error: Option<String>,
    /// The reason why the body does not decode.
    pub(super) decode_error: Option<String>,
}

impl Payload<'_> {
    /// Returns the status word as written.
    pub(super) fn raw_status(&self) -> Option<&str> {
        self.status.as_ref()?.raw.as_deref()
    }
}

impl Decode {
    /// Reads a response, whatever its code.
    pub(super) fn read(&self, response: &HttpResponse<'_>) -> Payload<'_> {
        let json = match self.format {
            BodyFormat::Json => json::parse_all(response.body).map(Some),
            BodyFormat::Lines => {
                let read = self.lines.as_ref().map(|lines| lines.read(response.body));
                read.transpose()
            }
            BodyFormat::Text | BodyFormat::None => Ok(None),
        };
        let view = PayloadView {
            json: json.as_ref().ok().and_then(Option::as_ref),
            headers: response.headers,
        };
        let mut payload = Payload {
            reading: self.fields(view, response),
            decode_error: json.as_ref().err().cloned(),
            ..Payload::default()
        };
        if self.format == BodyFormat::Text && self.status.is_empty() {
            let text: String = body_text(response.body).chars().take(MOST_TEXT).collect();
            match text.trim() {
                "" => payload.decode_error = Some("the body is empty".to_owned()),
                text => payload.status = Some(decoded(self.words.as_ref(), text, "the body")),
            }
        } else {
            payload.status = self.status(view);
            // When the body does not decode, the fields in it are not reported as missing one by one.
            if payload.decode_error.is_some() && payload.raw_status().is_none() {
                payload.status = None;
            }
        }
        if let Some(heartbeat) = &self.heartbeat {
            let missing = || format!("there is no heartbeat at {}", heartbeat.first_path());
            match heartbeat.read(view).and_then(|it| it.ok_or_else(missing)) {
                Ok(read) => payload.reading.heartbeat = Some(read),
                Err(why) => _ = payload.decode_error.get_or_insert(why),
            }
        }
        payload.rule = self.rules.iter().find(|rule| rule.when.holds(view));
        self.read_dependencies(view, response, &mut payload);
        let note = payload.rule.and_then(|rule| rule.note.clone());
        payload.reading.message = joined([payload.reading.message.take(), note]);
        payload
    }

    fn fields(&self, view: PayloadView<'_>, response: &HttpResponse<'_>) -> Reading {
        let uptime = self.uptime.duration(view);
        let reported = self.started.time(view).map(|point| Start {
            at: point.at,
            tolerance: point.resolution,
            derived: false,
        });
        let derived = uptime.and_then(|uptime| {
            let at = response.at.wall.checked_sub(uptime).ok()?;
            // A start before 1970 means that the unit of the uptime is wrong.
            (at > jiff::Timestamp::UNIX_EPOCH).then_some(Start {
                at,
                tolerance: Start::UPTIME_TOLERANCE.saturating_add(response.latency),
                derived: true,
            })
        });
        let draining = self.draining.find(view, None);
        Reading {
            draining: draining.is_some_and(|word| {
                let flag = word.words.is_none() && truthy(&word.value);
                flag || word.meaning().0 == Some(State::Draining)
            }),
            version: self.version.text(view, LONGEST_NAME),
            service: self.service.text(view, LONGEST_NAME),
            instance: self.instance.text(view, LONGEST_NAME),
            started: reported.or(derived),
            uptime,
            message: self.message.text(view, LONGEST_MESSAGE),
            resources: self.resources.read(view),
            ..Reading::default()
        }
    }

    /// Returns the status word, or `None` when the profile has no path for one.
    fn status(&self, view: PayloadView<'_>) -> Option<DecodedStatus> {
        let (first, _) = self.status.0.first()?;
        let found = self.status.find(view, self.words.as_ref());
        Some(match found {
            Some(word) => decoded(word.words, &as_text(&word.value), &word.path.to_string()),
            None => DecodedStatus {
                state: State::Unknown,
                raw: None,
                unclear: Some(format!("there is no status at {}", first.path)),
            },
        })
    }

    fn read_dependencies(
        &self,
        view: PayloadView<'_>,
        response: &HttpResponse<'_>,
        payload: &mut Payload<'_>,
    ) {
        let Some(table) = &self.dependencies else {
            return;
        };
        if payload.decode_error.is_some() {
            return;
        }
        let Some(found) = table.read(view, response.at) else {
            let is_unclear = || payload.raw_status().is_none() && payload.status.is_some();
            if self.overall == Overall::Worst && !is_unclear() {
                let path = table.at.first_path();
                payload.decode_error = Some(format!("there are no dependencies at {path}"));
            }
            return;
        };
        payload.dependency_state = found.state();
        payload.required_error = found.required_error();
        payload.reading.message = joined([payload.reading.message.take(), found.note()]);
        payload.reading.lists_failures_only = table.failures_only;
        payload.reading.dependencies = Some(found.list);
    }
}

fn decoded(words: Option<&WordMap<State>>, text: &str, path: &str) -> DecodedStatus {
    let shown = clean(text, LONGEST_WORD);
    let state = meaning(words, text);
    DecodedStatus {
        state: state.unwrap_or(State::Unknown),
        unclear: match state {
            Some(_) => None,
            None => Some(format!("the word `{shown}` at {path} is not known")),
        },
        raw: Some(shown),
    }
}

fn joined(parts: [Option<String>; 2]) -> Option<String> {
    parts
        .into_iter()
        .flatten()
        .reduce(|a, b| format!("{a}; {b}"))
}
