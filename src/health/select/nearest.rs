//! The valid word that was probably meant.

/// The nearest of the candidates, if one is near enough.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // A long word is no slip of the finger, and comparing costs its square.
    if word.is_empty() || word.len() > 100 {
        return None;
    }
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = candidate.to_lowercase();
            let edits = strsim::damerau_levenshtein(&word, &other);
            let near = edits * 3 <= word.len().max(other.len())
                || strsim::jaro_winkler(&word, &other) >= 0.88;
            near.then_some((edits, candidate))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}
