//! YAML with places: text to a tree in which every value knows where it stands, and problems that point there.
//!
//! Pure. Knows nothing of services or profiles; it is below both, because both are written in YAML
//! and both have to report every mistake at once.

mod fields;
mod node;
mod problem;

pub use fields::Fields;
pub use node::{Entry, Node, Value};
pub use problem::{Place, Problem, Problems, SourceFile};
