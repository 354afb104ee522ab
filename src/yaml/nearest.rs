//! The valid name that was probably meant.

/// The candidate nearest to a mistyped word, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A name as long as a novel is nobody's typing mistake, and comparing it costs its square.
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
