//! The owners of listening sockets: a search that is left out where nothing has changed, without the programs that only
//! forward connections.

use crate::host::{Endpoint, Listening, Owners, RunningProcess, alive, owners};

/// Programs that listen for another one: whether they run says nothing of the service behind them. A name that ends in `*`
/// is the beginning of several.
const FORWARDERS: &str = "systemd init docker-proxy dockerd containerd* conmon* rootlesskit* rootlessport* slirp4netns \
    pasta* passt* vpnkit* gvproxy limactl com.docker* kubectl ssh sshd*";

/// Programs that pass requests on, and may as well be the service themselves: nothing but their listening speaks for one.
const PROXIES: &str = "socat ncat code* nginx haproxy caddy envoy* traefik squid varnishd pgbouncer stunnel* autossh \
    cloudflared ngrok frpc frps tailscaled xinetd inetd";

/// Returns whether the name is one of these; one of them that ends in `*` is the beginning of several.
pub(super) fn is_named(names: &str, name: &str) -> bool {
    let mut names = names.split_whitespace();
    names.any(|known| match known.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == known,
    })
}

/// Returns whether a program of this name passes on to another one what it is asked, unless the profile is that program's.
pub(super) fn is_forwarder(name: &str, profile: Option<&str>) -> bool {
    is_named(FORWARDERS, name)
        || (is_named(PROXIES, name) && !profile.is_some_and(|profile| profile.starts_with(name)))
}

/// Merges the owners of two addresses of one service.
pub(crate) fn merge_owners(one: Owners, other: Owners) -> Owners {
    match (one, other) {
        (Owners::Nobody, other) | (other, Owners::Nobody) => other,
        (Owners::Unknown(why), Owners::Unknown(_)) => Owners::Unknown(why),
        (one, other) => {
            let mut processes = one.processes().to_vec();
            for process in other.processes() {
                if !contains(&processes, process) {
                    processes.push(process.clone());
                }
            }
            match (one, other) {
                (Owners::All(_), Owners::All(_)) => Owners::All(processes),
                _ => Owners::Visible(processes),
            }
        }
    }
}

/// The owners that one search found, for the next one.
#[derive(Debug, Clone)]
pub(crate) struct KnownOwners {
    listening: Listening,
    owners: Vec<Owners>,
}

/// Returns the owners of the listening socket at each of these endpoints of this machine. The search is left out where the
/// same sockets listen as at the search before and all their owners still run.
pub(crate) async fn owners_cached(
    endpoints: Vec<Endpoint>,
    known: Option<KnownOwners>,
) -> (Vec<Owners>, Option<KnownOwners>) {
    if endpoints.is_empty() {
        return (Vec::new(), None);
    }
    let look = {
        let endpoints = endpoints.clone();
        move || Listening::at(&endpoints)
    };
    let Ok(listening) = tokio::task::spawn_blocking(look).await else {
        return (owners_of(endpoints).await, None);
    };
    let runs = |one: &RunningProcess| alive(one.process) == Some(true);
    let holds = |known: &KnownOwners| {
        known.listening == listening
            && known.owners.iter().all(|owners| {
                !matches!(owners, Owners::Unknown(_)) && owners.processes().iter().all(runs)
            })
    };
    if let Some(known) = known.filter(holds) {
        return (known.owners.clone(), Some(known));
    }
    let owners = owners_of(endpoints).await;
    let known = KnownOwners {
        listening,
        owners: owners.clone(),
    };
    (owners, Some(known))
}

/// Returns the owners of the listening socket at each of these endpoints of this machine.
pub(crate) async fn owners_of(endpoints: Vec<Endpoint>) -> Vec<Owners> {
    let count = endpoints.len();
    if count == 0 {
        return Vec::new();
    }
    let search = tokio::task::spawn_blocking(move || {
        let first = owners(&endpoints);
        if first.iter().all(|owners| owners.processes().len() < 2) {
            return first;
        }
        let again = owners(&endpoints);
        let pairs = first.into_iter().zip(again);
        pairs
            .map(|(first, again)| seen_twice(&first, again))
            .collect()
    });
    let found = search
        .await
        .unwrap_or_else(|_| vec![Owners::Unknown("the search was interrupted".to_owned()); count]);
    found.into_iter().map(without_forwarders).collect()
}

fn contains(processes: &[RunningProcess], wanted: &RunningProcess) -> bool {
    processes.iter().any(|one| one.process == wanted.process)
}

/// A child that has just been started holds its parent's sockets until it runs its own program, so a process that is not
/// seen twice is no owner.
fn seen_twice(first: &Owners, again: Owners) -> Owners {
    if first.processes().is_empty() || again.processes().is_empty() {
        return again;
    }
    let mut processes = first.processes().to_vec();
    processes.retain(|one| contains(again.processes(), one));
    first.with(processes)
}

/// Leaves out the processes that listen for another one.
fn without_forwarders(owners: Owners) -> Owners {
    if matches!(owners, Owners::Nobody | Owners::Unknown(_)) {
        return owners;
    }
    let processes = owners.processes().iter().cloned();
    let (forwarding, own): (Vec<RunningProcess>, Vec<RunningProcess>) =
        processes.partition(|one| one.process.pid == 1 || is_named(FORWARDERS, &one.name));
    match forwarding.first() {
        Some(one) if own.is_empty() => Owners::Unknown(format!(
            "pid {} ({}), which listens there, only forwards connections",
            one.process.pid, one.name
        )),
        None if own.is_empty() => {
            Owners::Unknown("the process that listens is just being replaced".to_owned())
        }
        _ => owners.with(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Process;

    fn running(pid: u32, name: &str) -> RunningProcess {
        RunningProcess {
            process: Process {
                pid,
                start_ticks: 1,
            },
            parent: 1,
            name: name.to_owned(),
        }
    }

    /// Owners as `pid:name`, and those that are left; `unknown` where nobody is.
    fn check(owners: &str, expected: &str) {
        let processes = owners
            .split(' ')
            .map(|one| {
                let (pid, name) = one.split_once(':').unwrap();
                running(pid.parse().unwrap(), name)
            })
            .collect();
        let shown = match without_forwarders(Owners::All(processes)) {
            Owners::All(processes) | Owners::Visible(processes) => processes
                .iter()
                .map(|one| format!("{}:{}", one.process.pid, one.name))
                .collect::<Vec<_>>()
                .join(" "),
            Owners::Unknown(_) => "unknown".to_owned(),
            Owners::Nobody => "nobody".to_owned(),
        };
        assert_eq!(shown, expected, "{owners}");
    }

    #[test]
    fn who_listens_for_somebody_else_is_not_the_service() {
        check("7:api", "7:api");
        check("7:api 9:api", "7:api 9:api");
        check("1:systemd 7:api", "7:api");
        check("1:tini", "unknown");
        check("7:docker-proxy", "unknown");
        check("7:ssh", "unknown");
        check("7:sshfs", "7:sshfs");
        check("7:rootlesskit", "unknown");
        check("7:pasta.avx2 8:conmon", "unknown");
    }

    #[test]
    fn a_child_that_passes_by_is_no_owner() {
        let known =
            |pids: &[u32]| Owners::All(pids.iter().map(|pid| running(*pid, "api")).collect());
        assert_eq!(seen_twice(&known(&[7, 8]), known(&[7])), known(&[7]));
        assert_eq!(seen_twice(&known(&[7, 8]), known(&[7, 8])), known(&[7, 8]));
        assert_eq!(seen_twice(&known(&[7, 8]), Owners::Nobody), Owners::Nobody);
    }
}
