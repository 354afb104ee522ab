//! What a status code means, before anything is read of the body.

use crate::health::{Failure, FailureKind, State};
use crate::profile::{Expect, StatusRange};
use crate::text::clean;

/// `codes:` of a profile, a code before the ranges that hold it too.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Codes(pub(super) Vec<(StatusRange, CodeMeaning)>);

/// What a profile says of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeMeaning {
    /// The body's word decides.
    Body,
    /// This state.
    State(State),
}

/// What a code amounts to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Code {
    /// An accepted one: it says nothing against the service.
    Good,
    /// The profile gives it a state, and nothing of the inventory speaks against that.
    Says(State),
    /// The body decides; where it does not, the failure stands.
    AsBody(Option<Failure>),
    /// Not accepted, but the body may still tell how the service is.
    Bad(Failure),
    /// Not accepted, and what comes with it is about the request (a route, a redirect, credentials), not about
    /// the service.
    Aside(Failure),
}

impl Codes {
    /// What the profile says of this code: the narrowest entry that holds it.
    pub(super) fn meaning(&self, code: u16) -> Option<CodeMeaning> {
        self.0
            .iter()
            .filter(|(range, _)| range.contains(code))
            .min_by_key(|(range, _)| range.last - range.first)
            .map(|(_, meaning)| *meaning)
    }
}

/// What a code amounts to under the profile's `codes:` and the inventory's `expect.status`.
pub(super) fn of(code: u16, codes: &Codes, expect: &Expect, location: Option<&str>) -> Code {
    let meaning = codes.meaning(code);
    if !expect.status.is_empty() && !expect.accepts(code) {
        // Whoever writes an inventory knows better than a convention.
        return refused(code, expect, location, meaning.is_some());
    }
    match meaning {
        Some(CodeMeaning::State(State::Unready | State::Unhealthy | State::Unknown))
            if !expect.status.is_empty() =>
        {
            Code::Good
        }
        Some(CodeMeaning::State(state)) => Code::Says(state),
        Some(CodeMeaning::Body) => {
            Code::AsBody((!expect.accepts(code)).then(|| failure(code, expect, location)))
        }
        None if expect.accepts(code) => Code::Good,
        None => refused(code, expect, location, false),
    }
}

fn refused(code: u16, expect: &Expect, location: Option<&str>, described: bool) -> Code {
    let failure = failure(code, expect, location);
    match code {
        // A profile that describes the code says that the body is the service's own.
        _ if described => Code::Bad(failure),
        300..=399 | 401 | 403 | 404 | 405 => Code::Aside(failure),
        _ => Code::Bad(failure),
    }
}

/// The failure that an unaccepted code is, in words.
pub(super) fn failure(code: u16, expect: &Expect, location: Option<&str>) -> Failure {
    let named = named(code);
    match code {
        300..=399 => {
            let target = location.map_or_else(
                || "without saying where to".to_owned(),
                |target| format!("to {}", clean(&masked(target), 200)),
            );
            Failure::new(
                FailureKind::Redirect,
                format!("answered {named}: a redirect {target}"),
            )
        }
        401 => Failure::new(
            FailureKind::Auth,
            format!("answered {named}: credentials are missing or wrong"),
        ),
        403 => Failure::new(
            FailureKind::Auth,
            format!("answered {named}: these credentials may not see it"),
        ),
        404 => Failure::new(
            FailureKind::Status,
            format!("answered {named}: there is no such route"),
        ),
        405 => Failure::new(
            FailureKind::Status,
            format!("answered {named}: the route takes another method"),
        ),
        _ => Failure::new(
            FailureKind::Status,
            format!("answered {named}, expected {}", accepted(expect)),
        ),
    }
}

/// The target of a redirect without a password in it.
fn masked(target: &str) -> String {
    let Ok(mut url) = url::Url::parse(target) else {
        return target.to_owned();
    };
    // A URL without a password stays as it was written.
    if url.password().is_none() || url.set_password(Some("***")).is_err() {
        return target.to_owned();
    }
    url.into()
}

/// The accepted codes, for people.
fn accepted(expect: &Expect) -> String {
    if expect.status.is_empty() {
        return "200-299".to_owned();
    }
    let ranges = expect.status.iter().map(|range| {
        if range.first == range.last {
            range.first.to_string()
        } else {
            format!("{}-{}", range.first, range.last)
        }
    });
    ranges.collect::<Vec<_>>().join(", ")
}

/// The code with its standard name.
pub(super) fn named(code: u16) -> String {
    let name = match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        410 => "Gone",
        412 => "Precondition Failed",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => return code.to_string(),
    };
    format!("{code} {name}")
}

#[cfg(test)]
mod tests {
    use super::{Code, CodeMeaning, Codes, failure, of};
    use crate::health::{FailureKind, State};
    use crate::profile::{Expect, StatusRange};

    fn range(first: u16, last: u16) -> StatusRange {
        StatusRange { first, last }
    }

    fn expecting(ranges: &[StatusRange]) -> Expect {
        Expect {
            status: ranges.to_vec(),
            ..Expect::default()
        }
    }

    #[test]
    fn without_a_profile() {
        let check = |code: u16, expect: &Expect, kind: Option<FailureKind>| {
            let found = match of(code, &Codes::default(), expect, None) {
                Code::Good => None,
                Code::Bad(failure) | Code::Aside(failure) => Some(failure.kind),
                other => panic!("{code}: {other:?}"),
            };
            assert_eq!(found, kind, "{code}");
        };
        let default = Expect::default();
        for (code, kind) in [
            (200, None),
            (204, None),
            (299, None),
            (199, Some(FailureKind::Status)),
            (302, Some(FailureKind::Redirect)),
            (304, Some(FailureKind::Redirect)),
            (401, Some(FailureKind::Auth)),
            (403, Some(FailureKind::Auth)),
            (404, Some(FailureKind::Status)),
            (405, Some(FailureKind::Status)),
            (429, Some(FailureKind::Status)),
            (503, Some(FailureKind::Status)),
            (999, Some(FailureKind::Status)),
        ] {
            check(code, &default, kind);
        }
        let wide = expecting(&[range(200, 399), range(404, 404)]);
        for (code, kind) in [(302, None), (404, None), (405, Some(FailureKind::Status))] {
            check(code, &wide, kind);
        }
    }

    #[test]
    fn what_a_profile_says() {
        let codes = Codes(vec![
            (range(400, 599), CodeMeaning::State(State::Healthy)),
            (range(429, 429), CodeMeaning::State(State::Degraded)),
            (range(503, 503), CodeMeaning::Body),
        ]);
        let default = Expect::default();
        assert_eq!(of(404, &codes, &default, None), Code::Says(State::Healthy));
        assert_eq!(of(429, &codes, &default, None), Code::Says(State::Degraded));
        assert!(matches!(
            of(503, &codes, &default, None),
            Code::AsBody(Some(_))
        ));
        assert_eq!(of(200, &codes, &default, None), Code::Good);
        // The inventory's own expectation stands above the profile.
        let strict = expecting(&[range(200, 200)]);
        assert!(matches!(of(429, &codes, &strict, None), Code::Bad(_)));
        assert_eq!(
            of(503, &codes, &expecting(&[range(503, 503)]), None),
            Code::AsBody(None)
        );
    }

    #[test]
    fn messages_say_what_came_and_what_was_expected() {
        let expect = expecting(&[range(200, 200), range(210, 219)]);
        for (code, location, expected) in [
            (
                503,
                None,
                "answered 503 Service Unavailable, expected 200, 210-219",
            ),
            (418, None, "answered 418, expected 200, 210-219"),
            (
                302,
                Some("http://x/\u{1b}[31m"),
                "answered 302 Found: a redirect to http://x/\\u{1b}[31m",
            ),
            (
                302,
                None,
                "answered 302 Found: a redirect without saying where to",
            ),
            (
                401,
                None,
                "answered 401 Unauthorized: credentials are missing or wrong",
            ),
            (404, None, "answered 404 Not Found: there is no such route"),
        ] {
            assert_eq!(failure(code, &expect, location).message, expected);
        }
    }
}
