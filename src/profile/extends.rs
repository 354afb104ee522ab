//! `extends:` of a profile: it is laid over a built-in one, key by key, as a file of the inventory is over another.

use std::sync::Arc;

use super::builtin;
use super::kind;
use crate::text::nearest;
use crate::yaml::{Keys, Node, Problem, Problems, SourceFile, parse};

/// The keys that exclude each other in the maps of an inventory: a probe by TCP laid over one by HTTP is one by TCP.
pub(crate) const KEYS: Keys = Keys {
    takes_away: |above, below| {
        kind::takes_away(above, below)
            || matches!(
                (above, below),
                ("http" | "exec", "signal")
                    | ("signal", "http" | "exec")
                    | ("failure_threshold", "retries")
                    | ("retries", "failure_threshold")
                    | ("bearer", "basic")
                    | ("basic", "bearer")
                    | ("path", "url")
                    | ("url", "path")
                    | ("env", "file")
                    | ("file", "env")
            )
    },
    holds_names: |key| MAPS_BY_NAME.contains(&key),
};

/// The keys whose maps have names of the user's own as keys.
const MAPS_BY_NAME: [&str; 9] = [
    "services", "profiles", "probes", "labels", "links", "headers", "env", "json", "words",
];

/// Returns the profile laid over the built-in one that it extends, or `None` where it extends none.
pub(super) fn laid_over_base(profile: &Node, problems: &mut Problems) -> Option<Node> {
    let entry = profile.get("extends")?;
    let name = entry
        .value
        .text("the name of a built-in profile", problems)?;
    let Some((_, text)) = builtin().iter().find(|(builtin, _)| *builtin == name) else {
        let near = nearest(&name, builtin().iter().map(|(builtin, _)| *builtin));
        let hint = near.map_or_else(
            || "only a built-in profile can be extended".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Problem::at(
            &entry.value.place,
            format!("there is no built-in profile `{name}`"),
        )
        .label("expected the name of a built-in profile")
        .hint(hint)
        .report(problems);
        return None;
    };
    let file = Arc::new(SourceFile::new(format!("built-in profile {name}"), *text));
    let mut base = parse(&file, problems)?;
    if let Some(whole) = laid_over_base(&base, problems) {
        base = whole;
    }
    base.lay(profile.clone(), KEYS);
    Some(base)
}
