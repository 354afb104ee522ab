//! healthctl: see whether services live, why not and since when, and act on them with proof.
//!
//! # The map
//!
//! Folders are named after the way a fact travels:
//!
//! ```text
//!   inventory.yaml ──► yaml/ ──► profile/ ──► inventory/ ──► resolved services
//!                                                                 │
//!                           ┌─────────────────────────────────────┤
//!                           ▼                                     ▼
//!                 engine/  when to ask                  action/   what would be done
//!                    │  ▲                                   │
//!            asks    ▼  │ outcome                           ▼
//!                 probe/   one question                 execute/  does it, and proves it
//!                    │                                      │
//!                    ▼ outcome                              │ steps, verdicts
//!                 health/  state machine ──► picture        │
//!                                               │           │
//!                                               ▼           ▼
//!                                              event   (everything told)
//!                                               │
//!                      ┌────────────────────────┼─────────────────────┐
//!                      ▼                        ▼                     ▼
//!                 output/  a report        tui/  the dashboard    commands/ wire it all
//! ```
//!
//! | module | what it is for | may use |
//! | --- | --- | --- |
//! | `text` | cleaning of foreign text, nearest name, durations, sizes, widths, tables; every module may use it | nothing of ours |
//! | `yaml` | YAML in which every value knows its place; problems that point there | nothing of ours |
//! | `health` | words and state machine: outcome, tracker, fleet, identity, selector | nothing of ours |
//! | `profile` | a convention as data, and what it makes of an answer | `health`, `yaml` |
//! | `inventory` | YAML text to resolved services, or every problem | `health`, `yaml`, `profile` |
//! | `action` | plans, order, refusals, verdicts, when something is restarted by itself | `health`, `yaml`, `profile`, `inventory` |
//! | `event` | what the engine publishes (`Event`) and what may be told to it (`Input`) | `health`, `action` |
//! | `host` | this machine: clock, processes, port owners, what we have started, the newest file | `health` |
//! | `probe` | one question asked | `health`, `profile`, `inventory`, `host` |
//! | `engine` | when to ask; owner of the trackers | `health`, `profile`, `inventory`, `probe`, `host`, `event` |
//! | `execute` | carries out a plan: facts, preflight, stop, start, monitor, audit; the only sender of signals; the host scan | `health`, `profile`, `inventory`, `action`, `probe`, `host`, `event` |
//! | `automation` | automatic restart and `on_change` commands | `health`, `profile`, `inventory`, `action`, `probe`, `host`, `event`, `execute` |
//! | `service` | the crate `healthctl-service`, a kit for well-behaved services | nothing of ours |
//! | `output` | a finished report as text | `health`, `profile`, `inventory`, `action`, `event` |
//! | `tui` | the dashboard | `health`, `action`, `event` |
//! | `demo` | the demo fleet | `service` |
//! | `commands`, `cli`, `exit`, `run` | what can be typed; one file per command | all |
//!
//! `tests/architecture.rs` holds the same table and fails with file and line. `main` only starts `run`, and
//! this file, `lib`, is the map.
//!
//! # What is absent, and why
//!
//! * `text`, `yaml`, `health`, `profile`, `inventory`, `action` and `event` have no clock, file, environment, process or socket:
//!   time is an argument ([`health::Moment`]), files come through functions. So every rule is testable as a table.
//! * A service that is down is a value ([`health::Outcome`]), never an `Err`.
//! * Nobody but the engine changes a tracker; faces get [`health::ServiceSnapshot`]s.
//! * No name of a product stands in Rust: conventions are files under `profiles/`.
//! * `execute` does not use the engine: a proof rests on its own looks, not on what a schedule happened to see.
//! * Views change nothing; `tui`'s `update` awaits nothing. A dead service can never freeze a key.
//! * Formatters compute no verdict, so all formats say the same.
//!
//! # What a change costs
//!
//! | a change | costs |
//! | --- | --- |
//! | a new convention | one YAML file under `profiles/` and its samples under `tests/profiles/`, no Rust |
//! | a new key for a command | one row of the keymap in `tui` |
//! | an output format | one file in `output`, one variant in `commands/check.rs` |
//! | an inventory field | one declaration (`inventory/service.rs` for a service, `profile/raw` for what other levels have too) and the place that uses it; a valid and an invalid case under `tests/inventory/` |
//! | a rule of the state machine | `health`, and a scenario under `tests/scenarios/` |
//! | a probe kind | `profile/kind/X.rs`, `probe/X.rs`, and a line of the list in `profile/kind/mod.rs` |

pub mod action;
mod automation;
mod cli;
mod commands;
mod demo;
mod engine;
mod event;
mod execute;
mod exit;
pub mod health;
mod host;
mod inventory;
mod output;
mod probe;
pub mod profile;
mod run;
pub mod text;
mod tui;
pub mod yaml;

pub use run::run;
