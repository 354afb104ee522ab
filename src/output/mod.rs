//! A finished report as text, one file per format.
//!
//! Formatters are pure functions of a report; they print nothing.
