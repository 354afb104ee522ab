//! What profiles make of replies: the decode grammar case by case (`grammar/*.yaml`), and every built-in profile on
//! real replies (`NAME/*.http`, each with its expectation beside it). A case is a file; none needs a line of Rust.

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics has failed, and says where"
)]

mod grammar;
mod hostile;
mod reply;
mod samples;
mod shown;
