//! Expectations put together, and those that can never be met.

use crate::profile::{Decode, Expect, StatusRange};
use crate::yaml::{Place, Problem, Problems};

use super::layers::{self, Layer};

/// The expectations of all layers, by key.
pub(super) fn expect(layers: &[Layer<'_>]) -> Expect {
    let mut expect = Expect::default();
    if let Some((status, _)) = layers::option(layers, |options| options.expect.status.as_ref()) {
        expect.status.clone_from(&status.value);
    }
    if let Some((body, _)) = layers::option(layers, |options| options.expect.body.as_ref()) {
        expect.body_contains.clone_from(&body.value);
    }
    for options in layers.iter().filter_map(|layer| layer.options) {
        for (pointer, value) in &options.expect.json {
            set(&mut expect.json, &pointer.value, value.clone());
        }
        for (name, value) in &options.expect.headers {
            set(&mut expect.headers, &name.value, value.clone());
        }
    }
    expect
}

fn set<T>(list: &mut Vec<(String, T)>, key: &str, value: T) {
    match list.iter_mut().find(|(known, _)| known == key) {
        Some((_, known)) => *known = value,
        None => list.push((key.to_owned(), value)),
    }
}

/// Tells expectations that no answer can meet.
pub(super) fn check(
    expect: &Expect,
    decode: Option<&Decode>,
    max_body: u64,
    layers: &[Layer<'_>],
    problems: &mut Problems,
) {
    let method = layers::http(layers, |http| http.method.as_ref()).map(|(method, _)| method);
    let head = method.filter(|method| method.value == "HEAD");
    let body = layers::option(layers, |options| options.expect.body.as_ref());
    let body = body.map(|(body, _)| &body.place);
    let json = layers
        .iter()
        .rev()
        .filter_map(|layer| layer.options)
        .find_map(|options| options.expect.json.first())
        .map(|(pointer, _)| &pointer.place);
    let Some(place) = body.or(json) else {
        if let (Some(method), Some(decode)) = (head, decode)
            && decode.needs_body()
        {
            problems.push(
                Problem::at(&method.place, "an answer to HEAD has no body to decode")
                    .label("no body comes back")
                    .hint("ask with `GET`, or give the probe `decode: {format: none}`"),
            );
        }
        return;
    };
    if head.is_some() {
        problems.push(never(place, "an answer to HEAD has no body").hint("ask with `GET`"));
    } else if !expect.status.is_empty() && expect.status.iter().all(|range| bodiless(*range)) {
        problems.push(
            never(place, "none of the accepted status codes comes with a body")
                .hint("accept another status code, or expect nothing of the body"),
        );
    }
    for text in &expect.body_contains {
        if text.len() as u64 > max_body
            && let Some(place) = body
        {
            problems.push(
                never(place, "the expected text is longer than `max_body`")
                    .hint("raise `max_body`"),
            );
        }
    }
}

fn never(place: &Place, message: &str) -> Problem {
    Problem::at(place, message).label("can never be met")
}

/// Codes whose answers have no body: 1xx, 204, 304.
fn bodiless(range: StatusRange) -> bool {
    range.last < 200 || (range.first == range.last && matches!(range.first, 204 | 304))
}
