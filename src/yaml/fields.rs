//! Reading a map key by key, so that what nobody asked for is an unknown key.

/// The keys of one map that have not been taken yet.
#[derive(Debug)]
pub struct Fields<'a> {
    /// The map.
    pub node: &'a super::Node,
}
