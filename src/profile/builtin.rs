//! The built-in profiles: every file under `profiles/`, which is embedded as a directory. A new convention needs a file
//! there and its samples under `tests/profiles/`, and no change here.

use std::sync::LazyLock;

use include_dir::{Dir, include_dir};

static DIRECTORY: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/profiles");

static PROFILES: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
    let mut profiles: Vec<_> = DIRECTORY
        .files()
        .filter(|file| {
            file.path()
                .extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .filter_map(|file| Some((file.path().file_stem()?.to_str()?, file.contents_utf8()?)))
        .collect();
    profiles.sort_unstable();
    profiles
});

/// Returns the name and the YAML text of each built-in profile, sorted by name.
pub fn builtin() -> &'static [(&'static str, &'static str)] {
    &PROFILES
}
