//! A finished report as text, one file per format.
//!
//! Formatters are pure functions of a [`Report`]; they print nothing, and no verdict is computed in them, so
//! that every format says the same.

mod actions;
mod fail_on;
mod json;
mod report;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use actions::ActionReport;
pub(crate) use fail_on::{FailOn, FailOnError};
pub(crate) use json::{ActionLine, action_line, change_line, json, json_service};
pub(crate) use report::{Report, ServiceReport};
pub(crate) use table::table;
