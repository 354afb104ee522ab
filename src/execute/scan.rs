//! Looks at this machine for what no probe can tell of services: whether the code that runs is old, whether somebody
//! else listens at an address, whether two do. Asks nobody and resolves no name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::foreign::foreign;
use super::owners::{Known, heads, owners_unless_known, split};
use super::place::Place;
use crate::health::{self, Changed, Code, Process, Sight};
use crate::host::newest::{executable, modified, newest};
use crate::host::pid_file::{self, PidFile};
use crate::host::records::{Key, Record, Records};
use crate::host::{
    Endpoint, Owners, Running, ancestors, is_local, loaded, runs_another_file_than, started_at,
};
use crate::inventory::{Inventory, Secret, Service, StartSpec};
use crate::text;

/// What is looked at, again and again.
#[derive(Debug, Clone)]
pub(crate) struct HostScan {
    subjects: Arc<Vec<Subject>>,
    records: Option<Records>,
    /// Who listened at the last look.
    listened: Option<Known>,
}

/// One service.
#[derive(Debug)]
struct Subject {
    service: Arc<Service>,
    key: Key,
    /// Where it listens on this machine.
    endpoints: Vec<Endpoint>,
}

/// What one look found.
#[derive(Debug, Default)]
pub(crate) struct HostSnapshot {
    /// By the name of the service.
    pub(crate) sights: Vec<(String, Sight)>,
    /// What could not be looked at, for people.
    pub(crate) problems: Vec<String>,
}

impl HostScan {
    /// Those of the services of which anything can be seen on this machine; `None` where there are none.
    pub(crate) fn new(
        services: &[Arc<Service>],
        inventory: &Inventory,
        records: Option<Records>,
    ) -> Option<Self> {
        let file = inventory.file();
        let subjects: Vec<Subject> = services
            .iter()
            .map(|service| Subject {
                key: Key {
                    inventory: file.clone(),
                    service: service.name.clone(),
                },
                endpoints: endpoints(service),
                service: Arc::clone(service),
            })
            .filter(Subject::can_be_seen)
            .collect();
        (!subjects.is_empty()).then(|| Self {
            subjects: Arc::new(subjects),
            records,
            listened: None,
        })
    }

    /// Looks once.
    pub(crate) async fn look(&mut self) -> HostSnapshot {
        let endpoints = self.subjects.iter().flat_map(|it| it.endpoints.clone());
        let endpoints = endpoints.collect();
        let (owners, listened) = owners_unless_known(endpoints, self.listened.take()).await;
        self.listened = listened;
        let mut owners = owners.into_iter();
        let owners: Vec<Vec<Owners>> = self
            .subjects
            .iter()
            .map(|subject| owners.by_ref().take(subject.endpoints.len()).collect())
            .collect();
        let (subjects, records) = (Arc::clone(&self.subjects), self.records.clone());
        let search = tokio::task::spawn_blocking(move || {
            let mut found = HostSnapshot::default();
            for (subject, owners) in subjects.iter().zip(owners) {
                let sight = subject.look(&owners, records.as_ref(), &mut found.problems);
                found.sights.push((subject.service.name.clone(), sight));
            }
            found
        });
        search.await.unwrap_or_else(|error| HostSnapshot {
            problems: vec![format!("this machine could not be looked at: {error}")],
            ..HostSnapshot::default()
        })
    }
}

impl Subject {
    fn can_be_seen(&self) -> bool {
        let service = &self.service;
        !self.endpoints.is_empty()
            || service.start.is_some()
            || service.sources.is_some()
            || service.pid_file.is_some()
    }

    fn look(
        &self,
        owners: &[Owners],
        records: Option<&Records>,
        problems: &mut Vec<String>,
    ) -> Sight {
        let service = &self.service;
        let mut problem = |what: String| {
            problems.push(text::clean(&format!("{}: {what}", service.name), 300));
        };
        // What cannot be started has no record, and looking for a thousand of them takes its time.
        let records = records.filter(|_| service.start.is_some());
        let record = match records.map(|records| records.read(&self.key)).transpose() {
            Ok(record) => record.flatten(),
            Err(error) => {
                problem(error.to_string());
                None
            }
        };
        let recorded = record.as_ref().and_then(Record::running);
        let pid_file = service.pid_file.as_deref().map(pid_file::read);
        let owning = all(owners);
        let known = match (&recorded, &pid_file) {
            (Some(recorded), _) => Some(recorded.clone()),
            (None, Some(PidFile::Proved(proved))) => Some(proved.clone()),
            _ => None,
        };
        let foreign = foreign(service, &owning, pid_file.as_ref(), recorded.as_ref());
        let heads = heads(&owning);
        let process = match (&recorded, &pid_file) {
            (Some(recorded), _) => Some(recorded.process),
            (None, Some(PidFile::Proved(proved))) => Some(proved.process),
            _ => match heads.as_slice() {
                [head] if foreign.is_none() => Some(head.process),
                _ => None,
            },
        };
        let entry_differs = match (&recorded, &record, &service.start) {
            (Some(_), Some(record), Some(start)) => record.entry != start.fingerprint(),
            _ => false,
        };
        let mut code = Code {
            entry_differs,
            ..Code::default()
        };
        if let Some(sources) = &service.sources {
            match newest(&sources.root, &sources.patterns) {
                Ok(found) => {
                    code.newest = found.map(|found| Changed {
                        path: text::clean(&found.path.display().to_string(), 200),
                        at: found.at,
                    });
                }
                Err(why) => problem(format!("its sources cannot be looked through: {why}")),
            }
        }
        if let Some(start) = &service.start {
            look_at_executable(start, process, &mut code);
        }
        let process = process.map(|process| reader(process, &owning));
        Sight {
            gone: process.is_none() && self.is_gone(owners, pid_file.as_ref()),
            process: process.and_then(|process| {
                let started = started_at(process)?;
                Some(health::Seen {
                    pid: process.pid,
                    started,
                })
            }),
            code,
            split: (foreign.is_none() && !service.replicas)
                .then(|| split(&heads, known.as_ref()))
                .flatten(),
            foreign: foreign.map(|why| text::clean(&why, 300)),
        }
    }

    /// No process of it is known, and nothing listens where it would.
    fn is_gone(&self, owners: &[Owners], pid_file: Option<&PidFile>) -> bool {
        let silent = owners.iter().all(|owners| *owners == Owners::Nobody);
        let has_trace = !owners.is_empty() || self.service.start.is_some() || pid_file.is_some();
        silent && has_trace && !matches!(pid_file, Some(PidFile::Unknown(_)))
    }
}

/// Where a service listens on this machine, as far as that is known without asking anybody.
fn endpoints(service: &Service) -> Vec<Endpoint> {
    match Place::of(service, None) {
        Place::Nowhere | Place::Proxied(_) => Vec::new(),
        Place::Socket(path) => vec![Endpoint::Socket(path)],
        Place::Name { host, port } => {
            let addresses: Vec<IpAddr> = match host.parse() {
                Ok(address) => vec![address],
                Err(_) if host == "localhost" => {
                    vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
                }
                Err(_) => Vec::new(),
            };
            let addresses = addresses.into_iter().filter(|address| is_local(*address));
            addresses
                .map(|address| Endpoint::Tcp(SocketAddr::new(address, port)))
                .collect()
        }
    }
}

/// The process that has read the code last of all that answers: where `process`, which was started, has others serve in
/// its place, as a reloader does, the oldest of the programs that they run. Forked workers run what their master has
/// read.
fn reader(process: Process, owning: &[Running]) -> Process {
    if owning.iter().all(|one| one.process == process) {
        return process;
    }
    let ancestry: Vec<Vec<Process>> = owning.iter().map(|one| ancestors(one.process)).collect();
    let serving = owning.iter().zip(&ancestry).filter(|(one, _)| {
        // A reloader holds the socket as well, for those that it starts.
        !ancestry.iter().any(|above| above.contains(&one.process))
    });
    let mut oldest: Option<Process> = None;
    for (one, above) in serving {
        if one.process != process && !above.contains(&process) {
            return process;
        }
        let loaded = loaded(one.process);
        if oldest.is_none_or(|known| loaded.start_ticks < known.start_ticks) {
            oldest = Some(loaded);
        }
    }
    oldest
        .filter(|loaded| loaded.start_ticks > process.start_ticks)
        .unwrap_or(process)
}

/// Every process that listens, each once.
fn all(owners: &[Owners]) -> Vec<Running> {
    let mut all: Vec<Running> = Vec::new();
    for owner in owners {
        if let Owners::Known { processes, .. } = owner {
            for one in processes {
                if !all.iter().any(|known| known.process == one.process) {
                    all.push(one.clone());
                }
            }
        }
    }
    all
}

fn look_at_executable(start: &StartSpec, process: Option<Process>, code: &mut Code) {
    let Some(program) = start.exec.command.first() else {
        return;
    };
    let path_variable = match start.exec.env.get("PATH") {
        Some(Secret::Plain(text)) => Some(text.as_str()),
        _ => None,
    };
    let Some(path) = executable(program, path_variable) else {
        return;
    };
    code.executable = std::fs::metadata(&path)
        .ok()
        .and_then(|metadata| modified(&metadata))
        .map(|at| Changed {
            path: text::clean(&shown(&path), 200),
            at,
        });
    code.replaced = process.is_some_and(|process| runs_another_file_than(process, &path));
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
