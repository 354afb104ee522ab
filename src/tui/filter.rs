//! The filter typed after `/`, which chooses the services that are shown.
//!
//! Words are and-ed; a leading `!` inverts one. `state:`, `group:`, `flag:` and `KEY=VALUE` mean what they mean in a
//! selector, except that the value may still be half typed; anything else is part of a name or a group, whatever
//! its case and its `-`, `_` and `.`.

use crate::health::ServiceSnapshot;

/// Returns whether the filter shows the service. An empty filter shows all.
pub(crate) fn shows(filter: &str, snapshot: &ServiceSnapshot) -> bool {
    filter.split_whitespace().all(|word| {
        word.strip_prefix('!').map_or_else(
            || matches(word, snapshot),
            // A lone `!` is the start of a word, not a wish to see nothing.
            |rest| rest.is_empty() || !matches(rest, snapshot),
        )
    })
}

fn matches(word: &str, snapshot: &ServiceSnapshot) -> bool {
    let starts = |text: &str, value: &str| text.to_lowercase().starts_with(&value.to_lowercase());
    let info = &snapshot.info;
    let group = info.group.as_deref();
    match word.split_once(':') {
        Some(("state", value)) => return starts(snapshot.state.as_str(), value),
        Some(("flag", value)) => {
            let mut flags = snapshot.flags.iter();
            return flags.any(|flag| starts(flag.as_str(), value));
        }
        Some(("group", value)) => return group.is_some_and(|group| starts(group, value)),
        _ => {}
    }
    if let Some((key, value)) = word.split_once('=') {
        let label = info.labels.get(key);
        return label.is_some_and(|label| starts(label, value));
    }
    let wanted = squash(word);
    let contains = |text: &str| squash(text).contains(&wanted);
    contains(&info.name) || group.is_some_and(contains)
}

/// Returns the text in lower case without the characters that people leave out.
fn squash(text: &str) -> String {
    text.chars()
        .filter(|c| !matches!(c, '-' | '_' | '.'))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Flag, State};
    use crate::tui::samples;

    #[test]
    fn words_choose_services() {
        let mut snapshot = samples::snapshot("api-gw.eu", State::Unhealthy);
        let info = std::sync::Arc::make_mut(&mut snapshot.info);
        info.group = Some("Backend".to_owned());
        info.labels.insert("tier".to_owned(), "web".to_owned());
        snapshot.flags.insert(Flag::Flapping);
        let cases = [
            ("", true),
            ("api", true),
            ("APIGW", true),
            ("gw_eu", true),
            ("gw us", false),
            ("back", true),
            ("!api", false),
            ("!", true),
            ("!orders", true),
            ("state:unh", true),
            ("state:healthy", false),
            ("!state:healthy", true),
            ("group:backend", true),
            ("group:end", false),
            ("flag:flap", true),
            ("flag:stale", false),
            ("tier=web", true),
            ("tier=db", false),
            ("api state:unhealthy tier=w", true),
            ("api state:degraded", false),
        ];
        for (filter, expected) in cases {
            assert_eq!(shows(filter, &snapshot), expected, "{filter:?}");
        }
    }
}
