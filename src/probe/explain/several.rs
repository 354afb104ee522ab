//! The failures of several addresses as one.

use crate::health::FailureKind;
use crate::probe::trail::Peer;

use super::Cause;

/// The failures of all addresses of a name as one, the most telling first.
pub(in crate::probe) fn all(tried: &[(Peer, Cause)]) -> Cause {
    let mut shown: Vec<_> = tried.iter().filter(|(_, cause)| !cause.absent).collect();
    let refused = !shown.is_empty() && shown.iter().all(|(_, cause)| cause.refused);
    if shown.is_empty() {
        shown.extend(tried);
    }
    shown.sort_by_key(|(_, cause)| rank(cause.kind));
    let Some((_, first)) = shown.first() else {
        return Cause::new(FailureKind::Dns, "the name has no address");
    };
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for (peer, cause) in &shown {
        match groups.iter_mut().find(|(words, _)| *words == cause.words) {
            Some((_, peers)) => peers.push(peer.to_string()),
            None => groups.push((&cause.words, vec![peer.to_string()])),
        }
    }
    let words: Vec<_> = groups
        .iter()
        .map(|(words, peers)| format!("{words} ({})", peers.join(", ")))
        .collect();
    Cause {
        refused,
        ..Cause::new(first.kind, words.join("; "))
    }
}

/// How much a failure at one address tells of the service, the least rank the most. A fault of our own leaves open what the
/// service is like, whatever the other addresses say.
const fn rank(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Local => 0,
        FailureKind::Tls => 1,
        FailureKind::Protocol => 2,
        FailureKind::Timeout => 4,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureKind::{Connect, Local, Timeout, Tls};

    #[test]
    fn several_addresses_as_one() {
        let refused = || Cause::refused("connection refused");
        let absent = || Cause::absent("no IPv6 here");
        let late = || Cause::new(Timeout, "no reply yet");
        let local = || Cause::local("no file descriptor left");
        let tls = || Cause::new(Tls, "certificate expired");
        let check = |causes: &[Cause], kind: FailureKind, words: &str, is_refused: bool| {
            let tried: Vec<_> = causes
                .iter()
                .zip(["127.0.0.1:80", "[::1]:80", "10.0.0.1:80"])
                .map(|(cause, at)| (Peer::Address(at.parse().unwrap()), cause.clone()))
                .collect();
            let cause = all(&tried);
            assert_eq!(
                (cause.kind, cause.words.as_str(), cause.refused),
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
