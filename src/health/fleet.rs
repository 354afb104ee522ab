//! All services together: who is blocked by whom, and what to tell after each change.
//!
//! What one outcome costs depends on the service it belongs to and on those that depend on it, never on how many
//! services there are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{
    Change, Flag, HostFinding, LifecycleEvent, Moment, Outcome, ServiceInfo, ServiceSnapshot,
    State, Tracker,
};

/// The newest snapshot of a service, and what is different from the one before.
#[derive(Debug, Clone)]
pub struct Update {
    /// The newest snapshot of the service.
    pub snapshot: Arc<ServiceSnapshot>,
    /// The differences; empty where only counters, ages and latencies moved.
    pub changed: Vec<Change>,
}

/// The trackers of all services, known by their place in the list that was handed in.
#[derive(Debug)]
pub struct Fleet {
    members: Vec<Member>,
    places: HashMap<String, usize>,
    /// The latest moment that was told.
    now: Moment,
}

#[derive(Debug)]
struct Member {
    tracker: Tracker,
    snapshot: Arc<ServiceSnapshot>,
    /// The services that this one depends on.
    needs: Vec<usize>,
    needed_by: Vec<usize>,
    /// The position in an order in which each service stands after the services that it depends on.
    depth: usize,
    /// The service that keeps those from working that depend on this one: itself, or what keeps itself from working.
    cause: Option<usize>,
}

impl Fleet {
    /// Services of which nothing is known yet.
    pub fn new(infos: Vec<ServiceInfo>, now: Moment) -> Self {
        let names = infos.iter().map(|info| info.name.clone());
        let places: HashMap<String, usize> = names.zip(0..).collect();
        let mut members: Vec<Member> = infos
            .into_iter()
            .map(|info| {
                // Services that are not watched are passed over.
                let needs = info.depends_on.iter();
                let needs = needs.filter_map(|name| places.get(name).copied()).collect();
                let tracker = Tracker::new(info, now);
                Member {
                    snapshot: Arc::new(tracker.snapshot(now)),
                    tracker,
                    needs,
                    needed_by: Vec::new(),
                    depth: 0,
                    cause: None,
                }
            })
            .collect();
        order(&mut members);
        let mut fleet = Self {
            members,
            places,
            now,
        };
        fleet.connect();
        fleet
    }

    /// The place of the service with this name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Returns whether a probe is to be asked now.
    pub fn wants(&self, service: usize, probe: usize) -> bool {
        let member = self.member(service);
        member.is_some_and(|member| member.tracker.wants(probe))
    }

    /// The probes of a service that are to be asked now and of which nothing counts yet: see [`Tracker::unanswered`].
    pub fn unanswered(&self, service: usize) -> Vec<usize> {
        let member = self.member(service).into_iter();
        member.flat_map(|it| it.tracker.unanswered()).collect()
    }

    /// The newest snapshot of every service, in their order.
    pub fn snapshots(&self) -> Vec<Arc<ServiceSnapshot>> {
        let snapshots = self.members.iter().map(|it| Arc::clone(&it.snapshot));
        snapshots.collect()
    }

    /// The newest snapshot of every service as the first thing that is told of it.
    pub fn introduce(&self) -> Vec<Update> {
        let updates = self.members.iter().map(|it| Update {
            snapshot: Arc::clone(&it.snapshot),
            changed: vec![Change::First],
        });
        updates.collect()
    }

    /// Takes in what a probe found. The first update is this service's, with an empty `changed` where only counters,
    /// ages and latencies moved; the others are of services that are blocked or freed by it.
    pub fn record(&mut self, service: usize, probe: usize, outcome: Outcome) -> Vec<Update> {
        let at = outcome.at;
        self.change(service, at, |tracker| tracker.record(probe, outcome))
    }

    /// Assesses what follows from time alone; only services of which something changed are told.
    pub fn tick(&mut self, now: Moment) -> Vec<Update> {
        let mut updates = Vec::new();
        for service in 0..self.members.len() {
            let member = self.members.get_mut(service);
            if member.is_some_and(|member| member.tracker.tick(now)) {
                updates.extend(self.change(service, now, |_| {}));
            }
        }
        self.pass(now);
        updates.retain(|update| !update.changed.is_empty());
        updates
    }

    /// Takes in what an action did to the process of a service.
    pub fn lifecycle(&mut self, service: usize, event: LifecycleEvent, now: Moment) -> Vec<Update> {
        self.change(service, now, |tracker| tracker.lifecycle(event, now))
    }

    /// Sets a flag that no probe can know, with a sentence about it that may be empty, or clears it (`None`).
    pub fn set_flag(&mut self, service: usize, flag: Flag, note: Option<String>) -> Vec<Update> {
        self.change(service, self.now, |tracker| tracker.set_flag(flag, note))
    }

    /// Takes in what was seen of it on this machine.
    pub fn update_host(
        &mut self,
        service: usize,
        finding: HostFinding,
        now: Moment,
    ) -> Vec<Update> {
        self.change(service, now, |tracker| tracker.update_host(finding, now))
    }

    /// Begins to watch: the start period of what nobody knows the start of counts from now.
    pub fn begin_watch(&mut self, now: Moment) -> Vec<Update> {
        let services = 0..self.members.len();
        let updates =
            services.flat_map(|it| self.change(it, now, |tracker| tracker.begin_watch(now)));
        updates.collect()
    }

    /// Tells everyone who depends on them, and finds the first causes: a service with a startup probe begins as one.
    fn connect(&mut self) {
        let mut places: Vec<usize> = (0..self.members.len()).collect();
        places.sort_by_key(|&place| self.member(place).map(|member| member.depth));
        for place in places {
            let cause = self.cause_of(place);
            let Some(member) = self.members.get_mut(place) else {
                continue;
            };
            member.cause = cause;
            for need in member.needs.clone() {
                if let Some(member) = self.members.get_mut(need) {
                    member.needed_by.push(place);
                }
            }
        }
    }

    fn member(&self, place: usize) -> Option<&Member> {
        self.members.get(place)
    }

    fn pass(&mut self, now: Moment) {
        if now.mono > self.now.mono {
            self.now = now;
        }
    }

    /// Changes one tracker and tells of it, and of every service that this blocks or frees.
    fn change(
        &mut self,
        service: usize,
        at: Moment,
        change: impl FnOnce(&mut Tracker),
    ) -> Vec<Update> {
        self.pass(at);
        let Some(member) = self.members.get_mut(service) else {
            return Vec::new();
        };
        change(&mut member.tracker);
        let mut updates = Vec::new();
        // By depth: what a service depends on is assessed before the service itself, and nothing is assessed twice.
        let mut open = BTreeSet::from([(member.depth, service)]);
        while let Some((_, place)) = open.pop_first() {
            let cause = self.cause_of(place);
            let root = self.root_of(place);
            let name = root.and_then(|root| Some(self.member(root)?.tracker.info().name.clone()));
            let now = self.now;
            let Some(member) = self.members.get_mut(place) else {
                continue;
            };
            member.tracker.set_blocked_by(name);
            let snapshot = member.tracker.snapshot(now);
            let changed = Change::between(&member.snapshot, &snapshot);
            if place == service || !changed.is_empty() {
                member.snapshot = Arc::new(snapshot);
                updates.push(Update {
                    snapshot: Arc::clone(&member.snapshot),
                    changed,
                });
            }
            if std::mem::replace(&mut member.cause, cause) != cause {
                let dependents = member.needed_by.clone();
                for dependent in dependents {
                    let depth = self.member(dependent).map(|member| member.depth);
                    open.extend(depth.map(|depth| (depth, dependent)));
                }
            }
        }
        updates
    }

    /// Returns the root cause of a service that is blocked: the first by name of the causes of what it depends on.
    fn root_of(&self, place: usize) -> Option<usize> {
        let name = |place: &usize| Some(self.member(*place)?.tracker.info().name.as_str());
        self.member(place)?
            .needs
            .iter()
            .filter_map(|need| self.member(*need)?.cause)
            .min_by(|one, other| name(one).cmp(&name(other)))
    }

    /// What this service is to those that depend on it. A service that is stopped or draining is so on purpose, and a
    /// cause itself; any other that does not work is one only where nothing below it is.
    fn cause_of(&self, place: usize) -> Option<usize> {
        match self.member(place)?.tracker.state() {
            State::Healthy => None,
            State::Stopped | State::Draining => Some(place),
            State::Unhealthy | State::Starting => self.root_of(place).or(Some(place)),
            State::Unready | State::Degraded | State::Unknown => self.root_of(place),
        }
    }
}

/// Gives every member its depth, and drops what would close a cycle: an inventory has none, and where one came in all
/// the same, it must not go round for ever.
fn order(members: &mut [Member]) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; members.len()];
    let mut depth = 0;
    for first in 0..members.len() {
        // A stack of our own: a chain of dependencies may be as long as the inventory.
        let mut stack = vec![(first, 0)];
        while let Some((place, next)) = stack.pop() {
            let (Some(mark), Some(member)) = (marks.get_mut(place), members.get_mut(place)) else {
                continue;
            };
            if *mark == Mark::Done {
                continue;
            }
            *mark = Mark::Open;
            let Some(&need) = member.needs.get(next) else {
                *mark = Mark::Done;
                member.depth = depth;
                depth += 1;
                continue;
            };
            if marks.get(need) == Some(&Mark::Open) {
                member.needs.remove(next);
                stack.push((place, next));
            } else {
                stack.push((place, next + 1));
                stack.push((need, 0));
            }
        }
    }
}
