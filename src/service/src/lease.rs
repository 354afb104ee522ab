//! A Lease of Kubernetes, which one of several replicas holds and renews (feature `lease`).
//!
//! The rules are those of Kubernetes' own client:
//!
//! * A lease that does not exist is created, one that nobody holds is taken, and one that another
//!   replica holds is taken over only when it has expired: when it was not renewed for as long as the
//!   lease itself says, by the clock of this process, since this process saw it first. So clocks that
//!   differ between machines do no harm.
//! * Each write names the resource version that it was made from. Where another client was faster, the
//!   API server refuses it, and the lease is read again and decided on anew: a foreign holder whose
//!   lease has not expired is never overwritten.
//! * To step down is to clear the holder, so that another replica need not wait for the end of the
//!   lease. The shutdown of the service does it after the clean-up that was registered later.
//!
//! ```no_run
//! use std::time::Duration;
//! use healthctl_service::lease::{ApiServer, LeaseSettings, pod_namespace};
//! use healthctl_service::{Need, Service, Settings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = Service::new("kcp-syncer", "0.1", Settings::default());
//! // The name of a pod is unique, as the identity of a holder has to be.
//! let settings = LeaseSettings {
//!     interval: Duration::from_secs(5),
//!     duration: Duration::from_secs(15),
//!     ..LeaseSettings::new(pod_namespace()?, "syncer", std::env::var("HOSTNAME")?)
//! };
//! let lease = service.hold_lease(&ApiServer::in_pod()?, settings)?;
//! service.register_check("lease", Need::Required, Duration::from_secs(5), lease.check());
//!
//! let holder = lease.clone();
//! service.background(async move {
//!     loop {
//!         holder.held().await;
//!         tokio::select! {
//!             () = holder.lost() => {}
//!             () = std::future::pending() => {} // what only one replica may do
//!         }
//!     }
//! });
//! # Ok(())
//! # }
//! ```

use std::error::Error;
use std::fmt;
use std::future::{Ready, ready};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until};

use crate::heartbeat::FAILURE_THRESHOLD;
use crate::task::BoxFuture;
use crate::{
    CheckResult, Dependency, Heartbeat, HeartbeatSchedule, HeartbeatSender, HeartbeatStatus,
    Service,
};

/// The folder of a pod in which Kubernetes keeps the credentials of its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The format of the times of a lease: an API server accepts six digits and no other number.
const MICROSECONDS: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";
/// The number of bytes that are read of an answer.
const MAX_ANSWER: usize = 1024 * 1024;
/// The number of times that one attempt decides anew after another client was faster.
const DECISIONS: usize = 3;

/// Sends a request and returns the status code and the body of the answer, or why there is none.
pub(crate) type SendRequest =
    dyn Fn(Request<Full<Bytes>>) -> BoxFuture<Result<(StatusCode, Bytes), String>> + Send + Sync;

/// The address of a Kubernetes API server, and the credentials for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiServer {
    /// The address, such as `https://10.0.0.1:443`.
    pub address: String,
    /// The file with the certificates, in PEM, of those who sign the certificate of the server;
    /// needed for `https`, and read once.
    pub ca: Option<PathBuf>,
    /// The file with the bearer token; read for each request, since Kubernetes replaces tokens.
    pub token: Option<PathBuf>,
}

/// The settings of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSettings {
    /// The namespace of the lease.
    pub namespace: String,
    /// The name of the lease, which all replicas share.
    pub name: String,
    /// The identity of this replica, which no other may have: two replicas with the same identity
    /// would both hold the lease.
    pub holder: String,
    /// The time between two renewals, and between two looks at a lease that another replica holds; 10
    /// seconds by default.
    pub interval: Duration,
    /// The time after which a lease that was not renewed may be taken over; 30 seconds by default.
    /// Fractions of a second are rounded up.
    pub duration: Duration,
    /// The number of renewals that fail in a row from which the lease is unhealthy; 3 by default.
    pub failure_threshold: u64,
    /// The time that one renewal may take with all its requests; 5 seconds by default.
    pub timeout: Duration,
}

/// Why a lease cannot be held, or why a renewal has failed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The settings contradict themselves or the rules of Kubernetes.
    #[error("settings of the lease: {0}")]
    Settings(String),
    /// A file of credentials cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The reason, for people.
        reason: String,
    },
    /// There was no answer.
    #[error("no answer from the API server: {0}")]
    NoAnswer(String),
    /// The API server has refused the request.
    #[error("the API server answered {code}: {message}")]
    Refused {
        /// The status code.
        code: u16,
        /// The message of the answer, for people.
        message: String,
    },
    /// Other clients changed the lease each time before this one could.
    #[error("other clients change the lease all the time")]
    Conflict,
    /// The answer is not a lease.
    #[error("the answer of the API server is not a lease")]
    NotALease,
}

/// Who holds a lease, as far as this replica knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LeaseState {
    /// The API server has not answered yet, or this replica could not renew the lease in time.
    #[default]
    Unknown,
    /// This replica holds the lease.
    Held,
    /// The replica of this identity holds the lease.
    HeldBy(String),
    /// Nobody holds the lease.
    Free,
}

/// A lease that a service holds or waits for. Clones refer to the same one.
#[derive(Debug, Clone)]
pub struct LeaseHolder {
    client: Arc<LeaseClient>,
    sender: HeartbeatSender,
}

/// The client of one lease.
struct LeaseClient {
    settings: LeaseSettings,
    /// The URI of all leases of the namespace.
    collection: String,
    token: Option<PathBuf>,
    send: Arc<SendRequest>,
    /// Held throughout an attempt, so that there is one at a time.
    record: Mutex<LeaseRecord>,
    holding: watch::Sender<Holding>,
}

/// The knowledge from which the next step is decided.
#[derive(Debug, Default)]
struct LeaseRecord {
    /// The lease as this replica has written it last, unless anything went wrong since.
    written: Option<Value>,
    /// The last change of the lease that was seen, and the time at which it was.
    seen: Option<(Value, Instant)>,
    /// The time until which this replica leaves the lease to others.
    aside_until: Option<Instant>,
}

/// The result of the last attempt.
#[derive(Debug, Clone, Default)]
struct Holding {
    state: LeaseState,
    /// The last holder, and the one before.
    holders: (Option<String>, Option<String>),
    transitions: u64,
    /// The time at which a lease that this replica holds ends, unless it is renewed.
    ends: Option<Instant>,
}

/// The next step with a lease that exists.
#[derive(Debug, PartialEq)]
enum Step {
    /// Write the lease with this replica as its holder.
    Hold { transitions: u64 },
    /// Write the lease without a holder.
    Release,
    /// Leave the lease as it is.
    Leave(LeaseState),
}

impl ApiServer {
    /// Returns the API server of the cluster in which this process runs as a pod, with the credentials
    /// of its service account.
    ///
    /// # Errors
    ///
    /// When the variables that Kubernetes sets in a pod are missing.
    pub fn in_pod() -> Result<Self, LeaseError> {
        let variable = |name: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.ok_or_else(|| LeaseError::Settings(format!("{name} is not set: this is no pod")))
        };
        let mut host = variable("KUBERNETES_SERVICE_HOST")?;
        let port = variable("KUBERNETES_SERVICE_PORT")?;
        if host.contains(':') {
            host = format!("[{host}]");
        }
        let file = |name: &str| Some(Path::new(SERVICE_ACCOUNT).join(name));
        Ok(Self {
            address: format!("https://{host}:{port}"),
            ca: file("ca.crt"),
            token: file("token"),
        })
    }

    /// Creates the function that sends requests, each on a connection of its own: one that a load
    /// balancer has dropped in silence must not hold up a renewal.
    fn connect(&self) -> Result<Arc<SendRequest>, LeaseError> {
        let settings = |reason: String| LeaseError::Settings(reason);
        let address: Uri = self
            .address
            .parse()
            .map_err(|error| settings(format!("address `{}`: {error}", self.address)))?;
        let is_known = matches!(address.scheme_str(), Some("http" | "https"));
        if !is_known || address.host().is_none() {
            let reason = format!("address `{}` is not like https://HOST:PORT", self.address);
            return Err(settings(reason));
        }
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca {
            for certificate in read_certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| file_error(path, &error))?;
            }
        } else if address.scheme_str() == Some("https") {
            return Err(settings("https needs the certificate of a CA".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| settings(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Arc::new(move |request| {
            let answer = client.request(request);
            Box::pin(async move {
                let answer = answer.await.map_err(|error| root_cause(&error))?;
                let status = answer.status();
                let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
                Ok((
                    status,
                    body.map_err(|error| root_cause(&*error))?.to_bytes(),
                ))
            })
        }))
    }
}

/// Returns the namespace of the pod in which this process runs.
///
/// # Errors
///
/// When the file that Kubernetes puts into a pod cannot be read.
pub fn pod_namespace() -> Result<String, LeaseError> {
    read_text(&Path::new(SERVICE_ACCOUNT).join("namespace"))
}

impl LeaseSettings {
    /// Creates settings with the default times.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        holder: impl Into<String>,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            holder: holder.into(),
            interval: Duration::from_secs(10),
            duration: Duration::from_secs(30),
            failure_threshold: FAILURE_THRESHOLD,
            timeout: Duration::from_secs(5),
        }
    }

    fn validate(&self) -> Result<(), LeaseError> {
        // The characters of a DNS name, of which none means anything else in a path.
        let is_name = |name: &str| {
            let mut bytes = name.bytes();
            !name.is_empty()
                && name.len() <= 253
                && !name.starts_with('.')
                && bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        };
        let reason = if !is_name(&self.namespace) {
            format!("`{}` is no name of a namespace", self.namespace)
        } else if !is_name(&self.name) {
            format!("`{}` is no name of a lease", self.name)
        } else if self.holder.is_empty() {
            "the holder has no identity".to_owned()
        } else if self.interval.is_zero() || self.timeout.is_zero() {
            "the interval and the timeout must be longer than zero".to_owned()
        } else if self.duration <= self.interval {
            let (duration, interval) = (self.duration, self.interval);
            format!("the duration, {duration:?}, must be longer than the interval, {interval:?}")
        } else if self.failure_threshold == 0 {
            "the failure threshold must be at least 1".to_owned()
        } else {
            return Ok(());
        };
        Err(LeaseError::Settings(reason))
    }

    /// Returns the duration as the lease says it: in seconds, rounded up.
    fn seconds(&self) -> u64 {
        let seconds = self.duration.as_secs();
        seconds.saturating_add(u64::from(self.duration.subsec_nanos() > 0))
    }
}

impl Service {
    /// Holds a lease from now on, or waits for it while another replica holds it, and steps down at the
    /// end of the shutdown. The renewals are [heartbeats](Service::heartbeat_senders), and count in
    /// the metrics as those to `lease NAMESPACE/NAME`.
    ///
    /// Clean-up handlers run in reverse order, so a lease that is set up first is held until all other
    /// clean-up is done.
    ///
    /// # Errors
    ///
    /// When the settings contradict themselves, or the CA cannot be read. An API server that does not
    /// answer is no error here: each renewal that fails is counted as missed.
    pub fn hold_lease(
        &self,
        api: &ApiServer,
        settings: LeaseSettings,
    ) -> Result<LeaseHolder, LeaseError> {
        let send = api.connect()?;
        self.hold_lease_through(send, api, settings)
    }

    /// Holds a lease whose requests are sent by `send`.
    pub(crate) fn hold_lease_through(
        &self,
        send: Arc<SendRequest>,
        api: &ApiServer,
        settings: LeaseSettings,
    ) -> Result<LeaseHolder, LeaseError> {
        settings.validate()?;
        let schedule = HeartbeatSchedule {
            interval: settings.interval,
            timeout: settings.timeout,
            failure_threshold: settings.failure_threshold,
        };
        let (address, namespace) = (api.address.trim_end_matches('/'), &settings.namespace);
        let name = format!("lease {namespace}/{}", settings.name);
        let client = Arc::new(LeaseClient {
            collection: format!(
                "{address}/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
            ),
            settings,
            token: api.token.clone(),
            send,
            record: Mutex::default(),
            holding: watch::Sender::default(),
        });
        let renewing = Arc::clone(&client);
        let beat = move |heartbeat: Heartbeat| {
            let client = Arc::clone(&renewing);
            async move {
                match heartbeat.status {
                    HeartbeatStatus::Running | HeartbeatStatus::ShuttingDown => {
                        client.attempt().await?;
                    }
                    HeartbeatStatus::Final => client.step_down().await?,
                }
                Ok::<_, LeaseError>(client.result())
            }
        };
        let sender = self.beat_for(Dependency::new(&name), schedule, beat);
        Ok(LeaseHolder { client, sender })
    }
}

impl LeaseHolder {
    /// Returns who holds the lease.
    pub fn state(&self) -> LeaseState {
        self.client.holding.borrow().state_at(Instant::now())
    }

    /// Returns whether this replica holds the lease now. The lease of a replica that could not renew it
    /// in time has ended, whether another one has taken it over or not.
    pub fn is_held(&self) -> bool {
        self.state() == LeaseState::Held
    }

    /// Returns how often the holder has changed since the lease was created.
    pub fn transitions(&self) -> u64 {
        self.client.holding.borrow().transitions
    }

    /// Returns the sender of the renewals, with their counts and the time of the last one.
    pub fn heartbeats(&self) -> &HeartbeatSender {
        &self.sender
    }

    /// Waits until the API server has answered, or the first attempt has failed.
    pub async fn attempted(&self) {
        self.sender
            .wait_for(|counts| counts.sent > 0 || counts.missed > 0)
            .await;
    }

    /// Waits until this replica holds the lease.
    pub async fn held(&self) {
        let mut holding = self.client.holding.subscribe();
        let is_held = |holding: &Holding| holding.state_at(Instant::now()) == LeaseState::Held;
        // The channel stays open while `self` holds the sender.
        let _ = holding.wait_for(is_held).await;
    }

    /// Waits until this replica does not hold the lease: until it has stepped down, another one has
    /// taken over, or the lease has ended without a renewal.
    pub async fn lost(&self) {
        let mut holding = self.client.holding.subscribe();
        loop {
            let ends = {
                let holding = holding.borrow_and_update();
                match holding.ends {
                    Some(ends) if holding.state_at(Instant::now()) == LeaseState::Held => ends,
                    _ => return,
                }
            };
            tokio::select! {
                _ = holding.changed() => {}
                () = sleep_until(ends) => {}
            }
        }
    }

    /// Clears the holder of the lease if this replica is it, and leaves the lease to others for as long
    /// as its duration. A replica that steps down before it stops lets another one take over at its
    /// next look.
    ///
    /// # Errors
    ///
    /// When the API server does not answer or refuses it. This replica does not renew the lease in any
    /// case, and tries again at the next interval.
    pub async fn step_down(&self) -> Result<(), LeaseError> {
        self.client.step_down().await
    }

    /// Returns a check for [`Service::register_check`]: healthy while this replica holds the lease or
    /// another one does, degraded after a renewal that failed, unhealthy after as many in a row as
    /// [`LeaseSettings::failure_threshold`] says.
    pub fn check(&self) -> impl Fn() -> Ready<CheckResult> + Send + Sync + 'static {
        let holder = self.clone();
        move || {
            let found = holder.sender.dependency().snapshot(Instant::now());
            ready(CheckResult {
                health: found.health.unwrap_or(crate::Health::Unknown),
                message: found.message,
                details: holder.client.result().details,
            })
        }
    }
}

impl Holding {
    /// Returns who holds the lease at this time: one that was not renewed has ended.
    fn state_at(&self, now: Instant) -> LeaseState {
        match &self.state {
            LeaseState::Held if self.ends.is_none_or(|ends| ends <= now) => LeaseState::Unknown,
            state => state.clone(),
        }
    }
}

impl LeaseRecord {
    /// Decides on the next step with the lease as it is at the API server.
    fn decide(&mut self, lease: &Value, settings: &LeaseSettings, now: Instant) -> Step {
        let spec = &lease["spec"];
        if self.seen.as_ref().is_none_or(|(seen, _)| seen != spec) {
            self.seen = Some((spec.clone(), now));
        }
        let seen_at = self.seen.as_ref().map_or(now, |(_, at)| *at);
        let transitions = transitions(lease);
        let aside = self.aside_until.is_some_and(|until| now < until);
        match spec["holderIdentity"].as_str().unwrap_or_default() {
            "" if aside => Step::Leave(LeaseState::Free),
            "" => Step::Hold {
                transitions: transitions.saturating_add(1),
            },
            holder if holder == settings.holder => {
                if aside {
                    Step::Release
                } else {
                    Step::Hold { transitions }
                }
            }
            holder => {
                let seconds = spec["leaseDurationSeconds"].as_u64();
                let duration = seconds.map_or(settings.duration, Duration::from_secs);
                let has_expired = now.saturating_duration_since(seen_at) >= duration;
                if has_expired && !aside {
                    return Step::Hold {
                        transitions: transitions.saturating_add(1),
                    };
                }
                // Another replica holds the lease, for which this one has stood aside.
                self.aside_until = None;
                Step::Leave(LeaseState::HeldBy(holder.to_owned()))
            }
        }
    }
}

impl LeaseClient {
    /// Renews the lease, takes it, or finds out who holds it.
    async fn attempt(&self) -> Result<(), LeaseError> {
        let mut record = self.record.lock().await;
        for _ in 0..DECISIONS {
            let begin = Instant::now();
            // Gone from the record while it is in doubt: what fails now is read anew the next time.
            let lease = match record.written.take() {
                Some(lease) => Some(lease),
                None => self.read().await?,
            };
            let Some(mut lease) = lease else {
                if record.aside_until.is_some_and(|until| begin < until) {
                    self.publish(LeaseState::Free, 0, None);
                    return Ok(());
                }
                if let Some(lease) = self.create().await? {
                    self.hold(&mut record, lease, begin);
                    return Ok(());
                }
                continue;
            };
            match record.decide(&lease, &self.settings, Instant::now()) {
                Step::Leave(state) => {
                    self.publish(state, transitions(&lease), None);
                    return Ok(());
                }
                Step::Hold { transitions } => {
                    self.claim(&mut lease, transitions);
                    if let Some(lease) = self.update(&lease).await? {
                        self.hold(&mut record, lease, begin);
                        return Ok(());
                    }
                }
                Step::Release => {
                    release(&mut lease);
                    if let Some(lease) = self.update(&lease).await? {
                        self.publish(LeaseState::Free, transitions(&lease), None);
                        return Ok(());
                    }
                }
            }
        }
        Err(LeaseError::Conflict)
    }

    async fn step_down(&self) -> Result<(), LeaseError> {
        let now = Instant::now();
        let until = now + self.settings.duration;
        self.record.lock().await.aside_until = Some(until);
        let state = self.holding.borrow().state.clone();
        if matches!(state, LeaseState::HeldBy(_) | LeaseState::Free) {
            return Ok(());
        }
        // What only the holder may do ends before another replica can begin it.
        self.holding.send_modify(|holding| holding.ends = None);
        self.attempt().await
    }

    /// Makes this replica the holder of a lease, as it was read.
    fn claim(&self, lease: &mut Value, transitions: u64) {
        let now = microseconds(Timestamp::now());
        if !lease["spec"].is_object() {
            lease["spec"] = json!({});
        }
        let spec = &mut lease["spec"];
        let is_own = spec["holderIdentity"] == self.settings.holder.as_str();
        if !is_own || spec["acquireTime"].is_null() {
            spec["acquireTime"] = now.clone().into();
        }
        spec["holderIdentity"] = self.settings.holder.clone().into();
        spec["leaseDurationSeconds"] = self.settings.seconds().into();
        spec["renewTime"] = now.into();
        spec["leaseTransitions"] = transitions.into();
    }

    /// Records that this replica holds the lease, as the API server has stored it.
    fn hold(&self, record: &mut LeaseRecord, lease: Value, begin: Instant) {
        let transitions = transitions(&lease);
        record.seen = Some((lease["spec"].clone(), Instant::now()));
        record.written = Some(lease);
        // The time before the request: for others the lease begins later at the earliest.
        let ends = begin + self.settings.duration;
        self.publish(LeaseState::Held, transitions, Some(ends));
    }

    fn publish(&self, state: LeaseState, transitions: u64, ends: Option<Instant>) {
        let holder = match &state {
            LeaseState::Held => Some(self.settings.holder.clone()),
            LeaseState::HeldBy(holder) => Some(holder.clone()),
            LeaseState::Free | LeaseState::Unknown => None,
        };
        self.holding.send_modify(|holding| {
            if holder.is_some() && holding.holders.0 != holder {
                let before = holding.holders.0.take();
                let (name, lease) = (holder.as_deref(), &self.settings.name);
                tracing::info!(lease, holder = name, before, "lease has a new holder");
                holding.holders = (holder, before);
            }
            holding.state = state;
            holding.transitions = transitions;
            holding.ends = ends;
        });
    }

    /// Returns the result of the last attempt as that of a check.
    fn result(&self) -> CheckResult {
        let holding = self.holding.borrow();
        let state = holding.state_at(Instant::now());
        let message = match (&state, &holding.holders) {
            (LeaseState::Unknown, _) => "not known who holds it".to_owned(),
            (LeaseState::Free, _) | (_, (None, _)) => "held by nobody".to_owned(),
            (_, (Some(holder), None)) => format!("held by {holder}"),
            (_, (Some(holder), Some(before))) => format!("taken over by {holder} from {before}"),
        };
        let holder = match &state {
            LeaseState::Held => self.settings.holder.as_str(),
            LeaseState::HeldBy(holder) => holder,
            LeaseState::Free | LeaseState::Unknown => "",
        };
        CheckResult::healthy()
            .with_message(message)
            .with_detail("holder", holder)
            .with_detail("held", u8::from(state == LeaseState::Held))
            .with_detail("transitions", holding.transitions)
    }

    /// Returns the lease; `None` when it does not exist.
    async fn read(&self) -> Result<Option<Value>, LeaseError> {
        let uri = format!("{}/{}", self.collection, self.settings.name);
        match self.request(Method::GET, &uri, None).await? {
            (StatusCode::OK, body) => lease_of(body).map(Some),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (code, body) => Err(refused(code, &body)),
        }
    }

    /// Creates the lease; `None` when another client was faster.
    async fn create(&self) -> Result<Option<Value>, LeaseError> {
        let mut lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.settings.name, "namespace": self.settings.namespace},
        });
        self.claim(&mut lease, 0);
        let uri = self.collection.clone();
        match self.request(Method::POST, &uri, Some(&lease)).await? {
            (StatusCode::CREATED | StatusCode::OK, body) => lease_of(body).map(Some),
            (StatusCode::CONFLICT, _) => Ok(None),
            (code, body) => Err(refused(code, &body)),
        }
    }

    /// Replaces the lease; `None` when it was changed or deleted since it was read.
    async fn update(&self, lease: &Value) -> Result<Option<Value>, LeaseError> {
        let uri = format!("{}/{}", self.collection, self.settings.name);
        match self.request(Method::PUT, &uri, Some(lease)).await? {
            (StatusCode::OK | StatusCode::CREATED, body) => lease_of(body).map(Some),
            (StatusCode::CONFLICT | StatusCode::NOT_FOUND, _) => Ok(None),
            (code, body) => Err(refused(code, &body)),
        }
    }

    async fn request(
        &self,
        method: Method,
        uri: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), LeaseError> {
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::ACCEPT, "application/json")
            .header(
                header::USER_AGENT,
                concat!("healthctl-service/", env!("CARGO_PKG_VERSION")),
            );
        if let Some(path) = &self.token {
            let token = read_text(path)?;
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = request
            .body(Full::from(text))
            // Of all parts only the token can be one that no header may hold.
            .map_err(|error| LeaseError::Settings(format!("the token: {error}")))?;
        let (code, body) = (self.send)(request).await.map_err(LeaseError::NoAnswer)?;
        Ok((code, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

impl fmt::Debug for LeaseClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LeaseClient")
            .field("settings", &self.settings)
            .field("holding", &self.holding)
            .finish_non_exhaustive()
    }
}

/// Clears the holder of a lease, which lasts another second.
fn release(lease: &mut Value) {
    let now = microseconds(Timestamp::now());
    let spec = &mut lease["spec"];
    spec["holderIdentity"] = "".into();
    spec["leaseDurationSeconds"] = 1.into();
    spec["acquireTime"] = now.clone().into();
    spec["renewTime"] = now.into();
}

fn transitions(lease: &Value) -> u64 {
    lease["spec"]["leaseTransitions"].as_u64().unwrap_or(0)
}

/// Returns the body if it is a lease with a resource version, without which nothing can be written.
fn lease_of(body: Value) -> Result<Value, LeaseError> {
    if body["metadata"]["resourceVersion"].is_string() {
        Ok(body)
    } else {
        Err(LeaseError::NotALease)
    }
}

fn refused(code: StatusCode, body: &Value) -> LeaseError {
    let reason = code.canonical_reason().unwrap_or("no reason given");
    LeaseError::Refused {
        code: code.as_u16(),
        message: body["message"].as_str().unwrap_or(reason).to_owned(),
    }
}

fn microseconds(at: Timestamp) -> String {
    at.strftime(MICROSECONDS).to_string()
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LeaseError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| file_error(path, &error))?;
    if certificates.is_empty() {
        return Err(file_error(path, &"there is no certificate in it"));
    }
    Ok(certificates)
}

/// Returns the text of a file without the line feed at its end.
fn read_text(path: &Path) -> Result<String, LeaseError> {
    let text = std::fs::read_to_string(path).map_err(|error| file_error(path, &error))?;
    Ok(text.trim().to_owned())
}

fn file_error(path: &Path, reason: &dyn fmt::Display) -> LeaseError {
    LeaseError::File {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// Returns the text of the error that lies below all others, which says what was wrong.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
