//! The supervisor: starts each service of the fleet, tracks its process, sends it fault commands, and ends all of
//! them with the demo.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use parking_lot::Mutex;
use rustix::process::Pid;
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::directory::{self, DemoDirectory};
use super::fault::{FaultApplied, FaultCommand};
use super::fleet::{self, CONTROL_PLANE, FLEET, PROCESS, ServiceDefinition};
use super::protocol::{Assignment, ControlConnection, ControlRequest, Endpoints, FaultReply};
use super::{Error, inventory, program};

/// The time that a service has to report where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that a service has to apply a fault command, which includes its checks.
const FAULT_TIMEOUT: Duration = Duration::from_secs(20);
/// The time that a service has to exit when it is told to, and that the next process waits for its exit.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The running fleet. It ends with [`Demo::end`], when it is dropped, or when this process dies.
#[derive(Debug)]
pub(crate) struct Demo {
    supervisor: Arc<Supervisor>,
    events: mpsc::UnboundedReceiver<DemoEvent>,
    /// The processes that the demo has started itself; they are killed before the directory is removed.
    children: BTreeMap<&'static str, Child>,
    directory: DemoDirectory,
}

/// A change of the process of a service.
#[derive(Debug)]
pub(crate) struct DemoEvent {
    service: &'static str,
    pid: Pid,
    pub(crate) change: ProcessChange,
}

#[derive(Debug)]
pub(crate) enum ProcessChange {
    Restarted,
    /// The process exited before it reported where it listens.
    StartFailed,
    /// The status is known of processes that the demo has started itself.
    Exited(Option<ExitStatus>),
}

/// Kills a process of the demo. It comes from the caller, since one module of the program sends all signals.
pub(crate) type KillProcess = fn(Pid) -> io::Result<()>;

#[derive(Debug)]
struct Supervisor {
    calm: bool,
    kill: KillProcess,
    directory: PathBuf,
    /// A lock for each service: it has one process at a time.
    exclusive: BTreeMap<&'static str, Exclusive>,
    /// The process of each service, whoever has started it. It has exited when its connection closes.
    attached: Mutex<BTreeMap<&'static str, AttachedProcess>>,
    /// The last fault command for each target.
    faults: Mutex<Vec<FaultCommand>>,
    /// The endpoints that the last process of each service has reported.
    started: watch::Sender<EndpointsByService>,
    events: mpsc::UnboundedSender<DemoEvent>,
    shutdown: CancellationToken,
    connections: TaskTracker,
}

/// The lock that a service holds while a process is attached.
type Exclusive = tokio::sync::Mutex<()>;

type EndpointsByService = BTreeMap<&'static str, Endpoints>;

#[derive(Debug, Clone)]
struct AttachedProcess {
    pid: Pid,
    commands: mpsc::Sender<(FaultCommand, oneshot::Sender<FaultReply>)>,
}

impl Demo {
    /// Starts the fleet and writes its inventory.
    pub(crate) async fn start(calm: bool, kill: KillProcess) -> Result<Self, Error> {
        let directory = DemoDirectory::create()?;
        program::write_sources(&directory)?;
        let socket = directory::socket_beside(&directory.inventory());
        let listener = UnixListener::bind(&socket)
            .map_err(|error| Error::file("listen on", &socket, &error))?;
        let (sender, events) = mpsc::unbounded_channel();
        let names = FLEET.iter().map(|definition| definition.name);
        let mut children = BTreeMap::new();
        for name in names.clone() {
            let child = spawn(name, &directory)
                .map_err(|error| Error::new(format!("cannot start {name}: {error}")))?;
            children.insert(name, child);
        }
        let supervisor = Arc::new(Supervisor {
            calm,
            kill,
            directory: directory.path.clone(),
            exclusive: names.map(|name| (name, Exclusive::default())).collect(),
            attached: Mutex::default(),
            faults: Mutex::default(),
            started: watch::Sender::default(),
            events: sender,
            shutdown: CancellationToken::new(),
            connections: TaskTracker::new(),
        });
        let accepting = Arc::clone(&supervisor).accept(listener);
        supervisor.connections.spawn(accepting);

        let mut started = supervisor.started.subscribe();
        let exits = children.iter_mut().map(|(name, child)| {
            Box::pin(async move { child.wait().await.map_or(*name, |_| *name) })
        });
        let endpoints = tokio::select! {
            biased;
            Ok(all) = started.wait_for(|all| all.len() == FLEET.len()) => endpoints(&all),
            (name, _, _) = select_all(exits) => {
                let log = directory.path.join(directory::log_file(name));
                let log = fs::read_to_string(log).unwrap_or_default();
                return Err(Error::new(format!("{name} did not start: {}", log.trim())));
            }
            () = sleep(START_TIMEOUT) => return Err(Error::new("the demo did not start in time")),
        };
        let text = inventory::text(&endpoints, &program::path());
        directory::write(&directory.inventory(), &text)?;
        Ok(Self {
            supervisor,
            events,
            children,
            directory,
        })
    }

    /// Returns the path of the inventory.
    pub(crate) fn inventory(&self) -> PathBuf {
        self.directory.inventory()
    }

    /// Waits for the next service that exits or is started again.
    pub(crate) async fn event(&mut self) -> Option<DemoEvent> {
        let mut event = self.events.recv().await?;
        if let ProcessChange::Exited(status) = &mut event.change
            && let Some(child) = self.children.get_mut(event.service)
            && child.id() == Some(event.pid.as_raw_pid().cast_unsigned())
        {
            *status = child.wait().await.ok();
        }
        Some(event)
    }

    /// Ends all services and waits until their processes have exited.
    pub(crate) async fn end(self) {
        self.supervisor.shutdown.cancel();
        self.supervisor.connections.close();
        self.supervisor.connections.wait().await;
    }
}

/// Starts a service as anybody may who has read the inventory.
fn spawn(service: &str, directory: &DemoDirectory) -> io::Result<Child> {
    let output = File::create(directory.path.join(directory::log_file(service)))?;
    program::command()
        .args(["demo", "service", service])
        .current_dir(&directory.path)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
}

impl Supervisor {
    async fn accept(self: Arc<Self>, listener: UnixListener) {
        let accept = || self.shutdown.run_until_cancelled(listener.accept());
        while let Some(accepted) = accept().await {
            if let Ok((stream, _)) = accepted {
                self.connections.spawn(Arc::clone(&self).serve(stream));
            }
        }
    }

    /// Serves one connection. A client that disconnects early gets no reply.
    async fn serve(self: Arc<Self>, stream: UnixStream) {
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let mut connection = ControlConnection::new(stream);
        let request = connection.receive();
        let Some(request) = self.shutdown.run_until_cancelled(request).await else {
            return;
        };
        let reply: FaultReply = match request {
            Ok(None) => return,
            Ok(Some(ControlRequest::Fault(command))) => self.apply(command).await,
            Ok(Some(ControlRequest::Attach(name))) => {
                match (fleet::find(&name), pid.and_then(Pid::from_raw)) {
                    (Some(definition), Some(pid)) => {
                        return self.attach(definition, connection, pid).await;
                    }
                    (None, _) => Err(Error::new(format!("the demo has no service `{name}`"))),
                    (_, None) => Err(Error::new("the pid of the client is not available here")),
                }
            }
            Err(error) => Err(Error::new(format!("invalid request: {error}"))),
        };
        let _ = connection.send(&reply).await;
    }

    /// Applies a fault command to the attached process, and remembers it for the next one.
    async fn apply(&self, command: FaultCommand) -> FaultReply {
        command.validate()?;
        let name = command.service.clone();
        let attached = || self.attached.lock().get(name.as_str()).cloned();
        if command.target == PROCESS {
            let process = attached().ok_or_else(|| Error::new(format!("{name} is not running")))?;
            // As long as its connection is open, the pid belongs to the process.
            return (self.kill)(process.pid)
                .map(|()| FaultApplied::Now)
                .map_err(|error| Error::new(format!("cannot kill {name}: {error}")));
        }
        {
            let mut faults = self.faults.lock();
            faults.retain(|it| it.service != name || it.target != command.target);
            faults.push(command.clone());
        }
        let Some(process) = attached() else {
            return Ok(FaultApplied::AtStart);
        };
        let (reply, receiver) = oneshot::channel();
        // A process that exits drops the command, which is then for the next one.
        let _ = process.commands.send((command, reply)).await;
        receiver.await.unwrap_or(Ok(FaultApplied::AtStart))
    }

    /// Tracks a process from its first message until it has exited.
    async fn attach(
        &self,
        definition: &'static ServiceDefinition,
        mut connection: ControlConnection,
        pid: Pid,
    ) {
        let service = definition.name;
        let Some(exclusive) = self.exclusive.get(service) else {
            return;
        };
        // A process that has just exited may not have been noticed yet.
        let Ok(_exclusive) = timeout(EXIT_TIMEOUT, exclusive.lock()).await else {
            let running = self.attached.lock().get(service).map(|process| process.pid);
            let pid = running.map_or_else(String::new, |pid| format!(", pid {pid}"));
            let refusal: Result<Assignment, _> = Err(Error::hint(
                format!("{service} is already running{pid}"),
                "it may still be draining; a service has one process at a time",
            ));
            let _ = connection.send(&refusal).await;
            return;
        };
        let pid_file = self.directory.join(directory::pid_file(service));
        // The pid file exists before anybody can see that the service is healthy.
        let written = directory::write(&pid_file, &format!("{pid}\n"));
        let (commands, receiver) = mpsc::channel(1);
        self.attached
            .lock()
            .insert(service, AttachedProcess { pid, commands });
        let starting = timeout(
            START_TIMEOUT,
            self.assign(definition, &mut connection, written),
        );
        let started = self.shutdown.run_until_cancelled(starting).await;
        let endpoints = started.and_then(Result::ok).flatten();
        let emit = |change| {
            // The receiver is gone when the demo ends.
            let _ = self.events.send(DemoEvent {
                service,
                pid,
                change,
            });
        };
        let mut end_change = ProcessChange::StartFailed;
        if let Some(endpoints) = endpoints {
            end_change = ProcessChange::Exited(None);
            let mut before = None;
            self.started
                .send_modify(|all| before = all.insert(service, endpoints));
            if before.is_some() {
                emit(ProcessChange::Restarted);
            }
            self.forward(service, receiver, &mut connection).await;
        }
        self.attached.lock().remove(service);
        end(connection, pid, self.kill).await;
        // The file is missing if it could not be written.
        let _ = fs::remove_file(pid_file);
        emit(end_change);
    }

    /// Sends a process its assignment and returns the endpoints that it reports, or `None` if it exits before.
    async fn assign(
        &self,
        definition: &ServiceDefinition,
        connection: &mut ControlConnection,
        written: Result<(), Error>,
    ) -> Option<Endpoints> {
        let mut started = self.started.subscribe();
        let is_ready = |all: &EndpointsByService| {
            !definition.convention.needs_control_plane() || all.contains_key(CONTROL_PLANE)
        };
        let endpoints = endpoints(&*started.wait_for(is_ready).await.ok()?);
        let mut faults = self.faults.lock().clone();
        faults.retain(|command| command.service == definition.name);
        let assignment = Assignment {
            calm: self.calm,
            endpoints,
            faults,
        };
        connection.send(&written.map(|()| assignment)).await.ok()?;
        connection.receive().await.ok()?
    }

    /// Sends fault commands to the process until it exits or the demo ends.
    async fn forward(
        &self,
        service: &str,
        mut commands: mpsc::Receiver<(FaultCommand, oneshot::Sender<FaultReply>)>,
        connection: &mut ControlConnection,
    ) {
        loop {
            let (command, reply) = tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = connection.closed() => return,
                Some(command) = commands.recv() => command,
            };
            let exchange = async {
                connection.send(&command).await?;
                connection.receive().await
            };
            let applied = match timeout(FAULT_TIMEOUT, exchange).await {
                Ok(Ok(Some(()))) => Ok(FaultApplied::Now),
                Ok(_) => return,
                Err(_) => Err(Error::new(format!("{service} does not answer"))),
            };
            // The client may have disconnected.
            let _ = reply.send(applied);
        }
    }
}

/// Tells the process to exit, and waits until it has.
async fn end(mut connection: ControlConnection, pid: Pid, kill: KillProcess) {
    connection.close_sending().await;
    if timeout(EXIT_TIMEOUT, connection.closed()).await.is_err() {
        // As long as its connection is open, the pid belongs to the process.
        let _ = kill(pid);
        connection.closed().await;
    }
}

fn endpoints(started: &EndpointsByService) -> Endpoints {
    let all = started.values().flatten();
    all.map(|(name, address)| (name.clone(), *address))
        .collect()
}

impl fmt::Display for DemoEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.service;
        match self.change {
            ProcessChange::Restarted => {
                write!(formatter, "{service} was restarted, pid {}", self.pid)
            }
            ProcessChange::StartFailed => write!(formatter, "{service} did not start"),
            ProcessChange::Exited(Some(status)) => write!(formatter, "{service} exited: {status}"),
            ProcessChange::Exited(None) => write!(formatter, "{service} exited"),
        }
    }
}
