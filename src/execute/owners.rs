//! Whose processes a service's are: who holds its listening socket, and who of them came first.

use super::choose::name;
use super::identify::Found;
use crate::health::Process;
use crate::host::{Endpoint, Listening, Owners, Running, alive, ancestors, one_of_a_pool, owners};

/// Programs that listen for somebody else: their life and their end say nothing of the service behind them. A name that
/// ends in `*` is the beginning of several.
const FORWARDERS: [&str; 18] = [
    "systemd",
    "init",
    "docker-proxy",
    "dockerd",
    "containerd*",
    "conmon*",
    "rootlesskit*",
    "rootlessport*",
    "slirp4netns",
    "pasta*",
    "passt*",
    "vpnkit*",
    "gvproxy",
    "limactl",
    "com.docker*",
    "kubectl",
    "ssh",
    "sshd",
];

fn is_forwarder(name: &str) -> bool {
    FORWARDERS
        .iter()
        .any(|known| match known.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == *known,
        })
}

/// Finds out who listens for each of the services, all in one search.
pub(super) async fn find_owners(all: &mut [Found]) {
    let endpoints: Vec<Vec<Endpoint>> = all.iter().map(Found::owned_endpoints).collect();
    let mut answers = owners_of(endpoints.concat()).await.into_iter();
    for (found, endpoints) in all.iter_mut().zip(endpoints) {
        found.owners = answers.by_ref().take(endpoints.len()).reduce(together);
    }
}

/// Who listens at either of two addresses of one service.
fn together(one: Owners, other: Owners) -> Owners {
    match (one, other) {
        (
            Owners::Known {
                mut processes,
                complete,
            },
            Owners::Known {
                processes: more,
                complete: too,
            },
        ) => {
            for one in more {
                if !processes.iter().any(|known| known.process == one.process) {
                    processes.push(one);
                }
            }
            Owners::Known {
                processes,
                complete: complete && too,
            }
        }
        (Owners::Nobody, other) | (other, Owners::Nobody) => other,
        (Owners::Unknown(_), Owners::Known { processes, .. })
        | (Owners::Known { processes, .. }, Owners::Unknown(_)) => Owners::Known {
            processes,
            complete: false,
        },
        (Owners::Unknown(why), Owners::Unknown(_)) => Owners::Unknown(why),
    }
}

/// Who was found to listen, for the next look.
#[derive(Debug, Clone)]
pub(super) struct Known {
    listening: Listening,
    owners: Vec<Owners>,
}

/// Who listens at each of these endpoints of this machine. The search is left out where the same sockets listen as when
/// somebody looked before and all who had them still run.
pub(super) async fn owners_unless_known(
    endpoints: Vec<Endpoint>,
    known: Option<Known>,
) -> (Vec<Owners>, Option<Known>) {
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
    let runs = |one: &Running| alive(one.process) == Some(true);
    let holds = |known: &Known| {
        known.listening == listening
            && known.owners.iter().all(|owners| match owners {
                Owners::Known { processes, .. } => processes.iter().all(runs),
                Owners::Nobody => true,
                Owners::Unknown(_) => false,
            })
    };
    if let Some(known) = known.filter(holds) {
        return (known.owners.clone(), Some(known));
    }
    let owners = owners_of(endpoints).await;
    let known = Known {
        listening,
        owners: owners.clone(),
    };
    (owners, Some(known))
}

/// Who listens at each of these endpoints of this machine.
pub(super) async fn owners_of(endpoints: Vec<Endpoint>) -> Vec<Owners> {
    let count = endpoints.len();
    if count == 0 {
        return Vec::new();
    }
    let search = tokio::task::spawn_blocking(move || {
        let first = owners(&endpoints);
        if !first.iter().any(several) {
            return first;
        }
        let again = owners(&endpoints);
        let pairs = first.into_iter().zip(again);
        pairs
            .map(|(first, again)| seen_twice(first, again))
            .collect()
    });
    let found = search
        .await
        .unwrap_or_else(|_| vec![Owners::Unknown("the search was broken off".to_owned()); count]);
    found.into_iter().map(without_forwarders).collect()
}

fn several(owners: &Owners) -> bool {
    matches!(owners, Owners::Known { processes, .. } if processes.len() > 1)
}

/// A child that has just been started holds its parent's sockets until it runs its own program: whoever is not
/// seen twice is none of the owners.
fn seen_twice(first: Owners, again: Owners) -> Owners {
    match (first, again) {
        (
            Owners::Known {
                processes,
                complete,
            },
            Owners::Known {
                processes: again, ..
            },
        ) => Owners::Known {
            processes: processes
                .into_iter()
                .filter(|one| again.iter().any(|other| other.process == one.process))
                .collect(),
            complete,
        },
        (_, again) => again,
    }
}

/// Leaves those out that listen for somebody else.
fn without_forwarders(owners: Owners) -> Owners {
    let Owners::Known {
        processes,
        complete,
    } = owners
    else {
        return owners;
    };
    let (forwarding, own): (Vec<Running>, Vec<Running>) = processes
        .into_iter()
        .partition(|one| one.process.pid == 1 || is_forwarder(&one.name));
    match forwarding.first() {
        Some(one) if own.is_empty() => Owners::Unknown(format!(
            "pid {} ({}), which listens there, only does so for others",
            one.process.pid, one.name
        )),
        None if own.is_empty() => {
            Owners::Unknown("the process that listens is just being replaced".to_owned())
        }
        _ => Owners::Known {
            processes: own,
            complete,
        },
    }
}

/// Those of the processes that no other of them has started: a master, not its workers.
pub(super) fn heads(processes: &[Running]) -> Vec<Running> {
    if processes.len() < 2 {
        return processes.to_vec();
    }
    processes
        .iter()
        .filter(|one| {
            let above = ancestors(one.process);
            !processes
                .iter()
                .any(|other| other.process != one.process && above.contains(&other.process))
        })
        .cloned()
        .collect()
}

/// Both names, where two processes listen that are no pool of workers and do not all come from the one that is `known`
/// to be the service's.
pub(super) fn split(heads: &[Running], known: Option<&Running>) -> Option<String> {
    let [first, .., last] = heads else {
        return None;
    };
    let from_known = |known: &Running| {
        let is_below = |one: &Running| {
            one.process == known.process || ancestors(one.process).contains(&known.process)
        };
        heads.iter().all(is_below)
    };
    if known.is_some_and(from_known) {
        return None;
    }
    if heads.iter().all(one_of_a_pool) && first.parent == last.parent {
        return None;
    }
    let names: Vec<String> = heads.iter().map(name).collect();
    Some(format!(
        "{} listen at its address independently of each other",
        names.join(" and ")
    ))
}

/// Whether `process` is one of `family`, has started one of them or was started by one.
pub(super) fn belongs(process: Process, family: &[Running]) -> bool {
    let above = ancestors(process);
    family.iter().any(|one| {
        one.process == process
            || above.contains(&one.process)
            || ancestors(one.process).contains(&process)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(pid: u32, name: &str) -> Running {
        Running {
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
        let left = without_forwarders(Owners::Known {
            processes,
            complete: true,
        });
        let shown = match left {
            Owners::Known { processes, .. } => processes
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
        let known = |pids: &[u32]| Owners::Known {
            processes: pids.iter().map(|pid| running(*pid, "api")).collect(),
            complete: true,
        };
        assert_eq!(seen_twice(known(&[7, 8]), known(&[7])), known(&[7]));
        assert_eq!(seen_twice(known(&[7, 8]), known(&[7, 8])), known(&[7, 8]));
        assert_eq!(seen_twice(known(&[7, 8]), Owners::Nobody), Owners::Nobody);
    }
}
