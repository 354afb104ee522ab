//! Decides which processes are a service's own, and may be signalled. Pure: everything that counts is gathered before, in
//! `facts/`.
//!
//! | proof | proves a process that | and with it |
//! | --- | --- | --- |
//! | 1 pid file | a valid pid file names, and that owns the socket or is above who does | its family |
//! | 2 keeper | is below the keeper of the service and in its session, or leads to the owner of the socket | – |
//! | 3 record | is on record, or in the recorded session and writes to its log | its family |
//! | 4 start command | runs it, and owns the socket or is above who does; without an address: the only one that runs it | its family |
//! | 5 sole owner | alone owns the socket of a service without `start` and `pid_file`, and answered | – |
//! | 6 named | the person named, and that owns the socket or stands in pid file or record | – |
//!
//! A family is what is below a proved process and in its session, or leads to an owner of the socket. Who is excepted is never
//! proved but by 6, and nobody is proved as an ancestor of one who is.

mod model;

use crate::host::RunningProcess;
pub(super) use model::{
    AnswerKind, CommandMatch, Evidence, Exception, OwnProcess, Ownership, PidFileClaim,
    ProcessProof, RecordedAs, SeenProcess, UnprovenProcess,
};

/// Decides which processes are the service's own.
pub(super) fn decide(evidence: &Evidence) -> Ownership {
    let tree = Tree { evidence };
    if let Some(pid) = evidence.named {
        return tree.named(pid);
    }
    let mut proofs: Vec<Option<ProcessProof>> = vec![None; evidence.processes.len()];
    let mut left_alone: Vec<(RunningProcess, String)> = Vec::new();
    for (index, proof) in tree.leaders() {
        proofs[index] = proofs[index].or(Some(proof));
        if proof == ProcessProof::SoleOwner {
            continue;
        }
        for below in tree.below(index) {
            let why = tree.excepted_below(below, index);
            match why {
                None => proofs[below] = proofs[below].or(Some(proof)),
                Some(why) if proofs[below].is_none() => {
                    let running = tree.at(below).running.clone();
                    if left_alone.iter().all(|(one, _)| *one != running) {
                        left_alone.push((running, why));
                    }
                }
                Some(_) => {}
            }
        }
    }
    for index in 0..proofs.len() {
        let one = &evidence.processes[index];
        if one.recorded.below_keeper && left_alone.iter().all(|(it, _)| *it != one.running) {
            let why = match tree.exception(index) {
                Some(exception) => exception.to_string(),
                None if tree.shares_with_other_service(index) => SHARED.to_owned(),
                None => LEFT_SESSION.to_owned(),
            };
            left_alone.push((one.running.clone(), why));
        }
    }
    left_alone.retain(|(one, _)| {
        let index = tree.index_of(one.process.pid);
        index.is_none_or(|index| proofs[index].is_none())
    });
    let proved = |index: usize| proofs[index];
    let mut own: Vec<(usize, OwnProcess)> = (0..proofs.len())
        .filter_map(|index| Some((index, tree.own(index, proved(index)?, &proved))))
        .collect();
    let claimed = |one: &OwnProcess| match &evidence.pid_file {
        PidFileClaim::Names(process, _) => {
            one.proof == ProcessProof::PidFile && *process == one.running.process
        }
        PidFileClaim::Nothing => false,
    };
    own.sort_by_key(|(index, one)| {
        let recorded = evidence.processes[*index].recorded;
        (
            !claimed(one),
            one.is_below,
            !recorded.leader,
            one.is_below || !one.owns,
            one.running.process.pid,
        )
    });
    let own: Vec<OwnProcess> = own.into_iter().map(|(_, one)| one).collect();
    Ownership {
        unproven: tree.unproven(&proved),
        split: tree.split(&proved),
        copies: tree.copies(&proved),
        own,
        left_alone,
    }
}

const SHARED: &str = "has started a process of another service";
const LEFT_SESSION: &str = "has left its session and does not listen at its address";

/// The processes of some evidence as they have started each other.
struct Tree<'a> {
    evidence: &'a Evidence,
}

impl<'a> Tree<'a> {
    fn at(&self, index: usize) -> &'a SeenProcess {
        &self.evidence.processes[index]
    }

    fn index_of(&self, pid: u32) -> Option<usize> {
        let mut processes = self.evidence.processes.iter();
        processes.position(|one| one.running.process.pid == pid)
    }

    /// Returns the parents of a process that are known, nearest first.
    fn above(&self, index: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut next = self.index_of(self.at(index).running.parent);
        while let Some(parent) = next {
            if found.len() >= 64 || found.contains(&parent) {
                break;
            }
            found.push(parent);
            next = self.index_of(self.at(parent).running.parent);
        }
        found
    }

    /// Returns all that is below a process.
    fn below(&self, index: usize) -> Vec<usize> {
        let all = 0..self.evidence.processes.len();
        all.filter(|one| self.above(*one).contains(&index))
            .collect()
    }

    /// Returns whether a process owns the socket, or something below it does.
    fn leads_to_owner(&self, index: usize) -> bool {
        self.at(index).owns || self.below(index).iter().any(|it| self.at(*it).owns)
    }

    /// Returns the exception that holds for a process, whoever has started it.
    fn exception(&self, index: usize) -> Option<Exception> {
        let one = self.at(index);
        let has_terminal = one.terminal != 0 && one.session == one.running.process.pid;
        let may = one.owns || one.command == CommandMatch::Runs;
        one.exception
            .clone()
            .or_else(|| (has_terminal && !may).then_some(Exception::Terminal))
    }

    /// Says why a process below a proved one is left alone; `None` where it is of its family.
    fn excepted_below(&self, index: usize, leader: usize) -> Option<String> {
        if let Some(exception) = self.exception(index) {
            return Some(exception.to_string());
        }
        let above = self.above(index);
        let mut between = above.iter().take_while(|it| **it != leader);
        if let Some(exception) = between.find_map(|it| self.exception(*it)) {
            return Some(format!("is below a process that {exception}"));
        }
        if self.shares_with_other_service(index) {
            return Some(SHARED.to_owned());
        }
        let (one, leader) = (self.at(index), self.at(leader));
        if self.leads_to_owner(index) {
            return None;
        }
        let other_terminal = one.terminal != 0 && one.terminal != leader.terminal;
        if other_terminal && one.command != CommandMatch::Runs {
            return Some(Exception::Terminal.to_string());
        }
        (one.session != leader.session && !one.recorded.member).then(|| LEFT_SESSION.to_owned())
    }

    /// Returns the processes that are proved by themselves, by the strongest proof first.
    fn leaders(&self) -> Vec<(usize, ProcessProof)> {
        let all = || (0..self.evidence.processes.len()).filter(|it| self.exception(*it).is_none());
        let mut found: Vec<(usize, ProcessProof)> = Vec::new();
        let mut add = |proof, indices: Vec<usize>| {
            found.extend(indices.into_iter().map(|index| (index, proof)));
        };
        add(
            ProcessProof::PidFile,
            all().filter(|it| self.by_pid_file(*it)).collect(),
        );
        add(
            ProcessProof::Keeper,
            all().filter(|it| self.by_keeper(*it)).collect(),
        );
        add(
            ProcessProof::Record,
            all().filter(|it| self.by_record(*it)).collect(),
        );
        add(ProcessProof::StartCommand, self.by_start_command());
        add(
            ProcessProof::SoleOwner,
            all().filter(|it| self.by_sole_owner(*it)).collect(),
        );
        found
    }

    fn somebody_listens(&self) -> bool {
        self.evidence.processes.iter().any(|one| one.owns)
    }

    fn by_pid_file(&self, index: usize) -> bool {
        let PidFileClaim::Names(process, doubt) = &self.evidence.pid_file else {
            return false;
        };
        let one = self.at(index);
        if one.running.process != *process {
            return false;
        }
        let fits = !self.evidence.somebody_listens || self.leads_to_owner(index);
        one.owns
            || (doubt.is_none()
                && fits
                && self.excepts_nobody_below(index)
                && self.contradicting_leader(index).is_none())
    }

    /// Returns the process that healthctl started, where it runs and has nothing to do with the one that the pid file names:
    /// then one of the two is not the service's.
    fn contradicting_leader(&self, index: usize) -> Option<usize> {
        let one = self.at(index);
        let mut all = 0..self.evidence.processes.len();
        let leader = all.find(|it| self.at(*it).recorded.leader)?;
        let is_related = one.recorded.any()
            || self.above(index).contains(&leader)
            || self.above(leader).contains(&index);
        (leader != index && !is_related).then_some(leader)
    }

    fn by_keeper(&self, index: usize) -> bool {
        let one = self.at(index);
        let in_session = Some(one.session) == self.evidence.session;
        one.recorded.below_keeper
            && (in_session || self.leads_to_owner(index))
            && !self.shares_with_other_service(index)
    }

    fn by_record(&self, index: usize) -> bool {
        let recorded = self.at(index).recorded;
        (recorded.leader || recorded.member) && !self.shares_with_other_service(index)
    }

    fn by_start_command(&self) -> Vec<usize> {
        if self.evidence.supervised {
            return Vec::new();
        }
        let runs = |index: &usize| {
            self.at(*index).command == CommandMatch::Runs && self.exception(*index).is_none()
        };
        let all: Vec<usize> = (0..self.evidence.processes.len()).filter(runs).collect();
        if self.evidence.has_address {
            let proved = |index: &usize| {
                let one = self.at(*index);
                one.owns || (self.leads_to_owner(*index) && self.excepts_nobody_below(*index))
            };
            return all.into_iter().filter(proved).collect();
        }
        // Without a socket, only that there is no other one tells.
        let tops = self.tops(&all);
        match tops.as_slice() {
            [one] if self.excepts_nobody_below(*one) => tops,
            _ => Vec::new(),
        }
    }

    /// Returns those of some processes that are below none of the others.
    fn tops(&self, all: &[usize]) -> Vec<usize> {
        let is_top = |index: &usize| !self.above(*index).iter().any(|it| all.contains(it));
        all.iter().copied().filter(is_top).collect()
    }

    fn copies(&self, proved: &dyn Fn(usize) -> Option<ProcessProof>) -> Vec<RunningProcess> {
        let evidence = self.evidence;
        if evidence.supervised || (evidence.has_address && self.somebody_listens()) {
            return Vec::new();
        }
        let is_copy = |index: &usize| {
            self.at(*index).command == CommandMatch::Runs
                && self.exception(*index).is_none()
                && proved(*index).is_none()
        };
        let copies: Vec<usize> = (0..evidence.processes.len()).filter(is_copy).collect();
        let tops = self.tops(&copies);
        tops.iter().map(|it| self.at(*it).running.clone()).collect()
    }

    fn by_sole_owner(&self, index: usize) -> bool {
        let evidence = self.evidence;
        let least = if evidence.is_shown {
            AnswerKind::Bytes
        } else {
            AnswerKind::Recognised
        };
        let owners = evidence.processes.iter().filter(|one| one.owns).count();
        let one = self.at(index);
        one.owns
            && owners == 1
            && evidence.sees_all_owners
            && !evidence.declares
            && !evidence.supervised
            && evidence.answer >= least
            && !one.forwards
    }

    /// Returns whether an ancestor may stand for all that is below it.
    fn excepts_nobody_below(&self, index: usize) -> bool {
        let below = self.below(index);
        below.iter().all(|it| self.exception(*it).is_none())
    }

    /// Returns whether another service of the inventory runs below a process.
    fn shares_with_other_service(&self, index: usize) -> bool {
        let others = |it: &usize| {
            matches!(
                self.exception(*it),
                Some(
                    Exception::OtherService(_)
                        | Exception::OtherAddress(_)
                        | Exception::OtherKeeper(_)
                )
            )
        };
        !self.at(index).owns && self.below(index).iter().any(others)
    }

    fn own(
        &self,
        index: usize,
        proof: ProcessProof,
        proved: &dyn Fn(usize) -> Option<ProcessProof>,
    ) -> OwnProcess {
        let one = self.at(index);
        let above = self.above(index);
        OwnProcess {
            running: one.running.clone(),
            proof,
            is_below: above.iter().any(|it| proved(*it).is_some()),
            owns: one.owns,
            line: one.line.clone(),
        }
    }

    fn named(&self, pid: u32) -> Ownership {
        let mut found = Ownership::default();
        let Some(index) = self.index_of(pid) else {
            return found;
        };
        let one = self.at(index);
        let in_pid_file = matches!(&self.evidence.pid_file, PidFileClaim::Names(process, _) if *process == one.running.process);
        let in_session = Some(one.session) == self.evidence.session;
        let kept = one.recorded.below_keeper && in_session;
        if one.owns || in_pid_file || one.recorded.leader || one.recorded.member || kept {
            found
                .own
                .push(self.own(index, ProcessProof::Named, &|_| None));
        } else {
            let why = "neither listens at its address nor stands in its pid file or its record";
            found
                .unproven
                .push(self.unproven_one(index, why.to_owned()));
        }
        found
    }

    fn unproven(&self, proved: &dyn Fn(usize) -> Option<ProcessProof>) -> Vec<UnprovenProcess> {
        let claimed = |index: usize| match &self.evidence.pid_file {
            PidFileClaim::Names(process, _) => self.at(index).running.process == *process,
            PidFileClaim::Nothing => false,
        };
        let all = 0..self.evidence.processes.len();
        all.filter(|it| (self.at(*it).owns || claimed(*it)) && proved(*it).is_none())
            .map(|index| self.unproven_one(index, self.why_unproven(index)))
            .collect()
    }

    fn unproven_one(&self, index: usize, why: String) -> UnprovenProcess {
        let one = self.at(index);
        let differs = match one.command {
            CommandMatch::Differs(what) if self.must_be_equal(index) => Some(what),
            _ => None,
        };
        UnprovenProcess {
            running: one.running.clone(),
            line: one.line.clone(),
            cwd: one.cwd.clone(),
            why,
            differs,
            listens: one.owns,
            is_of_another: matches!(
                self.exception(index),
                Some(Exception::OtherService(_) | Exception::OtherKeeper(_))
            ),
            held_by: one.held_by.clone(),
            may_be_named: self.evidence.named.is_none(),
            serves_others: matches!(
                self.exception(index),
                Some(
                    Exception::Init
                        | Exception::Kernel
                        | Exception::Ourselves
                        | Exception::Keeper
                        | Exception::Multiplexer
                        | Exception::Supervisor
                )
            ),
        }
    }

    /// Returns whether nothing but the command line could tell the process of the service from another one: no supervisor
    /// starts it, and nobody above it may have run the command.
    fn must_be_equal(&self, index: usize) -> bool {
        !self.evidence.supervised
            && !self
                .above(index)
                .iter()
                .any(|it| self.at(*it).command == CommandMatch::Runs)
    }

    fn why_unproven(&self, index: usize) -> String {
        let one = self.at(index);
        if let Some(exception) = self.exception(index) {
            return format!("it {exception}");
        }
        let runs = self.above(index);
        let runs = runs
            .iter()
            .find(|it| self.at(**it).command == CommandMatch::Runs);
        if let Some(above) = runs {
            let others = self.below(*above);
            let mut others = others
                .iter()
                .filter_map(|it| Some((*it, self.exception(*it)?)));
            if let Some((other, why)) = others.next() {
                let (above, other) = (&self.at(*above).running, &self.at(other).running);
                return format!(
                    "{above}, which runs its start command, has also started {other}, which {why}"
                );
            }
        }
        if let PidFileClaim::Names(process, doubt) = &self.evidence.pid_file {
            match doubt {
                Some(doubt) if *process == one.running.process => return doubt.clone(),
                None if *process == one.running.process => {
                    if let Some(leader) = self.contradicting_leader(index) {
                        let leader = &self.at(leader).running;
                        return format!(
                            "its pid file names it, but {leader}, which healthctl started, runs as well"
                        );
                    }
                }
                _ if *process != one.running.process => {
                    return format!("its pid file names pid {}", process.pid);
                }
                _ => {}
            }
        }
        match &one.command {
            CommandMatch::Differs(what) => format!("it is not what its start command runs: {what}"),
            CommandMatch::Unclear(why) => (*why).to_owned(),
            CommandMatch::Runs => "it has not listened when it was looked at".to_owned(),
        }
    }

    /// Returns a listener of each group that neither shares a socket nor a proved ancestor with another one.
    fn split(&self, proved: &dyn Fn(usize) -> Option<ProcessProof>) -> Vec<RunningProcess> {
        if self.evidence.replicas {
            return Vec::new();
        }
        let owners: Vec<usize> = (0..self.evidence.processes.len())
            .filter(|it| self.at(*it).owns)
            .collect();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for owner in owners {
            let (joined, mut others): (Vec<_>, Vec<_>) = groups
                .into_iter()
                .partition(|group| group.iter().any(|it| self.are_one(*it, owner, proved)));
            let mut group: Vec<usize> = joined.into_iter().flatten().collect();
            group.push(owner);
            others.push(group);
            groups = others;
        }
        if groups.len() < 2 {
            return Vec::new();
        }
        let heads = groups.iter().filter_map(|group| {
            let mut of_group = group.iter();
            let head = of_group.find(|it| {
                let above = self.above(**it);
                !group.iter().any(|other| above.contains(other))
            });
            head.or(group.first())
                .map(|it| self.at(*it).running.clone())
        });
        let mut heads: Vec<RunningProcess> = heads.collect();
        heads.sort_by_key(|one| one.process.pid);
        heads
    }

    fn are_one(
        &self,
        one: usize,
        other: usize,
        proved: &dyn Fn(usize) -> Option<ProcessProof>,
    ) -> bool {
        let (first, second) = (self.at(one), self.at(other));
        let shares_socket = !first.sockets.is_disjoint(&second.sockets);
        let (above_one, above_other) = (self.above(one), self.above(other));
        let related = above_one.contains(&other) || above_other.contains(&one);
        let shares_ancestor = above_one
            .iter()
            .any(|it| proved(*it).is_some() && above_other.contains(it));
        let both_recorded = first.recorded.any() && second.recorded.any();
        let is_pool = first.is_one_of_a_pool
            && second.is_one_of_a_pool
            && first.running.parent == second.running.parent;
        shares_socket || related || shares_ancestor || both_recorded || is_pool
    }
}

#[cfg(test)]
mod tests;
