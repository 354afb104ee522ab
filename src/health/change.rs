//! What is different between two pictures of one service.

/// What changed between two pictures of one service, as the stream formats name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// The first picture.
    First,
    /// The state.
    State,
    /// A flag.
    Flags,
    /// A reason.
    Reasons,
    /// The result of a probe.
    Result,
    /// The status of a dependency.
    Dependency,
    /// The version.
    Version,
    /// The start of the process.
    Start,
}
