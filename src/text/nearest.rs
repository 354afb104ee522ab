//! The valid name nearest to a mistyped one.

/// Returns the candidate nearest to a mistyped word, or `None` when no candidate is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A name this long is no typing mistake, and the cost of a comparison grows with the square of the length.
    if word.len() > 100 {
        return None;
    }
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = candidate.to_lowercase();
            let edits = strsim::damerau_levenshtein(&lower, &other);
            let length = word.chars().count().max(candidate.chars().count());
            // One edit in three letters, or a long common beginning.
            let near = edits * 3 <= length || strsim::jaro_winkler(&lower, &other) >= 0.88;
            near.then_some((edits, candidate))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let keys = ["interval", "timeout", "retries", "url", "depends_on"];
        let check = |word: &str, expected: Option<&str>| {
            assert_eq!(nearest(word, keys), expected, "{word}");
        };
        for (word, expected) in [
            ("timeuot", Some("timeout")),
            ("Timeout", Some("timeout")),
            ("intervall", Some("interval")),
            ("retry", None),
            ("retrys", Some("retries")),
            ("depend_on", Some("depends_on")),
            ("dependson", Some("depends_on")),
            ("uri", Some("url")),
            ("colour", None),
            ("", None),
        ] {
            check(word, expected);
        }
    }
}
