//! Asks a service about itself while it is watched: does it drain, and is it still the one that was asked to stop?

use std::net::SocketAddr;

use futures_util::future::join_all;

use super::identify::{identity, is_draining, uptime};
use super::owners::owners_of;
use crate::action::{Answerer, Known, Seen, Who};
use crate::health::{Identity, Outcome, Process};
use crate::host::{Endpoint, Owners};
use crate::inventory::{Probe, Service};
use crate::probe::Asker;

/// What a round of questions brought.
pub(super) struct Heard {
    pub(super) seen: Option<Seen>,
    pub(super) identity: Option<Identity>,
    pub(super) evidence: Vec<String>,
}

/// One round of questions, with all that it needs.
pub(super) struct Question {
    pub(super) asker: Asker,
    pub(super) service: Service,
    pub(super) tellers: Vec<Probe>,
    pub(super) known: Known,
    pub(super) pin: Option<SocketAddr>,
    /// Where the owners of the listening socket can be found.
    pub(super) endpoint: Option<Endpoint>,
    /// Whether they are searched for in any case.
    pub(super) search: bool,
}

impl Question {
    /// Asks, and compares who answers with who was there before.
    pub(super) async fn ask(self) -> Heard {
        let asked = self
            .tellers
            .iter()
            .map(|probe| self.asker.ask_at(&self.service, probe, self.pin));
        let outcomes: Vec<Outcome> = join_all(asked).await;
        let Some(identity) = identity(&outcomes) else {
            return Heard {
                seen: None,
                identity: None,
                evidence: Vec::new(),
            };
        };
        if let Some(code) = outcomes.iter().find_map(hollow)
            && outcomes
                .iter()
                .all(|one| one.code.is_none() || hollow(one).is_some())
        {
            return Heard {
                seen: Some(Seen::Hollow(code)),
                identity: None,
                evidence: Vec::new(),
            };
        }
        let mut answerer = Answerer {
            uptime: uptime(&outcomes),
            at: identity.read_at,
            identity: identity.clone(),
            owners: None,
        };
        // While its process runs the search is worth it only where somebody else seems to answer.
        if self.search || self.known.who(&answerer).0 == Who::New {
            answerer.owners = owners(self.endpoint).await;
        }
        let (who, evidence) = self.known.who(&answerer);
        Heard {
            seen: Some(Seen::Answer {
                draining: outcomes.iter().any(is_draining),
                who,
            }),
            identity: Some(identity),
            evidence,
        }
    }
}

/// All who listen there, where all of them can be seen.
async fn owners(endpoint: Option<Endpoint>) -> Option<Vec<Process>> {
    match owners_of(vec![endpoint?]).await.pop()? {
        Owners::Known {
            processes,
            complete: true,
        } => Some(processes.iter().map(|one| one.process).collect()),
        _ => None,
    }
}

/// The code of an answer that a proxy may have given for a service that is gone: nothing in it is the service's own.
fn hollow(outcome: &Outcome) -> Option<u16> {
    outcome
        .code
        .filter(|code| (502..=504).contains(code) && outcome.reading.is_none())
}
