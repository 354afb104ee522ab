//! YAML text to resolved services, or every problem with its place.
//!
//! Pure: files, environment and directories come through functions handed in. A default value stands in the declaration
//! of its key, and no resolved type has an `Option` that a default could have filled.

mod actions;
mod adhoc;
mod checks;
mod env_file;
mod environment;
mod find;
mod glob;
mod includes;
mod levels;
mod load;
mod merge;
mod probes;
mod profiles;
mod raw;
mod service;
mod show;
mod start;
#[cfg(test)]
mod tests;
mod validate;

pub(crate) use crate::profile::kind::{ProbeAddress, ProbeKind};
pub(crate) use crate::profile::raw::command::{Exec, ExecLimits};
pub(crate) use crate::profile::raw::options::Probe;
pub(crate) use crate::profile::raw::request::{HttpRequest, Tls};
pub(crate) use crate::profile::{Auth, Connection, Proxy, Secret, Signal, Target};
pub(crate) use adhoc::{AdHocTarget, adhoc};
pub(crate) use environment::{Environment, FileStatus};
pub(crate) use find::find;
pub(crate) use load::{LoadedInventory, load};
pub(crate) use profiles::{AvailableProfile, catalogue};
pub(crate) use service::{ActionSpec, Inventory, Means, Service, ServiceActions};
pub(crate) use show::show;
pub(crate) use start::{Hook, StartSpec};
pub(crate) use validate::{ValidationResult, validate, validate_files};
