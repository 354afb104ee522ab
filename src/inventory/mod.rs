//! YAML text to resolved services, or every problem with its place.
//!
//! Pure: files, environment and directories come through functions handed in. No default value may stand
//! anywhere but in `resolve`, and no resolved type has an `Option` that a default could have filled.

mod adhoc;
mod catalogue;
mod combine;
mod env_file;
mod find;
mod gather;
mod glob;
mod library;
mod load;
mod raw;
mod resolve;
mod service;
mod show;
mod source;
mod surroundings;
#[cfg(test)]
mod tests;
mod validate;

pub use crate::profile::{Auth, Connection, Proxy, Secret, Signal, Target, Tls};
pub use adhoc::{AdHoc, Asked, adhoc};
pub use catalogue::{Offered, catalogue};
pub use find::{Chosen, find};
pub use load::{Loaded, load};
pub use service::{
    ActionSpec, Exec, Hook, HttpRequest, Inventory, Means, Probe, ProbeKind, Service,
    ServiceActions, Sources, StartSpec,
};
pub use show::show;
pub use surroundings::{Look, Surroundings};
pub use validate::{Validated, validate, validate_files};
