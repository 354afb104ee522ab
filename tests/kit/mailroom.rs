//! The mail room takes letters into a folder.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use healthctl_service::log::{self, Format, Level};
use healthctl_service::reload::{ConfigPart, Configuration};
use healthctl_service::{CheckResult, Need, Service, Settings};
use healthctl_service::{control_plane, hephaestus, metrics};
use serde::Deserialize;
use tokio::net::TcpListener;

#[derive(Clone, Deserialize)]
struct Config {
    inbox: PathBuf,
    greeting: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    log::init(Format::Text, Level::INFO)?;
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let file = env::args().nth(2).unwrap_or("mailroom.json".to_owned());
    let settings = Settings {
        drain_timeout: Some(Duration::from_secs(20)),
        ..Settings::default()
    };
    let service = Service::new("mailroom", env!("CARGO_PKG_VERSION"), settings);

    // The greeting may change while the service runs, the inbox may not.
    let parts = vec![
        ConfigPart::new("greeting", |config: &Config| &config.greeting),
        ConfigPart::fixed("inbox", |config: &mut Config| &mut config.inbox),
    ];
    let parse = |text: &str| serde_json::from_str(text);
    let configuration = Configuration::open(&service, file, parse, parts)?;
    configuration.reload_on_change();
    configuration.reload_on_hangup()?;

    // What the service cannot work without. It is not ready before the first success.
    let (inbox, limit) = (
        configuration.current().inbox.clone(),
        Duration::from_secs(2),
    );
    service
        .register_blocking_check("inbox", Need::Required, limit, move || count(&inbox))
        .gate_readiness(&service);
    service.check_every(Duration::from_secs(1));

    // Runs when the requests in flight are done, before the process ends.
    service.on_shutdown("inbox", || async {
        tracing::info!("inbox closed");
        Ok::<(), io::Error>(())
    });

    let health = hephaestus::routes(&service)
        .merge(control_plane::routes(&service))
        .merge(metrics::routes(&service))
        .merge(configuration.routes("/config/reload"));
    let work = Router::new()
        .route("/letters", get(waiting).post(take))
        .with_state(configuration);
    let server = service.server(TcpListener::bind(address).await?, health, work)?;
    service.notify_systemd()?;
    tracing::info!(address = %server.address()?, "listening");
    let report = server.run().await;
    tracing::info!("{report}");
    Ok(())
}

/// The check: the folder is there and can be read.
fn count(inbox: &Path) -> io::Result<CheckResult> {
    let letters = fs::read_dir(inbox)?.count();
    Ok(CheckResult::healthy().with_detail("letters", letters))
}

/// `GET /letters`
async fn waiting(State(configuration): State<Configuration<Config>>) -> Result<String, StatusCode> {
    let folder = fs::read_dir(&configuration.current().inbox);
    let letters = folder.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?.count();
    Ok(format!("{letters} waiting\n"))
}

/// `POST /letters`
async fn take(
    State(configuration): State<Configuration<Config>>,
    letter: String,
) -> Result<String, StatusCode> {
    let config = configuration.current();
    let name = format!("letter-{}.txt", jiff::Timestamp::now().as_nanosecond());
    let written = fs::write(config.inbox.join(name), letter);
    written.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(format!("{}\n", config.greeting))
}
