//! Starts the services of the fleet, passes orders on to them, and sees them end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::announcement::Announcement;
use super::fleet::{Convention, FLEET, Member, PROCESS};
use super::place::Place;
use super::{Error, Order, control, inventory, program};

/// How long a service may take to say where it listens.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long a service may take to answer an order, and to end when it is told to.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

type Request = (Order, oneshot::Sender<Result<(), Error>>);

/// The running fleet. Ends with [`Demo::end`], or when it is dropped, or when this process dies.
#[derive(Debug)]
pub(crate) struct Demo {
    crew: Crew,
    // Declared before the place: nobody writes there any more when it is removed.
    tasks: JoinSet<()>,
    control: JoinSet<()>,
    exits: mpsc::UnboundedReceiver<Exited>,
    place: Place,
}

/// A service that has ended, by itself or because it was told to.
#[derive(Debug)]
pub(crate) struct Exited {
    /// Its name.
    pub(crate) service: &'static str,
    /// How.
    pub(crate) status: ExitStatus,
}

/// Where orders go, by the name of the service.
#[derive(Debug, Clone)]
pub(super) struct Crew {
    orders: BTreeMap<&'static str, mpsc::Sender<Request>>,
}

impl Demo {
    /// Starts the fleet and writes its inventory.
    pub(crate) async fn start(calm: bool) -> Result<Self, Error> {
        let place = Place::make()?;
        let mut members = Vec::new();
        let mut started = Vec::new();
        let mut control_plane = None;
        for member in FLEET {
            let mut process = Process::spawn(member, calm, control_plane, &place)?;
            if member.convention == Convention::ControlPlane {
                // The others report to it.
                process.wait_until_up(&place).await?;
                control_plane = process.announcement.address;
            }
            started.push(process);
        }
        let mut tasks = JoinSet::new();
        let (exited, exits) = mpsc::unbounded_channel();
        let mut orders = BTreeMap::new();
        for mut process in started {
            let member = process.member;
            process.wait_until_up(&place).await?;
            members.push((member, process.announcement.clone()));
            let (sender, receiver) = mpsc::channel(1);
            orders.insert(member.name, sender);
            tasks.spawn(process.attend(receiver, exited.clone()));
        }
        let path = place.inventory();
        write(&path, &inventory::text(&members))?;
        let crew = Crew { orders };
        let mut control = JoinSet::new();
        control.spawn(control::serve(
            control::listen(&place.socket())?,
            crew.clone(),
        ));
        Ok(Self {
            crew,
            tasks,
            control,
            exits,
            place,
        })
    }

    /// The inventory file.
    pub(crate) fn inventory(&self) -> PathBuf {
        self.place.inventory()
    }

    /// The next service that ends.
    pub(crate) async fn exited(&mut self) -> Option<Exited> {
        self.exits.recv().await
    }

    /// Ends all services and waits until they have gone.
    pub(crate) async fn end(mut self) {
        self.control.shutdown().await;
        // Without anybody to give orders each process is let go.
        drop(self.crew);
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Crew {
    /// Has an order carried out and tells what has become of it.
    pub(super) async fn carry_out(&self, order: Order) -> Result<(), Error> {
        order.check()?;
        let gone = || {
            Error::new(format!(
                "{} has ended; the demo does not start it again",
                order.service
            ))
        };
        let orders = self.orders.get(order.service.as_str()).ok_or_else(gone)?;
        let (sender, receiver) = oneshot::channel();
        orders
            .send((order.clone(), sender))
            .await
            .map_err(|_| gone())?;
        receiver.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// One service's process.
#[derive(Debug)]
struct Process {
    member: &'static Member,
    child: Child,
    /// Its life line: when this closes, by whatever means, the service ends.
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    announcement: Announcement,
    is_up: bool,
    pid_file: PathBuf,
}

impl Process {
    fn spawn(
        member: &'static Member,
        calm: bool,
        control_plane: Option<SocketAddr>,
        place: &Place,
    ) -> Result<Self, Error> {
        let name = member.name;
        let failed = |error: std::io::Error| Error::new(format!("cannot start {name}: {error}"));
        let log = File::create(place.log(name)).map_err(failed)?;
        let mut command = program::command();
        command.args(["demo", "service", name]);
        if let Some(address) = control_plane {
            command.args(["--control-plane", &address.to_string()]);
        }
        command
            .args(calm.then_some("--calm"))
            // What it keeps in files is beside the inventory and goes with it.
            .current_dir(place.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().map_err(failed)?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::new(format!("{name} has no pipes")));
        };
        let pid_file = place.file(&inventory::pid_file(member));
        if let Some(pid) = child.id() {
            write(&pid_file, &format!("{pid}\n"))?;
        }
        Ok(Self {
            member,
            child,
            orders,
            answers: BufReader::new(answers).lines(),
            announcement: Announcement::default(),
            is_up: false,
            pid_file,
        })
    }

    /// Waits until it says where it is.
    async fn wait_until_up(&mut self, place: &Place) -> Result<(), Error> {
        if self.is_up {
            return Ok(());
        }
        let line = timeout(START_LIMIT, self.answers.next_line()).await;
        if let Ok(Ok(Some(line))) = &line
            && let Ok(announcement) = serde_json::from_str(line)
        {
            self.announcement = announcement;
            self.is_up = true;
            return Ok(());
        }
        let said = fs::read_to_string(place.log(self.member.name)).unwrap_or_default();
        Err(Error::new(format!(
            "{} did not start: {}",
            self.member.name,
            said.trim()
        )))
    }

    /// Passes orders on until it ends or nobody is left to give any; then it has gone.
    async fn attend(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        exited: mpsc::UnboundedSender<Exited>,
    ) {
        loop {
            tokio::select! {
                // Awaited at once, so that a service that was shut down leaves no zombie.
                status = self.child.wait() => {
                    if let Ok(status) = status {
                        let service = self.member.name;
                        // Nobody has to listen.
                        let _ = exited.send(Exited { service, status });
                    }
                    break;
                }
                request = requests.recv() => {
                    let Some((order, reply)) = request else {
                        break;
                    };
                    // Who asked may have gone.
                    let _ = reply.send(self.pass_on(&order).await);
                }
            }
        }
        drop(self.orders);
        if timeout(ANSWER_LIMIT, self.child.wait()).await.is_err() {
            // It cannot be killed only when it has gone already.
            let _ = self.child.kill().await;
        }
        let _ = fs::remove_file(&self.pid_file);
    }

    async fn pass_on(&mut self, order: &Order) -> Result<(), Error> {
        if order.dependency == PROCESS {
            let name = &order.service;
            return self
                .child
                .start_kill()
                .map_err(|error| Error::new(format!("cannot kill {name}: {error}")));
        }
        let lost = || Error::new(format!("{} does not answer", order.service));
        let mut line = serde_json::to_string(order).map_err(|_| lost())?;
        line.push('\n');
        let exchange = async {
            self.orders.write_all(line.as_bytes()).await.ok()?;
            self.answers.next_line().await.ok()?
        };
        match timeout(ANSWER_LIMIT, exchange).await {
            Ok(Some(answer)) if answer == "done" => Ok(()),
            _ => Err(lost()),
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|error| Error::file("write", path, &error))
}
