//! What tells that a process that was started, or a successor that is waited for, has come up: looks at it and answers
//! of its own go in, the end comes out when it is certain, or when the time is up.
//!
//! That something answers is not enough: whoever listens has to be the one that was started.

use std::time::Duration;

use super::proof::list;
use super::{Verdict, Who};
use crate::health::Moment;
use crate::text;

#[cfg(test)]
mod tests;

/// A program that goes into the background exits before the one that it leaves behind listens.
const BACKGROUND: Duration = Duration::from_secs(2);

/// Who is waited for. The texts are for people and cleaned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The process that was started: `pid 4812 (api)`; `None` where something else starts it.
    pub process: Option<String>,
    /// Every address that it may listen at.
    pub addresses: Vec<String>,
}

/// How the process that was started is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It runs, or there is none of our own.
    Runs,
    /// It has exited with status 0.
    ExitedWell,
    /// It has exited in another way.
    Exited,
}

/// Who listens at its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// The process that was started, one of its family, or one that was started after it.
    Expected,
    /// Somebody who was there before: `pid 4711 (other)`.
    Stranger(String),
    /// Nobody that can be told.
    Unknown,
}

/// One thing seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Glance {
    /// A look at its process and its addresses.
    Look {
        /// The process, with how it ended in words.
        started: Started,
        /// `exit status: 1`, where it has exited.
        how: String,
        /// Something listens; `None` where it has no address.
        listens: Option<bool>,
    },
    /// Its probes were asked: what is still missing (`ready: answered 503`), and who listens.
    Asked {
        /// Empty where it is ready.
        missing: Vec<String>,
        /// Who listens.
        holder: Holder,
    },
    /// The time is up.
    TimeUp,
}

/// How the wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// It is ready.
    Ready,
    /// It will not be: which verdict, and why.
    Not(Verdict, String),
}

/// The verdict on who has come up in place of one that was there before. `is_ours`: it is the process that was started
/// after the old one was proved gone, whatever it says of itself.
pub const fn renewed(who: Who, is_ours: bool) -> Verdict {
    match who {
        Who::New | Who::Reborn => Verdict::Restarted,
        Who::Same | Who::Other | Who::Unknown if is_ours => Verdict::Restarted,
        Who::Same => Verdict::SameProcess,
        Who::Other | Who::Unknown => Verdict::Unverified,
    }
}

/// Everything seen since it was started.
#[derive(Debug, Clone)]
pub struct Arrival {
    expected: Expected,
    began: Moment,
    listens: Option<bool>,
    exited: Option<(Moment, Started, String)>,
    missing: Vec<String>,
    stranger: Option<String>,
}

impl Arrival {
    /// Begins when it was started.
    pub fn new(expected: Expected, began: Moment) -> Self {
        Self {
            expected,
            began,
            listens: None,
            exited: None,
            missing: Vec::new(),
            stranger: None,
        }
    }

    /// Takes in one thing seen at `at`.
    pub fn see(&mut self, at: Moment, glance: Glance) -> Option<Arrived> {
        match glance {
            Glance::Look {
                started,
                how,
                listens,
            } => {
                self.listens = listens;
                if started == Started::Runs {
                    self.exited = None;
                } else if self.exited.is_none() {
                    self.exited = Some((at, started, how));
                }
                self.died(at)
            }
            Glance::Asked { missing, holder } => {
                self.stranger = match holder {
                    Holder::Stranger(name) => Some(name),
                    Holder::Expected | Holder::Unknown => None,
                };
                self.missing = missing;
                if self.missing.is_empty() && self.stranger.is_none() && self.is_alive() {
                    Some(Arrived::Ready)
                } else {
                    None
                }
            }
            Glance::TimeUp => Some(self.late(at)),
        }
    }

    /// It runs, or it has left somebody behind in the background who listens.
    fn is_alive(&self) -> bool {
        match &self.exited {
            None => true,
            Some((_, started, _)) => *started == Started::ExitedWell && self.listens == Some(true),
        }
    }

    fn died(&self, at: Moment) -> Option<Arrived> {
        let (since, started, how) = self.exited.as_ref()?;
        let process = self.expected.process.as_ref()?;
        let in_background = *started == Started::ExitedWell
            && (at.since(*since) < BACKGROUND
                || (self.listens == Some(true) && self.stranger.is_none()));
        if in_background {
            return None;
        }
        let stranger = match &self.stranger {
            Some(stranger) => format!("; {stranger} listens at its address"),
            None if self.listens == Some(true) => {
                format!(
                    "; somebody else listens at {}",
                    list(&self.expected.addresses)
                )
            }
            None => String::new(),
        };
        Some(Arrived::Not(
            Verdict::Died,
            format!("{process} was started and has ended before it was ready ({how}){stranger}"),
        ))
    }

    fn late(&self, at: Moment) -> Arrived {
        let took = at.since(self.began) + Duration::from_millis(500);
        let after = text::format_duration(Duration::from_secs(took.as_secs().max(1)));
        if let Some(stranger) = &self.stranger {
            let own = match &self.expected.process {
                Some(process) => format!("{process} was started, but "),
                None => String::new(),
            };
            return Arrived::Not(
                Verdict::Unverified,
                format!("{own}{stranger}, which was there before, listens at its address"),
            );
        }
        let own = match &self.expected.process {
            Some(process) => format!("{process} runs"),
            None if self.listens == Some(false) => "nothing has started it again".to_owned(),
            None if self.expected.addresses.is_empty() => {
                "nothing tells whether it runs again".to_owned()
            }
            None => "something answers again".to_owned(),
        };
        let missing = if !self.missing.is_empty() {
            format!("not ready: {}", self.missing.join(", "))
        } else if self.listens == Some(false) {
            format!("nothing listens at {}", list(&self.expected.addresses))
        } else {
            "not ready".to_owned()
        };
        Arrived::Not(Verdict::NotReady, format!("{own}, {missing} after {after}"))
    }
}
