//! The inventory and the command line.
