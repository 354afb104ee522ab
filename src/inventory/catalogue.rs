//! The profiles that an inventory could name: its own, those beside it, of the user, and built in.

use std::sync::Arc;

use crate::profile::Profile;
use crate::yaml::{Entry, Problems};

use super::combine::combine;
use super::gather::gather;
use super::library::Library;
use super::{Chosen, Surroundings};

/// A profile within reach.
#[derive(Debug)]
pub struct Offered {
    /// Its name.
    pub name: String,
    /// Where it comes from: `built in`, or the file that it stands in.
    pub origin: String,
    /// Its YAML as written.
    pub text: String,
    /// `None` where it cannot be used.
    pub profile: Option<Arc<Profile>>,
    /// What is wrong with it.
    pub problems: Problems,
}

impl Offered {
    /// A profile that the inventory itself defines.
    pub(super) fn defined(entry: &Entry) -> Self {
        let mut problems = Problems::default();
        let profile = Profile::parse(&entry.key, &entry.value, &mut problems);
        let profile = profile.filter(|_| !problems.has_errors());
        Self {
            name: entry.key.clone(),
            origin: entry.key_place.short(),
            text: outdented(entry.value.place.text()),
            profile: profile.map(Arc::new),
            problems,
        }
    }
}

/// Every profile within reach, by name; of several of one name the one that counts. Without an inventory, or with one
/// that cannot be read, those of the current directory, of the user and built in.
pub fn catalogue(chosen: Option<Chosen>, around: &Surroundings<'_>) -> Vec<Offered> {
    let found = chosen.as_ref().is_none_or(|chosen| chosen.found);
    let files = chosen.map(|chosen| chosen.files).unwrap_or_default();
    let library = match files.as_slice() {
        [] => Library::in_directory(around.directory, found, around),
        files => Library::new(files, found, around),
    };
    // Mistakes of the inventory are told by whoever reads it in earnest.
    let mut ignored = Problems::default();
    let documents = gather(&files, found, around, &mut ignored);
    library.all(&combine(documents, &mut ignored).profiles, around)
}

/// A part of a file moved to the left, as far as all its lines after the first allow.
fn outdented(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let rest = text.lines().skip(1).filter(|line| !line.trim().is_empty());
    let least = rest.map(indent).min().unwrap_or(0);
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.lines().enumerate() {
        let line = if number == 0 {
            line
        } else {
            line.get(least..).unwrap_or("")
        };
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::outdented;

    #[test]
    fn a_part_of_a_file_reads_like_a_file() {
        for (text, expected) in [
            (
                "title: x\n    probes:\n      live: {}\n\n    actions: {}",
                "title: x\nprobes:\n  live: {}\n\nactions: {}\n",
            ),
            ("{title: x}", "{title: x}\n"),
            ("", ""),
        ] {
            assert_eq!(outdented(text), expected);
        }
    }
}
