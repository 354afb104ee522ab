//! One file per command, wiring only: what can be computed without a terminal, a socket or a file lives elsewhere.

pub(crate) mod act;
mod arguments;
pub(crate) mod check;
mod context;
pub(crate) mod demo;
mod environment;
mod host_scan;
pub(crate) mod init;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod profiles;
mod select;
pub(crate) mod show;
mod signals;
pub(crate) mod validate;
pub(crate) mod watch;

pub(crate) use arguments::{Global, ListFormat, default_args, duration, ignore_empty_variables};
pub(crate) use context::{Context, Error, candidate, write_stdout};
pub(crate) use signals::Signals;
