//! The README as the tests see it: its snippets, and the sections that are written from tables of the code.

use std::fs;
use std::path::PathBuf;

/// Set to rewrite the generated sections instead of failing on a difference.
const REWRITE: &str = "REWRITE_README";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

/// Every line of the snippets in this language.
pub(crate) fn lines_of(language: &str) -> Vec<String> {
    let text = fs::read_to_string(path()).unwrap();
    let mut lines = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            inside = !inside && fence == language;
        } else if inside {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// Fails where the section between `<!-- NAME: … -->` and `<!-- end of NAME -->` is not `expected`; rewrites it instead where
/// `REWRITE_README` is set.
pub(crate) fn assert_section(name: &str, expected: &str) {
    let text = fs::read_to_string(path()).unwrap();
    let start = text
        .find(&format!("<!-- {name}:"))
        .expect("the section begins");
    let start = start + text[start..].find('\n').expect("the marker ends its line") + 1;
    let end = text
        .find(&format!("<!-- end of {name} -->"))
        .expect("the section ends");
    let current = text[start..end].trim();
    if current == expected.trim() {
        return;
    }
    if std::env::var_os(REWRITE).is_some() {
        let rewritten = format!(
            "{}\n{}\n\n{}",
            &text[..start],
            expected.trim(),
            &text[end..]
        );
        fs::write(path(), rewritten).unwrap();
    } else {
        panic!(
            "the section `{name}` of README.md is not what the code says; run the test with {REWRITE}=1"
        );
    }
}
