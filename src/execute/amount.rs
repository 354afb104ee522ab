//! What the ends of the two halves amount to, in verdicts and words: who has come up, who has not made room, who runs
//! already.

use super::Target;
use super::audit::party;
use super::choose::name;
use super::come_up::Up;
use super::ending::Ending;
use super::halves::Case;
use super::identify::Found;
use crate::action::{Answerer, Look, Verdict, Who, renewed};
use crate::health::{Identity, OldProcess};
use crate::host::alive;

/// Compares who has come up with who was there before.
pub(super) fn renewed_by(case: &mut Case, up: &Up) -> Ending {
    let before = case.before();
    let after = up.found.identity();
    let who = case.known.as_ref().map_or(Who::Unknown, |known| {
        known
            .who(&Answerer {
                identity: after.clone(),
                uptime: None,
                owners: up.found.all_owners(),
                at: after.read_at,
            })
            .0
    });
    let verdict = renewed(who, up.is_ours);
    let old = match before.process.map(alive) {
        Some(Some(true)) => OldProcess::Alive,
        Some(Some(false)) => OldProcess::Gone,
        Some(None) | None => OldProcess::Unknown,
    };
    case.evidence
        .extend(Identity::compare_with(&before, &after, old).evidence);
    let (was, is) = (told(&before), told(&after));
    let text = match verdict {
        Verdict::Restarted => format!("{is} answers; before it was {was}"),
        Verdict::SameProcess => format!("the process that answers is the old one: {is}"),
        _ => format!(
            "it answers, and nothing tells the old process ({was}) from a new one ({is}): a start time or an instance in its payload, or a `pid_file`, would"
        ),
    };
    let mut ending = Ending::new(verdict, text);
    ending.after = Some(Box::new(after));
    ending
}

pub(super) const fn has_stopped(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Stopped | Verdict::NotListening | Verdict::AlreadyStopped
    )
}

pub(super) fn came_up(up: &Up) -> Ending {
    let identity = up.found.identity();
    let text = format!("{} answers and is ready", told(&identity));
    let mut ending = Ending::new(Verdict::Started, text);
    ending.after = Some(Box::new(identity));
    ending
}

/// One that was to be replaced, and of which no process was known that could be compared with who is ready now.
pub(super) fn ready_unseen(up: &Up) -> Ending {
    let identity = up.found.identity();
    let text = "it is ready, and nothing tells whether its process is a new one: a `pid_file`, or a `url` whose payload has a start time or an instance, would";
    let mut ending = Ending::new(Verdict::Unverified, text.to_owned());
    ending.after = Some(Box::new(identity));
    ending
}

/// A restart whose stop has not come to an end: the verdict on the process that is still there.
pub(super) fn not_made_room(ending: Ending, target: &Target) -> Ending {
    let runs = target
        .found
        .processes()
        .iter()
        .any(|running| alive(running.process) == Some(true));
    match (ending.verdict, ending.who) {
        (Verdict::StillAnswering, Some(Who::Same)) => Ending {
            verdict: Verdict::SameProcess,
            ..ending
        },
        (Verdict::StillAnswering, None | Some(Who::Unknown)) if runs => Ending {
            verdict: Verdict::SameProcess,
            ..ending
        },
        (Verdict::GoneThenBack, _) => gone_then_back(&ending.text),
        _ => ending,
    }
}

pub(super) fn gone_then_back(text: &str) -> Ending {
    Ending::new(
        Verdict::GoneThenBack,
        format!(
            "{text}: nothing was started here; where something else starts it again, `supervised: true` says so"
        ),
    )
}

/// `pid 4711, started 2026-11-22T10:00:00Z`, as far as it is known.
pub(super) fn told(identity: &Identity) -> String {
    let known = party(identity);
    let mut parts = Vec::new();
    if let Some(pid) = known.pid {
        parts.push(format!("pid {pid}"));
    }
    if let Some(instance) = &known.instance {
        parts.push(format!("instance {instance}"));
    }
    if let Some(start) = known.started_at.or(known.process_started_at) {
        parts.push(format!("started {start:.0}"));
    }
    if parts.is_empty() {
        parts.push(known.address.unwrap_or_else(|| "unknown".to_owned()));
    }
    parts.join(", ")
}

/// How it is known that it runs.
pub(super) fn running(found: &Found) -> String {
    let processes: Vec<String> = found.processes().iter().map(name).collect();
    let mut known = Vec::new();
    if !processes.is_empty() {
        known.push(format!("{} runs", processes.join(", ")));
    }
    if found.looks.contains(&Look::Accepted) {
        known.push(format!(
            "{} accepts connections",
            accepting(found, &found.looks)
        ));
    }
    if let Some(probe) = &found.passes {
        known.push(format!("its probe `{probe}` passes"));
    }
    if known.is_empty() {
        known.push("it answers".to_owned());
    }
    known.join(" and ")
}

pub(super) fn already_running(found: &Found) -> Ending {
    let text = format!("{}; nothing was started", running(found));
    Ending::new(Verdict::AlreadyRunning, text)
}

pub(super) fn accepting(found: &Found, looks: &[Look]) -> String {
    let endpoints = found.endpoints.iter().zip(looks);
    let accepting: Vec<String> = endpoints
        .filter(|(_, look)| **look == Look::Accepted)
        .map(|(endpoint, _)| endpoint.to_string())
        .collect();
    if accepting.is_empty() {
        "its address".to_owned()
    } else {
        accepting.join(" and ")
    }
}

/// Why whoever answers now is not who was shown when somebody agreed; `None` where nothing says so.
pub(super) fn changed(shown: &Found, now: &Found, replicas: bool) -> Option<String> {
    let known = shown.processes();
    if !known.is_empty()
        && known
            .iter()
            .all(|running| alive(running.process) == Some(false))
    {
        return Some(format!("pid {} has exited", known.first()?.process.pid));
    }
    if replicas {
        return None;
    }
    let now = now.identities.first()?;
    let mut evidence = None;
    for before in &shown.identities {
        let comparison = Identity::compare(before, now);
        if comparison.sameness != crate::health::Sameness::New {
            return None;
        }
        evidence = comparison.evidence.into_iter().next();
    }
    evidence
}
