//! The outcome of an action on one service, and the flow of control that leads to it.

use std::fmt::Display;
use std::ops::ControlFlow;

use crate::action::{ResponderKind, Verdict};
use crate::health::{Identity, Part, Process};

/// The flow of control after a part of an action: the action goes on with a value, or ends with the result.
pub(super) type Flow<T = ()> = ControlFlow<ActionEnd, T>;

/// Returns the end of an action that has come to it in either way.
pub(super) fn ended(flow: Flow<ActionEnd>) -> ActionEnd {
    let (ControlFlow::Continue(end) | ControlFlow::Break(end)) = flow;
    end
}

/// The outcome of an action on one service.
#[derive(Debug)]
pub(super) struct ActionEnd {
    pub(super) verdict: Verdict,
    pub(super) text: String,
    pub(super) evidence: Vec<String>,
    /// The identity that answered last.
    pub(super) after: Option<Box<Identity>>,
    /// The process that answered last, compared with those before.
    pub(super) responder: Option<ResponderKind>,
    /// Set where the request was taken, and there is nothing to look at that would show what came of it.
    pub(super) unseen: bool,
    /// Set where nothing was sent, since the service takes no connection.
    pub(super) unreached: bool,
    /// Set where the precheck of the start command failed: the same code is not to be tried again.
    pub(super) code_rejected: bool,
    /// The answer of a route that is not offered: nothing was done.
    pub(super) not_offered: Option<String>,
    /// Set where what was started says that its address is in use, and nobody listens there.
    pub(super) in_use: bool,
    /// The first and the last lines that a service wrote which did not start.
    pub(super) log: Vec<String>,
    /// The processes that have had SIGTERM.
    pub(super) signalled: Vec<Process>,
    /// The result of a reload for each part of the configuration.
    pub(super) parts: Vec<Part>,
}

impl ActionEnd {
    pub(super) fn new(verdict: Verdict, text: impl Into<String>) -> Self {
        Self {
            verdict,
            text: text.into(),
            evidence: Vec::new(),
            after: None,
            responder: None,
            unseen: false,
            unreached: false,
            code_rejected: false,
            in_use: false,
            not_offered: None,
            log: Vec::new(),
            signalled: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Makes the result of an action that has sent and started nothing.
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self::new(Verdict::Refused, text)
    }

    pub(super) fn with_evidence(mut self, evidence: Vec<String>) -> Self {
        self.evidence = evidence;
        self
    }

    pub(super) fn with_identity(mut self, identity: Identity) -> Self {
        self.after = Some(Box::new(identity));
        self
    }
}

/// Goes on with a value, or ends as refused: `nothing was sent: …`
pub(super) fn or_refuse<T>(what: &str, result: Result<T, String>) -> Flow<T> {
    or_end(Verdict::Refused, what, result)
}

/// Goes on with a value, or ends with this verdict: `it could not be started: …`
pub(super) fn or_end<T>(verdict: Verdict, what: &str, result: Result<T, impl Display>) -> Flow<T> {
    match result {
        Ok(value) => ControlFlow::Continue(value),
        Err(why) => ControlFlow::Break(ActionEnd::new(verdict, format!("{what}: {why}"))),
    }
}
