//! Durations as they are typed: the same that an inventory takes.

use std::time::Duration;

use crate::yaml::parse_duration;

/// Reads a duration; what is wrong with it and what was probably meant, for the one who typed it.
pub(super) fn typed(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|(reason, hint)| {
        let hint = hint.map(|hint| format!(": {hint}")).unwrap_or_default();
        format!("`{text}` {reason}{hint}")
    })
}
