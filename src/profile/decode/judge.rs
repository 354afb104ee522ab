//! Weighs code, payload and expectations against each other.
//!
//! Draining and starting explain the code; otherwise the worst of all that counts is the state. A code that is not
//! accepted, or an expectation that is not met, adds `unready` to what the payload says: the service responded and
//! wants, or should get, no traffic. What that means for liveness is decided by the state machine.

use super::code::{CodeTable, CodeVerdict, with_reason};
use super::expectation;
use super::reading::{DecodedStatus, Payload};
use super::spec::{Decode, Overall};
use super::{HttpResponse, Judgement};
use crate::health::{Failure, FailureKind, ProbeResult, Reading, State, StatusWord};
use crate::profile::Expect;

/// Judges a response by its code, the expectations and the payload.
pub fn judge(decode: Option<&Decode>, expect: &Expect, response: &HttpResponse<'_>) -> Judgement {
    let none = CodeTable::default();
    let codes = decode.map_or(&none, |decode| &decode.codes);
    let mut headers = response.headers.iter();
    let location = headers.find(|(name, _)| name == "location");
    let location = location.map(|(_, value)| value.as_str());
    let code = codes.judge(response.code, expect, location);
    let payload = decode.map_or_else(Payload::default, |decode| decode.read(response));
    let overall = decode.map_or(Overall::All, |decode| decode.overall);
    let evidence = ResponseEvidence {
        failure: code_failure(&code, overall, &payload)
            .or_else(|| expectation::unmet(expect, response)),
        explained: explained(&code, &payload),
        code,
        overall,
        payload,
        status_code: response.code,
    };
    evidence.judge()
}

/// Returns the failure of a code that is not accepted, unless something in the payload stands in for it.
fn code_failure(code: &CodeVerdict, overall: Overall, payload: &Payload<'_>) -> Option<Failure> {
    let status = payload.status.as_ref();
    let has_status = status.is_some_and(|status| status.unclear.is_none());
    let has_dependencies = payload.dependency_state.is_some();
    let (failure, stands_in) = match code {
        CodeVerdict::Accepted | CodeVerdict::State(_) | CodeVerdict::Body(None) => return None,
        CodeVerdict::Unrelated(failure) => (failure, false),
        CodeVerdict::Body(Some(failure)) => {
            let has_rule = payload.rule.is_some_and(|rule| rule.state.is_some());
            (failure, has_status || has_rule || has_dependencies)
        }
        CodeVerdict::Rejected(failure) => match overall {
            Overall::All | Overall::Codes => (failure, false),
            Overall::Status => (failure, has_status),
            Overall::Worst => (failure, has_dependencies),
        },
    };
    (!stands_in).then(|| failure.clone())
}

/// Returns draining or starting, when the status, a header, a flag, a rule or the code says so.
fn explained(code: &CodeVerdict, payload: &Payload<'_>) -> Option<State> {
    let status = payload.status.as_ref().map(|status| status.state);
    let rule = payload.rule.and_then(|rule| rule.state);
    let code = match code {
        CodeVerdict::State(state) => Some(*state),
        _ => None,
    };
    let says = |state| [status, rule, code].contains(&Some(state));
    if payload.reading.draining || says(State::Draining) {
        Some(State::Draining)
    } else {
        says(State::Starting).then_some(State::Starting)
    }
}

/// All from which the judgement follows.
struct ResponseEvidence<'d> {
    code: CodeVerdict,
    overall: Overall,
    payload: Payload<'d>,
    failure: Option<Failure>,
    explained: Option<State>,
    status_code: u16,
}

impl ResponseEvidence<'_> {
    fn judge(self) -> Judgement {
        // The body of an unrelated response is about the request, not about the service.
        let dropped = self.is_unrelated() && self.explained.is_none();
        let contributions = self.contributions();
        let state = match self.explained {
            Some(state) => Some(state),
            None if dropped => None,
            // A failure alone is reported by the result; what it means for the state depends on the probe.
            None if self.failure.is_some() && contributions.len() == 1 => None,
            None => {
                let states = contributions.iter().map(|(state, _)| *state);
                states.max_by_key(|state| badness(*state))
            }
        };
        let (result, failure) = self.result(state, &contributions);
        let status = self.status_word(state);
        let mut reading = self.payload.reading;
        reading.draining = state == Some(State::Draining);
        reading.status = status;
        reading.ignores_dependencies = reading.dependencies.is_some()
            && matches!(self.overall, Overall::Status | Overall::Codes);
        let empty = dropped || reading == Reading::default();
        Judgement {
            result,
            failure,
            reading: (!empty).then_some(reading),
        }
    }

    fn is_unrelated(&self) -> bool {
        matches!(self.code, CodeVerdict::Unrelated(_))
    }

    /// Returns the states for which something speaks, the strongest reason for each first.
    fn contributions(&self) -> Vec<(State, Option<Failure>)> {
        let payload = &self.payload;
        let failure = |why: String| Some(Failure::new(FailureKind::Status, why));
        let undecoded = |why: &String| Some(Failure::new(FailureKind::Decode, why.clone()));
        let mut all = Vec::new();
        if self.failure.is_some() {
            all.push((State::Unready, None));
        }
        let rule = payload.rule.map(|rule| (rule.state, &rule.note));
        if let Some((Some(state), note)) = rule {
            let why = || format!("a rule of the profile says {state}");
            all.push((state, failure(note.clone().unwrap_or_else(why))));
        }
        let own_word = |status: &DecodedStatus| status.unclear.is_none();
        if self.overall != Overall::Codes
            && let Some(status) = &payload.status
            // The body of an error need not have the shape of a report.
            && (self.failure.is_none() || status.raw.is_some())
        {
            let why = match &status.unclear {
                Some(unclear) => undecoded(unclear),
                None => failure(self.reports()),
            };
            all.push((status.state, why));
        }
        if matches!(self.overall, Overall::All | Overall::Worst)
            && let Some(state) = payload.dependency_state
            // The service's own word stands where nothing is known of its dependencies, unless that word passes over them.
            && (state != State::Unknown
                || self.overall == Overall::Worst
                || !payload.status.as_ref().is_some_and(own_word))
        {
            let why = payload.required_error.clone();
            let why = why.unwrap_or_else(|| "the state of no dependency is known".to_owned());
            all.push((state, failure(why)));
        }
        if let CodeVerdict::State(state) = self.code {
            let answered = with_reason(self.status_code);
            let mut why = format!("answered {answered}, which means {state}");
            if payload.raw_status().is_some() {
                why = format!("{why}; {}", self.reports());
            }
            all.push((state, failure(why)));
        }
        if let Some(error) = &payload.decode_error
            && self.failure.is_none()
            && self.overall != Overall::Codes
        {
            all.push((State::Unknown, undecoded(error)));
        }
        if self.overall == Overall::Codes && all.is_empty() {
            all.push((State::Healthy, None));
        }
        all
    }

    /// Returns a sentence with the status word of the service and its message.
    fn reports(&self) -> String {
        let mut text = match self.payload.raw_status() {
            Some(word) => format!("reports `{word}`"),
            None => "reports no status".to_owned(),
        };
        if let Some(message) = &self.payload.reading.message {
            text.push_str(": ");
            text.push_str(message);
        }
        text
    }

    fn status_word(&self, state: Option<State>) -> Option<StatusWord> {
        let raw = self.payload.raw_status().map(str::to_owned);
        let state = match (state, &raw) {
            // A body that does not decode is the probe's result and no word of the service.
            (Some(State::Unknown), None) if self.payload.decode_error.is_some() => return None,
            (Some(state), _) => state,
            // The word does not count, and is kept all the same.
            (None, Some(_)) if self.failure.is_some() => State::Unready,
            (None, Some(_)) => State::Healthy,
            (None, None) => return None,
        };
        Some(StatusWord { state, raw })
    }

    fn result(
        &self,
        state: Option<State>,
        contributions: &[(State, Option<Failure>)],
    ) -> (ProbeResult, Option<Failure>) {
        if let Some(failure) = &self.failure {
            let mut failure = failure.clone();
            if !self.is_unrelated() && self.payload.raw_status().is_some() {
                failure.message = format!("{}; {}", failure.message, self.reports());
            }
            let result = match failure.kind {
                FailureKind::Auth => ProbeResult::Unknown,
                _ => ProbeResult::Fail,
            };
            return (result, Some(failure));
        }
        let why = |state| {
            let mut all = contributions.iter();
            all.find(|(of, _)| *of == state)
                .and_then(|(_, why)| why.clone())
        };
        // Draining or starting explains the bad code, but does not take it back.
        if let CodeVerdict::State(bad @ (State::Unready | State::Unhealthy)) = self.code
            && self.explained.is_some()
        {
            return (ProbeResult::Fail, why(bad));
        }
        match state {
            None | Some(State::Healthy) => (ProbeResult::Pass, None),
            Some(State::Degraded | State::Draining) => (ProbeResult::Warn, None),
            Some(state @ (State::Unready | State::Unhealthy | State::Stopped)) => {
                (ProbeResult::Fail, why(state))
            }
            Some(state @ (State::Unknown | State::Starting)) => (ProbeResult::Unknown, why(state)),
        }
    }
}

/// Orders states: unhealthy is worst, then unready, unknown, degraded, healthy.
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
