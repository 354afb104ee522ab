//! Weighs code, payload and expectations against each other.
//!
//! Draining and starting explain the code; otherwise the worst of all that counts is what the answer amounts to. A
//! code that is not accepted, or an expectation that is not met, adds `unready` to what the payload says: the service
//! answered and wants, or deserves, no traffic. What that means for liveness the state machine decides.

use super::code::{self, Code, Codes};
use super::reading::Payload;
use super::{Answer, Decode, Judgement, Overall, expectation};
use crate::health::{Failure, FailureKind, ProbeResult, Reading, State, StatusWord};
use crate::profile::Expect;

/// Judges an answer by its code, the expectations and the payload.
pub fn judge(decode: Option<&Decode>, expect: &Expect, answer: &Answer<'_>) -> Judgement {
    let none = Codes::default();
    let codes = decode.map_or(&none, |decode| &decode.codes);
    let code = code::of(answer.code, codes, expect, location(answer));
    let payload = decode.map_or_else(Payload::default, |decode| decode.read(answer));
    let overall = decode.map_or(Overall::All, |decode| decode.overall);
    let case = Case {
        failing: failing(&code, overall, &payload).or_else(|| expectation::unmet(expect, answer)),
        explained: explained(&code, &payload),
        code,
        overall,
        payload,
        number: answer.code,
    };
    case.judge()
}

fn location<'a>(answer: &Answer<'a>) -> Option<&'a str> {
    let mut headers = answer.headers.iter();
    headers
        .find(|(name, _)| name == "location")
        .map(|(_, value)| value.as_str())
}

/// The failure of a code that is not accepted and that nothing in the payload stands in for.
fn failing(code: &Code, overall: Overall, payload: &Payload) -> Option<Failure> {
    let word = payload
        .word
        .as_ref()
        .is_some_and(|word| word.unclear.is_none());
    let ruled = matches!(payload.rule, Some((Some(_), _)));
    match code {
        Code::Good | Code::Says(_) | Code::AsBody(None) => None,
        Code::Aside(failure) => Some(failure.clone()),
        Code::AsBody(Some(failure)) => {
            let told = word || ruled || payload.dependencies.is_some();
            (!told).then(|| failure.clone())
        }
        Code::Bad(failure) => {
            let told = match overall {
                Overall::All | Overall::Codes => false,
                Overall::Status => word,
                Overall::Worst => payload.dependencies.is_some(),
            };
            (!told).then(|| failure.clone())
        }
    }
}

/// Draining or starting, where word, header, flag, rule or code says so.
fn explained(code: &Code, payload: &Payload) -> Option<State> {
    let word = payload.word.as_ref().map(|word| word.state);
    let rule = payload.rule.as_ref().and_then(|(state, _)| *state);
    let code = match code {
        Code::Says(state) => Some(*state),
        _ => None,
    };
    let says = |state| [word, rule, code].contains(&Some(state));
    if payload.reading.draining || says(State::Draining) {
        Some(State::Draining)
    } else if says(State::Starting) {
        Some(State::Starting)
    } else {
        None
    }
}

/// All that the verdict follows from.
struct Case {
    code: Code,
    overall: Overall,
    payload: Payload,
    failing: Option<Failure>,
    explained: Option<State>,
    number: u16,
}

impl Case {
    fn judge(self) -> Judgement {
        if matches!(self.code, Code::Aside(_)) && self.explained.is_none() {
            // The body of such an answer is about the request, not about the service.
            return self.verdict(None);
        }
        let state = self.explained.or_else(|| self.worst());
        self.verdict(state)
    }

    /// What speaks for a state, the strongest reason for each first.
    fn contributions(&self) -> Vec<(State, Option<Failure>)> {
        let mut all = Vec::new();
        if self.failing.is_some() {
            all.push((State::Unready, None));
        }
        if let Some((Some(state), note)) = &self.payload.rule {
            let why = note
                .clone()
                .unwrap_or_else(|| format!("a rule of the profile says {state}"));
            all.push((*state, Some(Failure::new(FailureKind::Status, why))));
        }
        if matches!(self.overall, Overall::All | Overall::Status)
            && let Some(word) = &self.payload.word
        {
            let why = match &word.unclear {
                Some(unclear) => Failure::new(FailureKind::Decode, unclear.clone()),
                None => Failure::new(FailureKind::Status, self.reports()),
            };
            // The body of an error need not have the shape of a report.
            if self.failing.is_none() || word.raw.is_some() {
                all.push((word.state, Some(why)));
            }
        }
        if matches!(self.overall, Overall::All | Overall::Worst)
            && let Some(state) = self.payload.dependencies
        {
            let why = self.payload.required_error.clone();
            let why = why.unwrap_or_else(|| "the state of no dependency is known".to_owned());
            all.push((state, Some(Failure::new(FailureKind::Status, why))));
        }
        if let Code::Says(state) = self.code {
            let mut why = format!("answered {}, which means {state}", code::named(self.number));
            if self
                .payload
                .word
                .as_ref()
                .is_some_and(|word| word.raw.is_some())
            {
                why = format!("{why}; {}", self.reports());
            }
            all.push((state, Some(Failure::new(FailureKind::Status, why))));
        }
        if let Some(trouble) = &self.payload.trouble
            && self.failing.is_none()
            && self.overall != Overall::Codes
        {
            let why = Failure::new(FailureKind::Decode, trouble.clone());
            all.push((State::Unknown, Some(why)));
        }
        if self.overall == Overall::Codes && all.is_empty() {
            all.push((State::Healthy, None));
        }
        all
    }

    /// The worst of what speaks for a state.
    fn worst(&self) -> Option<State> {
        let all = self.contributions();
        // A failure alone is told by the result; what it means for the state depends on the probe.
        if self.failing.is_some() && all.len() == 1 {
            return None;
        }
        all.into_iter()
            .map(|(state, _)| state)
            .max_by_key(|state| badness(*state))
    }

    /// How the service calls its own state, with its sentence about it.
    fn reports(&self) -> String {
        let word = self
            .payload
            .word
            .as_ref()
            .and_then(|word| word.raw.as_deref());
        let mut text = match word {
            Some(word) => format!("reports `{word}`"),
            None => "reports no status".to_owned(),
        };
        if let Some(message) = &self.payload.reading.message {
            text.push_str(": ");
            text.push_str(message);
        }
        text
    }

    fn verdict(self, state: Option<State>) -> Judgement {
        let (result, failure) = self.result(state);
        let failed = self.failing.is_some();
        let dropped = matches!(self.code, Code::Aside(_)) && self.explained.is_none();
        let raw = self.payload.word.and_then(|word| word.raw);
        let mut reading = self.payload.reading;
        reading.draining = state == Some(State::Draining);
        reading.status = match (state, raw) {
            // Trouble alone is the probe's result and no word of the service.
            (Some(State::Unknown), None) if self.payload.trouble.is_some() => None,
            (Some(state), raw) => Some(StatusWord { state, raw }),
            // The word does not count, and is kept all the same.
            (None, Some(raw)) => Some(StatusWord {
                state: if failed {
                    State::Unready
                } else {
                    State::Healthy
                },
                raw: Some(raw),
            }),
            (None, None) => None,
        };
        reading.ignores_dependencies = reading.dependencies.is_some()
            && matches!(self.overall, Overall::Status | Overall::Codes);
        let empty = dropped || reading == Reading::default();
        Judgement {
            result,
            failure,
            reading: (!empty).then_some(reading),
        }
    }

    fn result(&self, state: Option<State>) -> (ProbeResult, Option<Failure>) {
        if let Some(failure) = &self.failing {
            let mut failure = failure.clone();
            let word = self
                .payload
                .word
                .as_ref()
                .and_then(|word| word.raw.as_ref());
            if !matches!(self.code, Code::Aside(_)) && word.is_some() {
                failure.message = format!("{}; {}", failure.message, self.reports());
            }
            let result = match failure.kind {
                FailureKind::Auth => ProbeResult::Unknown,
                _ => ProbeResult::Fail,
            };
            return (result, Some(failure));
        }
        let why = |state: Option<State>| {
            let all = self.contributions();
            let of_state = all.into_iter().find(|(of, _)| Some(*of) == state);
            of_state.and_then(|(_, why)| why)
        };
        // Why it answered a bad code is explained; that it did stays true.
        if let Code::Says(bad @ (State::Unready | State::Unhealthy)) = self.code
            && self.explained.is_some()
        {
            return (ProbeResult::Fail, why(Some(bad)));
        }
        match state {
            None | Some(State::Healthy) => (ProbeResult::Pass, None),
            Some(State::Degraded | State::Draining) => (ProbeResult::Warn, None),
            Some(State::Unready | State::Unhealthy | State::Stopped) => {
                (ProbeResult::Fail, why(state))
            }
            Some(State::Unknown | State::Starting) => (ProbeResult::Unknown, why(state)),
        }
    }
}

/// The order in which states are worse: unhealthy, unready, unknown, degraded, healthy.
const fn badness(state: State) -> u8 {
    match state {
        State::Healthy => 0,
        State::Degraded => 1,
        State::Unknown => 2,
        State::Unready => 3,
        State::Unhealthy => 4,
        // These explain the others and are never weighed.
        State::Starting | State::Draining | State::Stopped => 5,
    }
}
