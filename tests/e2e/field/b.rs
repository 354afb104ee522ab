//! Verdicts: nothing is said to be proved that was not.
