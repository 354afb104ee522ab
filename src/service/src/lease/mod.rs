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

mod api_server;
mod decision;
mod holder;
mod settings;

#[cfg(test)]
pub(crate) use api_server::SendRequest;
pub use api_server::{ApiServer, pod_namespace};
pub use decision::LeaseState;
pub use holder::LeaseHolder;
pub use settings::{LeaseError, LeaseSettings};
