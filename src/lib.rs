//! healthctl: see whether services live, why not and since when, and act on them with proof.

pub mod action;
mod cli;
mod commands;
mod demo;
mod engine;
pub mod event;
mod exit;
pub mod health;
mod host;
pub mod inventory;
mod operate;
mod output;
mod probe;
pub mod profile;
mod run;
pub mod service;
mod tui;
pub mod yaml;

pub use run::run;
