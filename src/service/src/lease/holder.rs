//! The lease that a service holds or waits for: its renewals, and who holds it now.

use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until};

use super::api_server::{ApiServer, LeaseApi, SendRequest};
use super::decision::{LeaseRecord, LeaseState, Step, claim, new_lease, release, transitions};
use super::settings::{LeaseError, LeaseSettings};
use crate::task::boxed;
use crate::{
    CheckResult, Dependency, Heartbeat, HeartbeatSchedule, HeartbeatSender, HeartbeatStatus,
    Service,
};

/// The number of times that one attempt decides anew after another client was faster.
const DECISIONS: usize = 3;

/// A lease that a service holds or waits for. Clones refer to the same one.
#[derive(Debug, Clone)]
pub struct LeaseHolder {
    client: Arc<LeaseClient>,
    sender: HeartbeatSender,
}

/// The client of one lease.
struct LeaseClient {
    settings: LeaseSettings,
    api: LeaseApi,
    /// Held throughout an attempt, so that there is one at a time.
    record: Mutex<LeaseRecord>,
    holding: watch::Sender<Holding>,
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
        let name = format!("lease {}/{}", settings.namespace, settings.name);
        let client = Arc::new(LeaseClient {
            api: LeaseApi::new(api, &settings, send),
            settings,
            record: Mutex::default(),
            holding: watch::Sender::default(),
        });
        let renewing = Arc::clone(&client);
        let beat = move |heartbeat: Heartbeat| {
            let client = Arc::clone(&renewing);
            boxed(async move {
                match heartbeat.status {
                    HeartbeatStatus::Running | HeartbeatStatus::ShuttingDown => {
                        client.attempt().await?;
                    }
                    HeartbeatStatus::Final => client.step_down().await?,
                }
                Ok::<_, LeaseError>(client.result())
            })
        };
        let sender = self.beat_for(Dependency::new(&name), schedule, Arc::new(beat));
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

impl LeaseClient {
    /// Renews the lease, takes it, or finds out who holds it.
    async fn attempt(&self) -> Result<(), LeaseError> {
        let mut record = self.record.lock().await;
        for _ in 0..DECISIONS {
            let begin = Instant::now();
            // Gone from the record while it is in doubt: what fails now is read anew the next time.
            let lease = match record.written.take() {
                Some(lease) => Some(lease),
                None => self.api.read().await?,
            };
            let Some(mut lease) = lease else {
                if record.aside_until.is_some_and(|until| begin < until) {
                    self.publish(LeaseState::Free, 0, None);
                    return Ok(());
                }
                if let Some(lease) = self.api.create(&new_lease(&self.settings)).await? {
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
                    claim(&mut lease, &self.settings, transitions);
                    if let Some(lease) = self.api.update(&lease).await? {
                        self.hold(&mut record, lease, begin);
                        return Ok(());
                    }
                }
                Step::Release => {
                    release(&mut lease);
                    if let Some(lease) = self.api.update(&lease).await? {
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
