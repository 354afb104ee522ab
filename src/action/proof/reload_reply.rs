//! Classifies the reply to a reload: status code, word and parts weighed against each other.

use super::{has_done_nothing, list};
use crate::health::{Part, ReloadReply, ReloadStatus};

/// Names told one by one; of more, only how many they are.
const MOST_NAMES: usize = 6;

/// The meaning of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyClass {
    /// All of it holds.
    Reloaded,
    /// Some holds and some does not, or not yet.
    Partial,
    /// Nothing of it holds: it was judged and refused.
    Rejected,
    /// The route is not offered, not enabled or not allowed.
    NotOffered,
    /// The request itself was rejected.
    NotTaken,
    /// The configuration will be read later.
    Accepted,
    /// The reply does not tell.
    Unclear,
}

/// Returns the meaning of a status code alone.
const fn of_code(code: u16) -> ReplyClass {
    match code {
        202 => ReplyClass::Accepted,
        200..=299 => ReplyClass::Reloaded,
        // Too early, too slow, or the word of a proxy.
        408 | 425 | 502..=504 => ReplyClass::Unclear,
        code if has_done_nothing(code) => ReplyClass::NotOffered,
        // Somewhere else, in another form, too often.
        300..=399 | 406 | 407 | 429 => ReplyClass::NotTaken,
        _ => ReplyClass::Rejected,
    }
}

/// Returns the worse of what code, word and parts say; a part that was reloaded makes what is bad a partial reload.
pub(super) fn classify(code: u16, reply: &ReloadReply) -> ReplyClass {
    use ReloadStatus::{Accepted, NeedsRestart, Partial, Rejected, Reloaded, Unchanged, Unknown};
    let part = |wanted| reply.parts.iter().any(|part| part.status == wanted);
    let whole = |wanted| reply.status == Some(wanted);
    let says = |wanted| part(wanted) || whole(wanted);
    let code = of_code(code);
    if code == ReplyClass::NotOffered {
        return code;
    }
    let told = reply.status.is_some_and(|status| status != Unknown)
        || reply.parts.iter().any(|part| part.status != Unknown);
    if !told && matches!(code, ReplyClass::Unclear | ReplyClass::NotTaken) {
        return code;
    }
    let bad = says(Rejected) || matches!(code, ReplyClass::Rejected | ReplyClass::NotTaken);
    if part(Reloaded) && bad || says(Partial) {
        return ReplyClass::Partial;
    }
    if bad {
        return ReplyClass::Rejected;
    }
    if says(NeedsRestart) {
        return ReplyClass::Partial;
    }
    // The word of the whole covers parts whose words are not known.
    if whole(Unknown) || (part(Unknown) && !whole(Reloaded) && !whole(Unchanged)) {
        return ReplyClass::Unclear;
    }
    if says(Accepted) {
        return ReplyClass::Accepted;
    }
    if code == ReplyClass::Accepted && !says(Reloaded) && !says(Unchanged) {
        return ReplyClass::Accepted;
    }
    ReplyClass::Reloaded
}

/// The parts as a clause: `reloaded adapters and flags; needs a restart: database_url`; empty without any.
pub(super) fn summary(reply: &ReloadReply) -> String {
    let groups = [
        (ReloadStatus::Rejected, "rejected"),
        (ReloadStatus::NeedsRestart, "needs a restart:"),
        (ReloadStatus::Partial, "reloaded in part:"),
        (ReloadStatus::Reloaded, "reloaded"),
        (ReloadStatus::Accepted, "will reload"),
        (ReloadStatus::Unchanged, "unchanged"),
        (ReloadStatus::Unknown, "not known:"),
    ];
    let mut clauses: Vec<String> = Vec::new();
    for (status, lead) in groups {
        let those: Vec<&Part> = reply
            .parts
            .iter()
            .filter(|part| part.status == status)
            .collect();
        if those.len() > MOST_NAMES {
            clauses.push(format!("{lead} {} parts", those.len()));
        } else if !those.is_empty() {
            let names: Vec<String> = those.into_iter().map(named).collect();
            clauses.push(format!("{lead} {}", list(&names)));
        }
    }
    if reply.left_out > 0 {
        clauses.push(format!("{} more parts are left out", reply.left_out));
    }
    clauses.join("; ")
}

/// The name of a part, with what is said of it where it is not well.
fn named(part: &Part) -> String {
    match (part.status, &part.message, &part.word) {
        (ReloadStatus::Reloaded | ReloadStatus::Unchanged | ReloadStatus::Accepted, ..) => {
            part.name.clone()
        }
        (_, Some(message), _) => format!("{} ({message})", part.name),
        (ReloadStatus::Unknown, None, Some(word)) => format!("{} (says `{word}`)", part.name),
        _ => part.name.clone(),
    }
}
