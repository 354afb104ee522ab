//! YAML with places: text to a tree in which every value knows where it stands, and problems that point there.
//!
//! Pure. Knows nothing of services or profiles; it is below both, because both are written in YAML
//! and both have to report every mistake at once.
//!
//! saphyr-parser gives the events and their places, `serde_yaml` the type of an unquoted scalar, and
//! annotate-snippets draws the marked line.

mod bounds;
mod fields;
mod interpolate;
mod lay;
mod mask;
mod node;
mod parse;
mod problem;
mod read;
mod render;
mod scalar;
mod snippet;
mod source;

pub use fields::Fields;
pub use interpolate::interpolate;
pub use lay::Keys;
pub use mask::{is_secret_name, secrets as mask_secrets};
pub use node::{Entry, Node, Style, Value};
pub use parse::parse;
pub use problem::{Problem, Problems};
pub use source::{Place, SourceFile};
