//! One service as the demo has it: a seat, and the process that is in it, if any.
//!
//! It does not matter who has started the process: it takes the seat by attaching, learns what its
//! predecessor knew, and has left when its connection closes.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::announcement::Announcement;
use super::attachment::Assignment;
use super::fleet::{Convention, Member, PROCESS};
use super::line::Line;
use super::news::News;
use super::order::{Reached, Reply};
use super::{Error, Order, place};

/// How long a service may take to say where it listens.
pub(super) const START_LIMIT: Duration = Duration::from_secs(10);
/// How long a service may take to answer an order, and to end when it is let go.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What can happen to a seat.
#[derive(Debug)]
pub(super) enum Request {
    /// Somebody wants to take it.
    Attach(Newcomer),
    /// A hand wants something done.
    Order(Order, oneshot::Sender<Reply>),
}

/// A process that has attached.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) line: Line,
    pub(super) pid: Pid,
}

/// What all seats have in common.
#[derive(Debug, Clone)]
pub(super) struct House {
    pub(super) calm: bool,
    /// Known once the control plane is up.
    pub(super) control_plane: watch::Sender<Option<SocketAddr>>,
    pub(super) news: mpsc::UnboundedSender<News>,
    /// The end of the demo.
    pub(super) end: CancellationToken,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Seat {
    member: &'static Member,
    house: House,
    pid_file: PathBuf,
    requests: mpsc::Receiver<Request>,
    /// The process that the demo itself has started, until it has ended.
    child: Option<Child>,
    before: Announcement,
    orders: BTreeMap<String, Order>,
}

/// Who is in a seat.
enum Turn {
    Vacant,
    Taken(Newcomer),
    Over,
}

impl Seat {
    /// A seat that waits for `child`.
    pub(super) fn new(
        member: &'static Member,
        house: House,
        pid_file: PathBuf,
        requests: mpsc::Receiver<Request>,
        child: Child,
    ) -> Self {
        Self {
            member,
            house,
            pid_file,
            requests,
            child: Some(child),
            before: Announcement::default(),
            orders: BTreeMap::new(),
        }
    }

    /// Keeps it until the demo ends; then whoever was in it has gone.
    pub(super) async fn keep(mut self) {
        let mut turn = Turn::Vacant;
        loop {
            turn = match turn {
                Turn::Vacant => self.wait().await,
                Turn::Taken(newcomer) => self.attend(newcomer).await,
                Turn::Over => break,
            };
        }
        if let Some(child) = self.child {
            reap(child).await;
        }
    }

    async fn wait(&mut self) -> Turn {
        loop {
            tokio::select! {
                () = self.house.end.cancelled() => return Turn::Over,
                () = exit(&mut self.child) => self.tell(News::Failed { service: self.member.name }),
                request = self.requests.recv() => match request {
                    None => return Turn::Over,
                    Some(Request::Attach(newcomer)) => return Turn::Taken(newcomer),
                    Some(Request::Order(order, reply)) => {
                        // Who asked may have gone.
                        let _ = reply.send(self.keep_in_mind(order));
                    }
                },
            }
        }
    }

    /// An order for nobody: whoever comes next finds it carried out.
    fn keep_in_mind(&mut self, order: Order) -> Reply {
        if order.dependency == PROCESS {
            return Err(Error::new(format!("{} does not run", order.service)));
        }
        self.orders.insert(order.dependency.clone(), order);
        Ok(Reached::AtStart)
    }

    /// Sees a process from its coming to its end.
    async fn attend(&mut self, newcomer: Newcomer) -> Turn {
        let Newcomer { mut line, pid } = newcomer;
        let end = self.house.end.clone();
        let came = end.run_until_cancelled(self.settle(&mut line, pid)).await;
        let turn = match came {
            None => Turn::Over,
            Some(None) => Turn::Vacant,
            Some(Some(ref announcement)) => {
                self.welcome(pid, announcement);
                self.pass_on(&mut line, pid).await
            }
        };
        let status = self.let_go(line, pid).await;
        let service = self.member.name;
        self.tell(match came {
            Some(None) => News::Failed { service },
            _ => News::Ended { service, status },
        });
        turn
    }

    /// Tells it what it has to know and waits until it says where it is.
    async fn settle(&self, line: &mut Line, pid: Pid) -> Option<Announcement> {
        let settled = async {
            let assignment = self.assignment().await?;
            // It is there before anybody can find the service well.
            let written = place::write(&self.pid_file, &format!("{}\n", pid.as_raw_nonzero()));
            line.say(&written.map(|()| assignment)).await.ok()?;
            line.hear().await.ok()?
        };
        timeout(START_LIMIT, settled).await.ok()?
    }

    async fn assignment(&self) -> Option<Assignment> {
        let control_plane = if self.member.convention.reports() {
            let mut address = self.house.control_plane.subscribe();
            *address.wait_for(Option::is_some).await.ok()?
        } else {
            None
        };
        Some(Assignment {
            calm: self.house.calm,
            control_plane,
            before: self.before.clone(),
            orders: self.orders.values().cloned().collect(),
        })
    }

    /// Passes orders on until it has ended or its time is over.
    async fn pass_on(&mut self, line: &mut Line, pid: Pid) -> Turn {
        loop {
            tokio::select! {
                () = self.house.end.cancelled() => return Turn::Over,
                () = line.closed() => return Turn::Vacant,
                request = self.requests.recv() => match request {
                    None => return Turn::Over,
                    Some(Request::Attach(next)) => {
                        // A predecessor that has just gone may not have been noticed yet.
                        if timeout(ANSWER_LIMIT, line.closed()).await.is_ok() {
                            return Turn::Taken(next);
                        }
                        self.refuse(next, pid).await;
                    }
                    Some(Request::Order(order, reply)) => {
                        // Who asked may have gone.
                        let _ = reply.send(self.have_done(line, pid, order).await);
                    }
                },
            }
        }
    }

    async fn refuse(&self, mut newcomer: Newcomer, pid: Pid) {
        let answer: Result<Assignment, _> = Err(Error::hint(
            format!("{} runs already, process {pid}", self.member.name),
            "it may still be draining; a service has one process at a time",
        ));
        // Who has gone need not be told.
        let _ = newcomer.line.say(&answer).await;
    }

    async fn have_done(&mut self, line: &mut Line, pid: Pid, order: Order) -> Reply {
        let name = self.member.name;
        if order.dependency == PROCESS {
            // While its connection is open the id is still its own.
            return kill_process(pid, Signal::KILL)
                .map(|()| Reached::Now)
                .map_err(|error| Error::new(format!("cannot kill {name}: {error}")));
        }
        let exchange = async {
            line.say(&order).await.ok()?;
            line.hear().await.ok()?
        };
        let answer = timeout(ANSWER_LIMIT, exchange).await;
        self.orders.insert(order.dependency.clone(), order);
        match answer {
            Ok(Some(reached)) => Ok(reached),
            // It has just gone: so it is for the next one.
            Ok(None) => Ok(Reached::AtStart),
            Err(_) => Err(Error::new(format!("{name} does not answer"))),
        }
    }

    /// Has it end, and waits until it has gone.
    async fn let_go(&mut self, mut line: Line, pid: Pid) -> Option<ExitStatus> {
        line.fall_silent().await;
        if timeout(ANSWER_LIMIT, line.closed()).await.is_err() {
            // While its connection is open the id is still its own.
            let _ = kill_process(pid, Signal::KILL);
            line.closed().await;
        }
        let id = u32::try_from(pid.as_raw_nonzero().get()).ok();
        let status = match self.child.take_if(|child| child.id() == id) {
            Some(child) => reap(child).await,
            None => None,
        };
        // It is missing where it could not be written.
        let _ = fs::remove_file(&self.pid_file);
        status
    }

    fn welcome(&mut self, pid: Pid, announcement: &Announcement) {
        if self.member.convention == Convention::ControlPlane {
            self.house.control_plane.send_replace(announcement.address);
        }
        self.before = announcement.clone();
        self.tell(News::Up {
            service: self.member.name,
            pid,
            announcement: announcement.clone(),
        });
    }

    fn tell(&self, news: News) {
        // Nobody has to listen.
        let _ = self.house.news.send(news);
    }
}

/// The end of the child; never, where there is none.
async fn exit(child: &mut Option<Child>) {
    match child {
        Some(running) => {
            // An error means that it has gone already.
            let _ = running.wait().await;
            *child = None;
        }
        None => std::future::pending().await,
    }
}

/// How it has ended; one that does not end is made to.
async fn reap(mut child: Child) -> Option<ExitStatus> {
    if let Ok(status) = timeout(ANSWER_LIMIT, child.wait()).await {
        return status.ok();
    }
    // It cannot be killed only when it has gone already.
    let _ = child.kill().await;
    child.wait().await.ok()
}
