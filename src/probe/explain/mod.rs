//! What went wrong, in words: from the chains of errors of the libraries to a kind and a sentence.

mod encryption;
mod several;
mod system;

use std::error::Error;
use std::io;

use crate::health::{Failure, FailureKind};
use crate::text;

use super::connector::{GaveUp, Lost};
use super::trail::{Peer, Phase};

pub(super) use several::all;
pub(super) use system::{lookup, words};

/// A message is no longer than this.
const LONGEST: usize = 500;

/// Why something did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    /// The class.
    pub(super) kind: FailureKind,
    /// What happened.
    pub(super) words: String,
    /// Nothing listens there.
    pub(super) refused: bool,
    /// This machine cannot have such an address at all, so nothing can listen there either.
    pub(super) absent: bool,
}

impl Cause {
    /// A cause of this kind.
    pub(super) fn new(kind: FailureKind, words: impl Into<String>) -> Self {
        Self {
            kind,
            words: words.into(),
            refused: false,
            absent: false,
        }
    }

    /// A fault on our own side.
    pub(super) fn local(words: impl Into<String>) -> Self {
        Self::new(FailureKind::Local, words)
    }

    pub(super) fn refused(words: impl Into<String>) -> Self {
        Self {
            refused: true,
            ..Self::new(FailureKind::Connect, words)
        }
    }

    fn absent(words: impl Into<String>) -> Self {
        Self {
            absent: true,
            ..Self::new(FailureKind::Connect, words)
        }
    }

    /// The failure for a face, safe for any terminal.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.kind, text::clean(&self.words, LONGEST))
    }
}

/// An error of a request, at the phase that the trail tells.
pub(super) fn request(error: &(dyn Error + 'static), phase: Phase, peer: Option<&Peer>) -> Cause {
    let found = Found::in_chain(error);
    if found.lost || found.gave_up {
        return Cause::new(FailureKind::Timeout, "no reply yet");
    }
    if let Some(error) = found.tls {
        return encryption::explain(error);
    }
    if let Some(error) = found.io {
        if let Some(cause) = system::exhausted(error) {
            return cause;
        }
        return match phase {
            Phase::Prepare | Phase::Lookup | Phase::Connect => system::connect(error, peer),
            Phase::Handshake => system::broken(FailureKind::Tls, error, "during the TLS handshake"),
            Phase::Head => system::broken(FailureKind::Protocol, error, "before an answer"),
            Phase::Body
                if error.kind() == io::ErrorKind::InvalidInput
                    || error.kind() == io::ErrorKind::InvalidData =>
            {
                Cause::new(
                    FailureKind::Protocol,
                    format!("the body is not HTTP ({error})"),
                )
            }
            Phase::Body => {
                system::broken(FailureKind::Protocol, error, "in the middle of the body")
            }
        };
    }
    if let Some(error) = found.http {
        return http(error, phase);
    }
    let words = found.innermost;
    match phase {
        Phase::Prepare => Cause::local(words),
        Phase::Lookup | Phase::Connect => Cause::new(FailureKind::Connect, words),
        Phase::Handshake => Cause::new(FailureKind::Tls, words),
        Phase::Head | Phase::Body => Cause::new(FailureKind::Protocol, words),
    }
}

fn http(error: &hyper::Error, phase: Phase) -> Cause {
    let words = if error.is_parse_too_large() {
        "the response head is larger than allowed".to_owned()
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        match phase {
            Phase::Body => "connection closed in the middle of the body".to_owned(),
            _ => "connection closed before an answer".to_owned(),
        }
    } else if error.is_parse_version_h2() {
        "the reply is HTTP/2, not HTTP/1.1".to_owned()
    } else if error.is_parse() {
        let what = error.to_string();
        format!(
            "the reply is not HTTP ({})",
            what.trim_end_matches(" parsed")
        )
    } else if error.to_string().contains("unexpected message") {
        "the server speaks before it is asked: not HTTP".to_owned()
    } else {
        error.to_string()
    };
    Cause::new(FailureKind::Protocol, words)
}

/// What a chain of errors holds, the deepest of each.
#[derive(Default)]
struct Found<'a> {
    tls: Option<&'a rustls::Error>,
    io: Option<&'a io::Error>,
    http: Option<&'a hyper::Error>,
    lost: bool,
    gave_up: bool,
    innermost: String,
}

impl<'a> Found<'a> {
    fn in_chain(error: &'a (dyn Error + 'static)) -> Self {
        let mut found = Self::default();
        let mut current = Some(error);
        // No chain of a library is longer; one that loops ends here.
        for _ in 0..32 {
            let Some(error) = current else { break };
            found.innermost = error.to_string();
            current = error.source();
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                found.tls = Some(tls);
            } else if let Some(http) = error.downcast_ref::<hyper::Error>() {
                found.http = Some(http);
            } else if let Some(io) = error.downcast_ref::<io::Error>() {
                found.io = Some(io);
                // An error inside an io::Error is no source of it: the source is that one's source.
                if let Some(inner) = io.get_ref() {
                    current = Some(inner);
                }
            }
            found.lost |= error.is::<Lost>();
            found.gave_up |= error.is::<GaveUp>();
        }
        found
    }
}
