//! The profiles that come with the program: every file under `profiles/`, embedded by the directory. A convention more
//! is a file more there, with its samples under `tests/profiles/`, and not a line here.

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

/// Name and YAML text of each built-in profile, by name.
pub fn builtin() -> &'static [(&'static str, &'static str)] {
    &PROFILES
}
