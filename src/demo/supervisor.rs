//! The supervisor: starts each service of the fleet, tracks its process, sends it fault commands, and ends all of
//! them with the demo.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::directory::{self, DemoDirectory};
use super::fault::{FaultApplied, FaultCommand};
use super::fleet::{FLEET, PROCESS, ServiceDefinition};
use super::protocol::{Assignment, Connection, ControlRequest, Endpoints, FaultReply};
use super::{Error, inventory, program};

/// The time that a service has to report where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that a service has to apply a fault command, and to exit when it is told to.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

/// The running fleet. It ends with [`Demo::end`], when it is dropped, or when this process dies.
#[derive(Debug)]
pub(crate) struct Demo {
    supervisor: Arc<Supervisor>,
    events: mpsc::UnboundedReceiver<DemoEvent>,
    // Declared before the directory: no process writes there any more when it is removed.
    children: JoinSet<()>,
    directory: DemoDirectory,
}

/// A change of the process of a service.
#[derive(Debug)]
pub(crate) enum DemoEvent {
    Restarted {
        service: &'static str,
        pid: Pid,
    },
    /// The process exited before it reported where it listens.
    StartFailed {
        service: &'static str,
    },
    /// The status is known of processes that the demo has started itself.
    Exited {
        service: &'static str,
        status: Option<ExitStatus>,
    },
}

#[derive(Debug)]
struct Supervisor {
    calm: bool,
    services: BTreeMap<&'static str, SupervisedService>,
    events: mpsc::UnboundedSender<DemoEvent>,
    shutdown: CancellationToken,
    connections: TaskTracker,
}

/// A service and its process, whoever has started that: it attaches, and has exited when its connection closes.
#[derive(Debug)]
struct SupervisedService {
    definition: &'static ServiceDefinition,
    pid_file: PathBuf,
    log: PathBuf,
    /// The process that the demo has started, and its status once it has exited.
    child: Option<Pid>,
    child_exit: watch::Receiver<Option<ExitStatus>>,
    /// Held for as long as a process is attached: a service has one process at a time.
    exclusive: tokio::sync::Mutex<()>,
    attached: Mutex<Option<AttachedProcess>>,
    /// The last fault command for each target.
    faults: Mutex<BTreeMap<String, FaultCommand>>,
    /// The endpoints of the last process that reported them.
    endpoints: watch::Sender<Option<Endpoints>>,
}

#[derive(Debug, Clone)]
struct AttachedProcess {
    pid: Pid,
    commands: mpsc::Sender<(FaultCommand, oneshot::Sender<FaultReply>)>,
}

impl Demo {
    /// Starts the fleet and writes its inventory.
    pub(crate) async fn start(calm: bool) -> Result<Self, Error> {
        let directory = DemoDirectory::create()?;
        program::write_sources(&directory)?;
        let socket = directory::socket_beside(&directory.inventory());
        let listener = UnixListener::bind(&socket)
            .map_err(|error| Error::file("listen on", &socket, &error))?;
        let (sender, events) = mpsc::unbounded_channel();
        let mut children = JoinSet::new();
        let mut services = BTreeMap::new();
        for definition in FLEET {
            let service = SupervisedService::start(definition, &directory, &mut children)?;
            services.insert(definition.name, service);
        }
        let supervisor = Arc::new(Supervisor {
            calm,
            services,
            events: sender,
            shutdown: CancellationToken::new(),
            connections: TaskTracker::new(),
        });
        let accepting = Arc::clone(&supervisor).accept(listener);
        supervisor.connections.spawn(accepting);
        let endpoints = timeout(START_TIMEOUT, supervisor.endpoints())
            .await
            .unwrap_or_else(|_| Err(Error::new("the demo did not start in time")))?;
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
        self.events.recv().await
    }

    /// Ends all services and waits until their processes have exited.
    pub(crate) async fn end(mut self) {
        self.supervisor.shutdown.cancel();
        self.supervisor.connections.close();
        self.supervisor.connections.wait().await;
        self.children.shutdown().await;
    }
}

impl Supervisor {
    async fn accept(self: Arc<Self>, listener: UnixListener) {
        loop {
            let accepted = self.shutdown.run_until_cancelled(listener.accept()).await;
            match accepted {
                None => return,
                Some(Err(_)) => {}
                Some(Ok((stream, _))) => {
                    let connection = Arc::clone(&self).serve(stream);
                    self.connections.spawn(connection);
                }
            }
        }
    }

    /// Serves one connection. A client that disconnects early gets no reply.
    async fn serve(self: Arc<Self>, stream: UnixStream) {
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let mut connection = Connection::new(stream);
        let request = connection.receive();
        let Some(request) = self.shutdown.run_until_cancelled(request).await else {
            return;
        };
        let reply: FaultReply = match request {
            Ok(None) => return,
            Ok(Some(ControlRequest::Fault(command))) => self.apply(command).await,
            Ok(Some(ControlRequest::Attach(name))) => {
                let service = self.services.get(name.as_str());
                match (service, pid.and_then(Pid::from_raw)) {
                    (Some(service), Some(pid)) => {
                        return self.attach(service, connection, pid).await;
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
        let ending = || Error::new("the demo is ending");
        let service = self.services.get(name.as_str()).ok_or_else(ending)?;
        if command.target == PROCESS {
            let Some(process) = service.attached().clone() else {
                return Err(Error::new(format!("{name} is not running")));
            };
            // As long as its connection is open, the pid belongs to the process.
            return kill_process(process.pid, Signal::KILL)
                .map(|()| FaultApplied::Now)
                .map_err(|error| Error::new(format!("cannot kill {name}: {error}")));
        }
        lock(&service.faults).insert(command.target.clone(), command.clone());
        let process = service.attached().clone();
        let Some(process) = process else {
            return Ok(FaultApplied::AtStart);
        };
        let (reply, receiver) = oneshot::channel();
        // A process that exits drops the command, which is then for the next one.
        let _ = process.commands.send((command, reply)).await;
        receiver.await.unwrap_or(Ok(FaultApplied::AtStart))
    }

    /// Tracks a process from its first message until it has exited.
    async fn attach(&self, service: &SupervisedService, mut connection: Connection, pid: Pid) {
        let name = service.definition.name;
        // A process that has just exited may not have been noticed yet.
        let Ok(_exclusive) = timeout(REPLY_TIMEOUT, service.exclusive.lock()).await else {
            let running = service.attached().as_ref().map(|process| process.pid);
            let pid = running.map_or_else(String::new, |pid| format!(", pid {pid}"));
            let refusal: Result<Assignment, _> = Err(Error::hint(
                format!("{name} is already running{pid}"),
                "it may still be draining; a service has one process at a time",
            ));
            let _ = connection.send(&refusal).await;
            return;
        };
        let (commands, receiver) = mpsc::channel(1);
        *service.attached() = Some(AttachedProcess { pid, commands });
        let starting = timeout(START_TIMEOUT, self.assign(service, &mut connection, pid));
        let started = match self.shutdown.run_until_cancelled(starting).await {
            Some(Ok(Some(endpoints))) => {
                if service.endpoints.send_replace(Some(endpoints)).is_some() {
                    self.emit(DemoEvent::Restarted { service: name, pid });
                }
                self.forward(name, receiver, &mut connection).await;
                true
            }
            _ => false,
        };
        *service.attached() = None;
        end(connection, pid).await;
        // The file is missing if it could not be written.
        let _ = fs::remove_file(&service.pid_file);
        self.emit(if started {
            let status = service.exit_status(pid).await;
            DemoEvent::Exited {
                service: name,
                status,
            }
        } else {
            DemoEvent::StartFailed { service: name }
        });
    }

    /// Sends a process its assignment and returns the endpoints that it reports, or `None` if it exits before.
    async fn assign(
        &self,
        service: &SupervisedService,
        connection: &mut Connection,
        pid: Pid,
    ) -> Option<Endpoints> {
        let control_plane = if service.definition.convention.needs_control_plane() {
            let control_plane = self.services.get("control-plane")?;
            let endpoints = control_plane.reported_endpoints().await?;
            endpoints.get("control-plane").copied()
        } else {
            None
        };
        let assignment = Assignment {
            calm: self.calm,
            control_plane,
            endpoints: service.endpoints.borrow().clone().unwrap_or_default(),
            faults: lock(&service.faults).values().cloned().collect(),
        };
        // The pid file exists before anybody can see that the service is healthy.
        let written = directory::write(&service.pid_file, &format!("{}\n", pid.as_raw_nonzero()));
        connection.send(&written.map(|()| assignment)).await.ok()?;
        connection.receive().await.ok()?
    }

    /// Sends fault commands to the process until it exits or the demo ends.
    async fn forward(
        &self,
        name: &str,
        mut commands: mpsc::Receiver<(FaultCommand, oneshot::Sender<FaultReply>)>,
        connection: &mut Connection,
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
            let applied = match timeout(REPLY_TIMEOUT, exchange).await {
                Ok(Ok(Some(()))) => Ok(FaultApplied::Now),
                Ok(_) => return,
                Err(_) => Err(Error::new(format!("{name} does not answer"))),
            };
            // The client may have disconnected.
            let _ = reply.send(applied);
        }
    }

    /// Waits until every service has started and returns the endpoints of all.
    async fn endpoints(&self) -> Result<Endpoints, Error> {
        let mut all = Endpoints::new();
        for definition in FLEET {
            let Some(service) = self.services.get(definition.name) else {
                continue;
            };
            let mut exit = service.child_exit.clone();
            tokio::select! {
                biased;
                Some(endpoints) = service.reported_endpoints() => all.extend(endpoints),
                _ = exit.wait_for(Option::is_some) => {
                    let log = fs::read_to_string(&service.log).unwrap_or_default();
                    let name = definition.name;
                    return Err(Error::new(format!("{name} did not start: {}", log.trim())));
                }
            }
        }
        Ok(all)
    }

    fn emit(&self, event: DemoEvent) {
        // The receiver is gone when the demo ends.
        let _ = self.events.send(event);
    }
}

impl SupervisedService {
    /// Starts the process as anybody may who has read the inventory.
    fn start(
        definition: &'static ServiceDefinition,
        directory: &DemoDirectory,
        children: &mut JoinSet<()>,
    ) -> Result<Self, Error> {
        let name = definition.name;
        let log = directory.file(&directory::log_file(name));
        let spawn = || {
            let output = File::create(&log)?;
            program::command()
                .args(["demo", "service", name])
                .current_dir(directory.path())
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output)
                .spawn()
        };
        let mut child: Child =
            spawn().map_err(|error| Error::new(format!("cannot start {name}: {error}")))?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let (exit, child_exit) = watch::channel(None);
        children.spawn(async move {
            let status = child.wait().await.ok();
            exit.send_replace(status);
        });
        Ok(Self {
            definition,
            pid_file: directory.file(&directory::pid_file(name)),
            log,
            child: pid,
            child_exit,
            exclusive: tokio::sync::Mutex::default(),
            attached: Mutex::default(),
            faults: Mutex::default(),
            endpoints: watch::Sender::new(None),
        })
    }

    fn attached(&self) -> MutexGuard<'_, Option<AttachedProcess>> {
        lock(&self.attached)
    }

    /// Waits until a process has reported its endpoints.
    async fn reported_endpoints(&self) -> Option<Endpoints> {
        let mut endpoints = self.endpoints.subscribe();
        endpoints.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// Returns the exit status of the process, if the demo has started it.
    async fn exit_status(&self, pid: Pid) -> Option<ExitStatus> {
        if self.child != Some(pid) {
            return None;
        }
        let mut exit = self.child_exit.clone();
        let status = timeout(REPLY_TIMEOUT, exit.wait_for(Option::is_some)).await;
        *status.ok()?.ok()?
    }
}

/// Tells the process to exit, and waits until it has.
async fn end(mut connection: Connection, pid: Pid) {
    connection.close_sending().await;
    if timeout(REPLY_TIMEOUT, connection.closed()).await.is_err() {
        // As long as its connection is open, the pid belongs to the process.
        let _ = kill_process(pid, Signal::KILL);
        connection.closed().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Display for DemoEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restarted { service, pid } => {
                write!(formatter, "{service} was restarted, pid {pid}")
            }
            Self::StartFailed { service } => write!(formatter, "{service} did not start"),
            Self::Exited {
                service,
                status: Some(status),
            } => write!(formatter, "{service} exited: {status}"),
            Self::Exited { service, .. } => write!(formatter, "{service} exited"),
        }
    }
}
