//! One service of the fleet, in a process of its own.
//!
//! Its standard input is its life line: orders come in on it, and when it closes the process ends,
//! so that no end of the demo, however sudden, leaves it behind.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

use super::fleet::{Convention, Member, member};
use super::life::{Attempt, Hand, Life};
use super::order::AUTH;
use super::{Error, Order, Verb, traffic};
use crate::service::{
    Dependency, Ended, Service, Settings, WhileDraining, control_plane, hephaestus,
};

/// How often each dependency is tried.
const BEAT: Duration = Duration::from_millis(500);

/// Runs one service until it has shut down, or until the demo that started it is gone (`None`).
pub(crate) async fn run(name: &str, calm: bool) -> Result<Option<Ended>, Error> {
    let failed = |error: std::io::Error| Error::new(format!("cannot serve: {error}"));
    let member = member(name).ok_or_else(|| Error::new(format!("there is no `{name}`")))?;
    let service = Service::new(member.service, member.version, settings(member.convention));
    let stage = Stage::new(member, &service, calm);
    register_clean_up(&service);

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let listener = listener.tap_io(|stream| {
        // Without it small answers may wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
    });
    let health = match member.convention {
        Convention::Hephaestus => hephaestus::routes(&service),
        Convention::ControlPlane => control_plane::routes(&service),
    }
    .layer(from_fn_with_state(
        Arc::clone(&stage.locked),
        ask_for_credentials,
    ));
    let server = service
        .server(listener, health, traffic::routes())
        .map_err(failed)?;
    // The signal handlers stand: now others may know the address.
    announce(address).map_err(failed)?;
    traffic::start(&service, member, address);

    tokio::select! {
        ended = server.run() => Ok(Some(ended)),
        () = stage.take_orders() => Ok(None),
    }
}

fn settings(convention: Convention) -> Settings {
    Settings {
        while_draining: match convention {
            Convention::Hephaestus => WhileDraining::Answer,
            Convention::ControlPlane => WhileDraining::Refuse,
        },
        ..Settings::default()
    }
}

/// Takes a moment, as closing a pool does.
fn register_clean_up(service: &Service) {
    for (name, millis) in [("database", 200), ("buffers", 100)] {
        service.on_shutdown(name, move || async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok::<(), String>(())
        });
    }
}

/// One line to the supervisor.
fn announce(line: impl std::fmt::Display) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// What can be broken and mended.
struct Stage {
    actors: Vec<Arc<Actor>>,
    locked: Arc<AtomicBool>,
}

/// A dependency that plays its part.
struct Actor {
    dependency: Dependency,
    life: Life,
    calm: bool,
    hand: Mutex<Hand>,
    service: Service,
}

impl Stage {
    fn new(member: &Member, service: &Service, calm: bool) -> Self {
        let mut actors = Vec::new();
        for component in member.dependencies {
            let dependency = service.dependency(component.name);
            for (key, value) in component.details {
                dependency.detail(*key, *value);
            }
            let actor = Arc::new(Actor {
                dependency,
                life: component.life,
                calm,
                hand: Mutex::default(),
                service: service.clone(),
            });
            // The first attempt is made before anybody can ask.
            actor.attempt();
            service.background(Arc::clone(&actor).live());
            actors.push(actor);
        }
        Self {
            actors,
            locked: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Carries out what comes in until nothing can come any more.
    async fn take_orders(&self) {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(order) = serde_json::from_str::<Order>(&line) else {
                continue;
            };
            self.carry_out(&order);
            if announce("done").is_err() {
                return;
            }
        }
    }

    fn carry_out(&self, order: &Order) {
        if order.dependency == AUTH {
            self.locked
                .store(order.verb == Verb::Break, Ordering::SeqCst);
        }
        for actor in &self.actors {
            if actor.dependency.name() == order.dependency {
                actor.touch(match order.verb {
                    Verb::Break => Hand::Broken,
                    Verb::Mend => Hand::Mended,
                });
            }
        }
    }
}

impl Actor {
    async fn live(self: Arc<Self>) {
        loop {
            tokio::time::sleep(BEAT).await;
            self.attempt();
        }
    }

    fn touch(&self, hand: Hand) {
        *self.hand.lock().unwrap_or_else(PoisonError::into_inner) = hand;
        self.attempt();
    }

    fn attempt(&self) {
        let hand = *self.hand.lock().unwrap_or_else(PoisonError::into_inner);
        match self.life.attempt(self.service.uptime(), hand, self.calm) {
            Attempt::Success(latency) => {
                self.dependency.latency(latency);
                self.dependency.record_success();
            }
            Attempt::Failure(latency, error) => {
                self.dependency.latency(latency);
                self.dependency.record_failure(error);
            }
            Attempt::NotUsed => self.dependency.not_used(),
        }
    }
}

/// In front of every health and shutdown route.
async fn ask_for_credentials(
    State(locked): State<Arc<AtomicBool>>,
    request: Request,
    next: Next,
) -> Response {
    if !locked.load(Ordering::SeqCst) {
        return next.run(request).await;
    }
    let mut response = (StatusCode::UNAUTHORIZED, "credentials needed\n").into_response();
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"demo\""),
    );
    response
}
