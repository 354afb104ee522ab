//! How an action on one service ended, with what was weighed.

use super::identify::Found;
use crate::action::{Verdict, Who};
use crate::health::{Identity, Part, Process};

/// How an action on one service ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) verdict: Verdict,
    pub(super) text: String,
    pub(super) evidence: Vec<String>,
    /// Who answered last.
    pub(super) after: Option<Box<Identity>>,
    /// That, compared with who was there before.
    pub(super) who: Option<Who>,
    /// What was sent was taken, and there is nothing to look at that would show what came of it.
    pub(super) unseen: bool,
    /// The first and the last lines of what it wrote, where it did not come up.
    pub(super) log: Box<[String]>,
    /// It could not be asked, as it takes no connection.
    pub(super) unreached: bool,
    /// These have had SIGTERM from us.
    pub(super) signalled: Box<[Process]>,
    /// What a reload did with each part of the configuration.
    pub(super) parts: Vec<Part>,
}

impl Ending {
    /// Nothing was sent.
    pub(super) fn unsent(text: &str) -> Self {
        Self::new(Verdict::Refused, text.to_owned())
    }

    /// It had stopped before anything was sent.
    pub(super) fn already_stopped(found: &Found) -> Self {
        let text = format!("{}; nothing was sent", absent(found));
        Self::new(Verdict::AlreadyStopped, text)
    }

    /// This verdict, for this reason.
    pub(super) fn new(verdict: Verdict, text: String) -> Self {
        Self {
            verdict,
            text,
            evidence: Vec::new(),
            after: None,
            who: None,
            unseen: false,
            log: Box::default(),
            unreached: false,
            signalled: Box::default(),
            parts: Vec::new(),
        }
    }
}

/// How it is known that nothing is there.
pub(super) fn absent(found: &Found) -> String {
    let places: Vec<String> = found.endpoints.iter().map(ToString::to_string).collect();
    if !places.is_empty() {
        return format!("nothing listens at {}", places.join(" and "));
    }
    match (&found.pid_file, &found.record) {
        (Some(_), _) => "the process that its pid file names has exited".to_owned(),
        (None, Some(record)) => {
            format!("pid {}, which was started, has exited", record.process.pid)
        }
        (None, None) => "nothing of it is known to run".to_owned(),
    }
}
