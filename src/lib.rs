//! healthctl shows whether services are healthy, why not and since when, and acts on them with proof.
//!
//! The library is a part of the program: it exposes `run` and the pure modules that tests read, and promises nothing to
//! other crates. The public library is `healthctl-service`, under `src/service`.
//!
//! # The map
//!
//! Folders are named after the stages that a fact passes:
//!
//! ```text
//!   inventory.yaml ──► yaml/ ──► profile/ ──► inventory/ ──► resolved services
//!                                                                 │
//!                           ┌─────────────────────────────────────┤
//!                           ▼                                     ▼
//!                 engine/  the schedule                 action/   the plan, the proofs
//!                    │  ▲                                   │
//!            starts  ▼  │ outcome                           ▼
//!                 probe/   one probe                    execute/  carries the plan out
//!                    │                                      │
//!                    ▼ outcome                              │ Input: steps, results
//!                 health/  state machine ──► snapshot       │
//!                                               │           │
//!                                               ▼           ▼
//!                                     engine/  publishes every Event
//!                                               │
//!                      ┌────────────────────────┼─────────────────────┐
//!                      ▼                        ▼                     ▼
//!                 output/  a report        tui/  the dashboard    commands/ wire it all
//! ```
//!
//! | module | what it is for | may use |
//! | --- | --- | --- |
//! | `text` | cleaning of foreign text, nearest name, durations, sizes, widths, tables; every module may use it | nothing of ours |
//! | `yaml` | YAML in which every value knows its position; problems that point there | nothing of ours |
//! | `health` | the words and the state machine: outcome, tracker, fleet, snapshot, identity, selector | nothing of ours |
//! | `profile` | a convention as data, the kinds of probes, and what a reply decodes to | `health`, `yaml` |
//! | `inventory` | YAML text to resolved services, or every problem | `health`, `yaml`, `profile` |
//! | `action` | plans, order, refusals, proofs and verdicts, the decision to restart automatically | `health`, `yaml`, `profile`, `inventory` |
//! | `event` | what the engine publishes (`Event`) and what it accepts (`Input`) | `health`, `action` |
//! | `host` | this machine: clock, processes, port owners, what we have started, the newest file | `health` |
//! | `probe` | one question asked | `health`, `profile`, `inventory`, `host` |
//! | `engine` | when to ask; owner of the trackers | `health`, `profile`, `inventory`, `probe`, `host`, `event` |
//! | `execute` | carries out a plan: facts, preflight, stop, start, monitor, audit; the only module that signals a service; the host scan | `health`, `profile`, `inventory`, `action`, `probe`, `host`, `event` |
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
//! # Where to look
//!
//! | question | file |
//! | --- | --- |
//! | How does a 503 with a body become a state? | `profile/decode/code.rs` says what the code means, `judge.rs` weighs it with the payload, `health/tracker/assessment.rs` derives the state of the service from all its probes |
//! | How old is a dependency's last success? | reported: `profile/decode/field.rs`; kept as a time: `health/tracker/dependencies.rs`; shown as an age: `tui/view/age.rs`, `output/json.rs` |
//! | May this process be signalled? | `execute/ownership.rs`: `decide` says which processes are the service's own, and by which proof; `execute/signal.rs`: a `ProvenTarget` is one of them, held open; what is decided from is in `execute/ownership/model.rs` and gathered in `execute/facts/evidence.rs` and `others.rs` |
//! | When has a stop, a start or a reload succeeded? | `action/proof/stop.rs`, `start.rs`, `reload.rs` |
//! | In which order are several services acted on? | `action/rollout.rs` |
//! | How is a column added to the dashboard? | a row of `COLUMNS` in `tui/view/services.rs` |
//! | How is a key added? | a row of `KEYMAP` in `tui/keymap.rs` |
//! | How is a key of the inventory added? | one declaration in `inventory/service.rs` |
//! | How is a kind of probe added? | `profile/kind/X.rs`, `probe/X.rs`, and its row in `profile/kind/mod.rs`; where it connects otherwise than by HTTP or TCP, a variant of `ProbeAddress` too |
//!
//! # Two walks
//!
//! A step is a file in which the value changes its type or its owner. A test compares these lists with the code.
//!
//! ## From a reply to a dependency row
//!
//! 1. `probe/exchange.rs::send`: one request, redirects included, gives status code, headers and body under one deadline.
//! 2. `probe/http.rs::probe`: gets that response, has it judged, and makes the judgement a [`health::Outcome`].
//! 3. `profile/decode/judge.rs::judge`: code, expectations and payload become a `Judgement`: result, failure, reading.
//! 4. `profile/decode/reading.rs::read`: the body is parsed (`json`, `lines`), and its fields become a [`health::Reading`].
//! 5. `profile/decode/dependencies/reader.rs::read`: each entry of the payload becomes a [`health::Dependency`].
//! 6. `engine/in_flight.rs::answer`: the outcome leaves its task and reaches the loop that owns all state.
//! 7. `engine/run.rs::record`: the loop gives the outcome to the fleet.
//! 8. `health/fleet.rs::record`: the fleet gives it to the tracker of the service, then recomputes causes and snapshots.
//! 9. `health/tracker/mod.rs::record`: the reading is kept as it came; thresholds decide which one counts for the state.
//! 10. `health/tracker/dependencies.rs::snapshot`: an entry of the latest reading becomes a row with counters and times.
//! 11. `health/tracker/snapshot.rs::snapshot`: rows, probes and state become a [`health::ServiceSnapshot`].
//! 12. `engine/channel.rs::send`: published as an `Event`; of each service the channel keeps the newest snapshot.
//! 13. `commands/watch/dashboard.rs::wait`: the watch loop receives the event and makes it a `Message`.
//! 14. `tui/update.rs::event`: the dashboard puts the snapshot into its list in place of the one before.
//! 15. `tui/view/dependencies.rs::cells`: the row is drawn; only here do its times become ages.
//!
//! ## From a key to a verdict
//!
//! 1. `tui/update/confirm.rs::confirm`: Enter on the confirming button makes the ticket of the plan an `Effect::Run`.
//! 2. `commands/watch/actions.rs::run`: the loop's `perform` hands the ticket over; the prepared plan becomes a task.
//! 3. `execute/run.rs::run`: locks the services; each becomes a `TargetRun`, whose phases begin as the rollout allows.
//! 4. `execute/phases.rs::stop_phase`: stops one service and gives the verdict on that back to the rollout.
//! 5. `execute/preflight.rs::preflight`: facts that are not fresh are gathered again and compared with those shown.
//! 6. `execute/stop.rs::stop`: pairs the request with the `StopProof` that is to be completed.
//! 7. `execute/monitor.rs::monitor`: begins the request and goes on looking: response, looks and answers are observations.
//! 8. `execute/send.rs::send`: the one place that sends a planned request; what became of it is a `Delivery`.
//! 9. `action/proof/stop.rs::observe`: observations become the verdict on the stop.
//! 10. `execute/start.rs::start`: `host/launch.rs` starts a keeper and below it the new process, on record; the same monitor watches it.
//! 11. `action/proof/start.rs::observe`: observations become `Started`: the new instance is ready.
//! 12. `execute/phases.rs::result_when_ready`: old and new instance are compared, and `restart_verdict` gives the verdict.
//! 13. `engine/run.rs::receive`: the tracker learns of the `ActionResult`; that snapshot is published, then the result.
//! 14. `tui/update.rs::event`: the dashboard keeps the result beside the steps.
//! 15. `tui/view/action.rs::ended`: the verdict is drawn.
//!
//! # Glossary
//!
//! The words of health (outcome, reading, state, flag, identity, …) are explained at their types in [`health`].
//!
//! | word | meaning |
//! | --- | --- |
//! | setting | a value of the inventory with its origin: file, line, or built in |
//! | reading | what a payload said, decoded into our words |
//! | outcome | what one probe found |
//! | tracker | the state machine of one service; only the engine changes it |
//! | fleet | all trackers, and which service is the cause of another's trouble |
//! | snapshot | all that is known of one service at one time: observations beside the shared `ServiceInfo` |
//! | assessment | the state that follows from all probes and dependencies, with its reasons |
//! | host scan | one look at this machine for what no probe can tell: stale, foreign, split |
//! | process facts | what is known of a service's processes: socket owners, ancestors, record, pid file, command line |
//! | record | what is kept on disk of a process that healthctl started |
//! | survivor | a process that the last stop was for, put on record then, and that still runs |
//! | left alone | of a process below the service's own that is not signalled, and why |
//! | keeper | the small process below which a started service runs, and which writes down how it ends |
//! | start | as a file: one start of a service, and how its process ended |
//! | own process | a process that is decided to be the service's own, and by which proof |
//! | other services | of the same inventory: where they listen, what is on record for them |
//! | proven target | a process proved to be the service's own and held open; the only thing that a signal can be sent to |
//! | method | how an action is done: route, signal or command |
//! | goal | what an action plan is to achieve: stop, reload, start, replace |
//! | proposal | a plan as people see it before they consent |
//! | consent | what was agreed to, and what is missing of it |
//! | permission | what a person permits beyond the inventory: to kill, or to signal a process by its pid |
//! | force switch | ends a stop that waits by SIGKILL, once a person has permitted that |
//! | refusal | why an action is not carried out; nothing was done |
//! | rollout | a plan being carried out: which phase of which service may begin |
//! | phase | the stop or the start of one service |
//! | preflight | the last look before anything is sent |
//! | flow | the result of a step: go on, or end with an `ActionEnd` |
//! | observation | what one look or one answer showed while an action runs |
//! | prover | comes to a verdict from observations; pure |
//! | responder | the process that answers after a request, compared with the baseline |
//! | baseline | the identity that was known before the request |
//! | started instance | an instance that is ready, with the time each part took |
//! | restart candidate | a service that may be restarted automatically |
//! | transition | a change of state that an `on_change` command is told of |
//! | permit | the right to have one probe in flight |
//! | pin | the IP address at which the identity was read; the request goes to the same one |
//! | head | a process of several that none of the others has started |
//! | look | one attempt to connect to an address, or one check of a process |
//! | redaction | a secret and what is shown in its place |
//!
//! # What is absent, and why
//!
//! * `text`, `yaml`, `health`, `profile`, `inventory`, `action` and `event` have no clock, file, environment, process or socket:
//!   time is an argument ([`health::Moment`]), files come through functions. So every rule is testable as a table.
//! * A service that is down is a value ([`health::Outcome`]), never an `Err`.
//! * Nobody but the engine changes a tracker or publishes an event; views get [`health::ServiceSnapshot`]s.
//! * No name of a product stands in Rust: conventions are files under `profiles/`.
//! * `execute` does not use the engine: a proof rests on its own observations, not on what a schedule happened to see.
//! * Views change nothing; `tui`'s `update` awaits nothing. A dead service can never freeze a key.
//! * Formatters compute no verdict: every format of `check` says pass or fail of the same services.
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
