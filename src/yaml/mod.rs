//! Parses YAML into a tree in which every value knows its place in the file, and reports problems that point there.
//!
//! Pure. Knows nothing of services or profiles; both are written in YAML, and both report every mistake at once.
//!
//! saphyr-parser gives the events and their places, `serde_yaml` the type of an unquoted scalar, and
//! annotate-snippets draws the marked line.

mod interpolate;
mod mask;
mod node;
mod parse;
mod problem;
mod read;
mod render;
mod snippet;

pub use interpolate::interpolate;
pub use mask::{is_secret_name, secrets as mask_secrets};
pub use node::{Entry, Keys, Node, Style, Value};
pub use parse::parse;
pub use problem::{Place, Problem, Problems, SourceFile};
pub use read::Fields;
