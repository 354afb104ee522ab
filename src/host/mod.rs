//! This machine: its processes, who owns a port, file descriptors.
//!
//! Linux is complete; elsewhere what needs `/proc` says 'not available here' and never guesses.

mod addresses;
mod clock;
pub(crate) mod descendants;
mod descriptors;
mod details;
pub(crate) mod directories;
mod interpreter;
pub(crate) mod keeper;
pub(crate) mod launch;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod mtime;
pub(crate) mod pid_file;
mod ports;
mod process;
mod process_end;
pub(crate) mod records;
pub(crate) mod signals;
mod sockets;

pub(crate) use addresses::is_local;
pub(crate) use clock::Clock;
pub(crate) use descriptors::{check_spare_descriptors, raise_descriptor_limit};
pub(crate) use details::{ProcessLine, ProcessTable, ProcessTraits, directory_of};
pub(crate) use ports::{Endpoint, Listening, Owners, can_bind, listening_addresses, owners};
pub(crate) use process::{
    RunningProcess, alive, ancestors, image, loaded, local_process, one_of_a_pool, own_program,
    process, runs_another_file_than, started_at, ticks_now,
};
pub(crate) use process_end::{ProcessEnd, ended};
