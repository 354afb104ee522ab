//! A service of the `hephaestus` convention over TLS, with the routes of both forms.
//!
//! ```sh
//! cargo run --features tls --example mcp -- 127.0.0.1:8443 cert.pem key.pem
//! ```

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use healthctl_service::log::{self, Format, Level};
use healthctl_service::{Service, Settings, TlsListener, hephaestus, metrics};
use tokio::net::TcpListener;
use tokio::time::timeout;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    log::init(Format::Text, Level::INFO)?;
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [address, certificates, key] = arguments.as_slice() else {
        return Err("usage: mcp ADDRESS CERTIFICATES KEY".into());
    };
    let service = Service::new("orders-mcp", "0.9.1", Settings::default());
    service.dependency("database").record_success();

    let plain = TcpListener::bind(address).await?;
    let listener =
        TlsListener::from_pem_files(plain, certificates, key).map_err(|error| error.to_string())?;
    let health = hephaestus::routes(&service)
        .merge(hephaestus::unprefixed_routes(&service))
        .merge(metrics::routes(&service));
    let work = Router::new().route("/work/{millis}", get(work));
    let ended = service.serve(listener, health, work).await?;
    tracing::info!("{ended}");
    Ok(())
}

/// Calls a supplier that never answers, and gives up after so many milliseconds.
async fn work(Path(millis): Path<u64>) -> &'static str {
    let supplier = std::future::pending::<()>();
    let _ = timeout(Duration::from_millis(millis), supplier).await;
    "the supplier did not answer\n"
}
