//! How far a request has got, and what that alone decides.

use std::time::Duration;

use tokio::time::Instant;

use super::Watch;
use crate::action::{Action, NOTHING_TO_LOOK_AT, Seen, Turn, Verdict, WOULD_SHOW};
use crate::event::StepKind;
use crate::execute::Sending;
use crate::execute::ending::Ending;
use crate::execute::send::Sent;
use crate::inventory::Means;

/// A scheduled request of which nobody knows whether it was taken is watched for so long.
const DOUBT: Duration = Duration::from_secs(2);

impl Watch<'_> {
    /// Ends at once what is decided by the sending alone; moves the deadline where doubt is all that is left.
    pub(super) fn after_sending(
        &mut self,
        sent: &Sent,
        sending: &Sending,
        deadline: &mut Instant,
    ) -> Option<Ending> {
        let scheduled = self.teller.action == Action::Schedule;
        match sent {
            Sent::Unsent(why) => Some(Ending::unsent(&format!("nothing was sent: {why}"))),
            Sent::Unreached(why) => {
                let mut ending = Ending::unsent(&format!("nothing was sent: {why}"));
                ending.unreached = true;
                Some(ending)
            }
            Sent::Taken(what) if scheduled => {
                let what = what.clone();
                self.tell_step(StepKind::Accepted, &what);
                Some(Ending::new(Verdict::Accepted, what))
            }
            Sent::Unclear(_) | Sent::NobodyThere(_) if scheduled => {
                // Nothing but the doubt is left to wait for.
                let doubt = DOUBT.min(sending.method.timeout);
                *deadline = Instant::now() + doubt;
                None
            }
            _ => None,
        }
    }

    /// Whether it was only to be asked, and nobody knows whether it has heard.
    pub(super) fn in_doubt(&self) -> bool {
        self.teller.action == Action::Schedule && matches!(self.sent, Some(Sent::Unclear(_)))
    }

    /// Remembers how far the request has got.
    pub(super) fn note_sent(&mut self, sent: Sent, sending: &Sending) -> Turn {
        let at = self.executor.clock.now();
        let turn = match &sent {
            Sent::Taken(what) => {
                self.tell_step(StepKind::Accepted, what);
                Turn::default()
            }
            Sent::TurnedDown(how) => {
                self.tell_step(StepKind::Remark, &format!("it {how}"));
                self.proof.see(at, Seen::TurnedDown(how.clone()))
            }
            Sent::NobodyThere(why) => {
                self.tell_step(StepKind::Remark, &format!("nothing was sent: {why}"));
                self.proof
                    .see(at, Seen::TurnedDown(format!("could not be asked ({why})")))
            }
            Sent::Unclear(what) | Sent::Unreached(what) | Sent::Unsent(what) => {
                self.tell_step(StepKind::Remark, what);
                Turn::default()
            }
        };
        let told = match &sent {
            Sent::Taken(text) | Sent::Unclear(text) => text.clone(),
            Sent::TurnedDown(text) => format!("it {text}"),
            Sent::NobodyThere(text) | Sent::Unreached(text) | Sent::Unsent(text) => {
                format!("nothing was sent: {text}")
            }
        };
        self.evidence.push(match sending.method.means {
            Means::Http(_) => format!("reply: {told}"),
            Means::Signal(_) | Means::Exec(_) => told,
        });
        self.sent = Some(sent);
        turn
    }

    /// The verdict of the proof, as far as something was sent at all.
    pub(super) fn concluded(&mut self, verdict: Verdict, text: String) -> Ending {
        let stopped = matches!(verdict, Verdict::Stopped | Verdict::NotListening);
        if stopped {
            // Who answered before it ended says nothing of the end.
            self.after = None;
        } else {
            self.evidence.append(&mut self.weighed);
        }
        match &self.sent {
            Some(Sent::NobodyThere(_)) if stopped => Ending::new(
                Verdict::AlreadyStopped,
                format!("{text}; it had ended before anything was sent"),
            ),
            Some(Sent::NobodyThere(why)) => Ending::unsent(&format!("nothing was sent: {why}")),
            Some(Sent::Unclear(what)) if verdict == Verdict::StillAnswering => {
                Ending::new(verdict, format!("{text}; {what}"))
            }
            None if !stopped => Ending::new(verdict, format!("{text}; no reply has come")),
            _ => Ending::new(verdict, text),
        }
    }

    /// The end where there is nothing to look at: all that there will ever be is what came of the sending.
    pub(super) fn unseen(&mut self) -> Ending {
        let (text, unseen) = match &self.sent {
            Some(Sent::Taken(what)) => (what.clone(), true),
            Some(Sent::TurnedDown(how)) => (format!("it {how}"), false),
            Some(Sent::Unclear(what)) => (what.clone(), false),
            Some(Sent::NobodyThere(why) | Sent::Unreached(why) | Sent::Unsent(why)) => {
                return Ending::unsent(&format!("nothing was sent: {why}"));
            }
            None => (String::new(), false),
        };
        let text = format!("{text}; {NOTHING_TO_LOOK_AT}: {WOULD_SHOW}");
        Ending {
            unseen,
            ..Ending::new(Verdict::Unverified, text)
        }
    }

    /// What was done and what was not, for somebody who did not want to wait.
    pub(super) fn interrupted(&mut self, sending: &Sending) -> Ending {
        let request = &sending.offer.request;
        let so_far = match &self.sent {
            Some(Sent::Taken(what)) => format!("{request} was sent and taken ({what})"),
            Some(Sent::TurnedDown(how)) => format!("{request} was sent and it {how}"),
            Some(Sent::Unclear(what)) => format!("{request} was sent ({what})"),
            Some(Sent::NobodyThere(_) | Sent::Unreached(_) | Sent::Unsent(_)) => {
                "nothing was sent".to_owned()
            }
            None => format!("{request} was on its method and not yet answered"),
        };
        Ending::new(
            Verdict::Unverified,
            format!("interrupted: {so_far}; whether it stops was not waited for"),
        )
    }
}
