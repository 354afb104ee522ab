//! The binary as a user runs it: exact output, exit codes, real sockets, a real pseudo-terminal.

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod check;
mod demo;
mod field;
mod files;
mod heartbeats;
mod inventory;
mod keeper;
mod kinds;
mod kit;
mod logs;
mod phases;
mod probing;
mod profiles;
mod readme;
mod records;
mod supervised;
mod surroundings;
mod watch;
