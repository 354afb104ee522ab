//! The error of a probe: a kind and a sentence, and the errors of several addresses as one.

use std::fmt::Display;
use std::io;

use crate::health::{Failure, FailureKind, Moment, Outcome};
use crate::text;

/// The longest message, in characters.
const LONGEST: usize = 500;

/// The reason why a probe has no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProbeError {
    pub(super) kind: FailureKind,
    pub(super) message: String,
    /// True when nothing listens at the address.
    pub(super) refused: bool,
    /// True when this machine cannot have such an address at all, so that nothing can listen there either.
    pub(super) absent: bool,
}

impl ProbeError {
    pub(super) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            refused: false,
            absent: false,
        }
    }

    /// Makes an error for a fault on our own side.
    pub(super) fn local(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Local, message)
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self {
            refused: true,
            ..Self::new(FailureKind::Connect, message)
        }
    }

    pub(super) fn absent(message: impl Into<String>) -> Self {
        Self {
            absent: true,
            ..Self::new(FailureKind::Connect, message)
        }
    }

    /// Returns the failure with a message that is safe for any terminal.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.kind, text::clean(&self.message, LONGEST))
    }

    /// Returns the outcome of a probe with this error, with only the result and the failure known.
    pub(super) fn outcome(&self, now: Moment) -> Outcome {
        let failure = self.failure();
        Outcome {
            refused: self.refused,
            ..Outcome::failed(failure.kind, failure.message, now)
        }
    }

    /// Combines the errors of all addresses of a name, the one that says most first.
    pub(super) fn of_all(tried: &[(impl Display, Self)]) -> Self {
        let mut shown: Vec<_> = tried.iter().filter(|(_, error)| !error.absent).collect();
        let refused = !shown.is_empty() && shown.iter().all(|(_, error)| error.refused);
        if shown.is_empty() {
            shown.extend(tried);
        }
        shown.sort_by_key(|(_, error)| rank(error.kind));
        let Some((_, first)) = shown.first() else {
            return Self::new(FailureKind::Dns, "the name has no address");
        };
        let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
        for (peer, error) in &shown {
            let peer = peer.to_string();
            match groups.iter_mut().find(|(known, _)| *known == error.message) {
                Some((_, peers)) => peers.push(peer),
                None => groups.push((&error.message, vec![peer])),
            }
        }
        let groups = groups.iter();
        let messages = groups.map(|(message, peers)| format!("{message} ({})", peers.join(", ")));
        Self {
            refused,
            ..Self::new(first.kind, messages.collect::<Vec<_>>().join("; "))
        }
    }
}

/// Orders kinds by how much a failure at one address says about the service, most first. A fault of our own leaves open
/// how the service is, whatever the other addresses say.
const fn rank(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Local => 0,
        FailureKind::Tls => 1,
        FailureKind::Protocol => 2,
        FailureKind::Timeout => 4,
        _ => 3,
    }
}

/// Returns the message of the system without its error number.
pub(super) fn system_message(error: &io::Error) -> String {
    let message = error.to_string();
    match message.rfind(" (os error ") {
        Some(at) => message.get(..at).unwrap_or(&message).to_owned(),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureKind::{Connect, Local, Timeout, Tls};

    #[test]
    fn several_addresses_as_one() {
        let refused = || ProbeError::refused("connection refused");
        let absent = || ProbeError::absent("no IPv6 here");
        let late = || ProbeError::new(Timeout, "no reply yet");
        let local = || ProbeError::local("no file descriptor left");
        let tls = || ProbeError::new(Tls, "certificate expired");
        let check = |causes: &[ProbeError], kind: FailureKind, words: &str, is_refused: bool| {
            let tried: Vec<_> = causes
                .iter()
                .zip(["127.0.0.1:80", "[::1]:80", "10.0.0.1:80"])
                .map(|(error, at)| (at, error.clone()))
                .collect();
            let error = ProbeError::of_all(&tried);
            assert_eq!(
                (error.kind, error.message.as_str(), error.refused),
                (kind, words, is_refused)
            );
        };
        check(&[], FailureKind::Dns, "the name has no address", false);
        check(
            &[refused()],
            Connect,
            "connection refused (127.0.0.1:80)",
            true,
        );
        check(
            &[refused(), refused()],
            Connect,
            "connection refused (127.0.0.1:80, [::1]:80)",
            true,
        );
        check(
            &[refused(), absent()],
            Connect,
            "connection refused (127.0.0.1:80)",
            true,
        );
        check(
            &[absent(), absent()],
            Connect,
            "no IPv6 here (127.0.0.1:80, [::1]:80)",
            false,
        );
        check(
            &[refused(), late()],
            Connect,
            "connection refused (127.0.0.1:80); no reply yet ([::1]:80)",
            false,
        );
        check(
            &[late(), late()],
            Timeout,
            "no reply yet (127.0.0.1:80, [::1]:80)",
            false,
        );
        check(
            &[local(), local()],
            Local,
            "no file descriptor left (127.0.0.1:80, [::1]:80)",
            false,
        );
        check(
            &[refused(), local(), refused()],
            Local,
            "no file descriptor left ([::1]:80); connection refused (127.0.0.1:80, 10.0.0.1:80)",
            false,
        );
        check(
            &[tls(), refused(), absent()],
            Tls,
            "certificate expired (127.0.0.1:80); connection refused ([::1]:80)",
            false,
        );
    }
}
