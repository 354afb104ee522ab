//! The module table of the map is kept: see src/lib.rs.
