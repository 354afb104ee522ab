//! The proof that processes have gone, where nothing else is asked of them: after a signal that was to end them.

use std::time::Duration;

use super::{ConnectOutcome, Observation, ProofProgress, Prover, all_exited};
use crate::action::Verdict;
use crate::health::Moment;

/// Proves that every process has exited and no address accepts: [`Verdict::Stopped`], else [`Verdict::StillDraining`] when
/// the time is up.
#[derive(Debug, Clone)]
pub(crate) struct ExitProof {
    looks_apart: Duration,
    gone_since: Option<Moment>,
}

impl ExitProof {
    /// Takes looks that find nothing for `looks_apart` as proof.
    pub(crate) const fn new(looks_apart: Duration) -> Self {
        Self {
            looks_apart,
            gone_since: None,
        }
    }
}

impl Prover for ExitProof {
    fn observe(&mut self, at: Moment, observation: Observation) -> ProofProgress {
        let verdict = match observation {
            Observation::Look(look) => {
                let accepts = look.addresses.contains(&ConnectOutcome::Accepted);
                let gone = all_exited(&look.processes) && !accepts;
                self.gone_since = gone.then(|| self.gone_since.unwrap_or(at));
                self.gone_since
                    .filter(|since| at.since(*since) >= self.looks_apart)
                    .map(|_| Verdict::Stopped)
            }
            Observation::TimeUp => Some(Verdict::StillDraining),
            _ => None,
        };
        verdict.map(|verdict| (verdict, String::new())).into()
    }

    fn nears_end(&self) -> bool {
        true
    }
}
