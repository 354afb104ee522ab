//! Terminals and processes that end at the worst moment.
