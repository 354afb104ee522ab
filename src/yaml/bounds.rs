//! What one file may cost, however it is written.

/// Maps and lists inside each other.
pub(super) const DEPTH: usize = 64;

/// What all aliases of a file together may expand to, in the weight of [`super::parse()`]:
/// ten thousand uses of a map of sixty values, and a thousandth of what one alias bomb asks for.
pub(super) const EXPANSION: usize = 64 << 20;

/// What a node weighs beside its text.
pub(super) const NODE: usize = 100;
