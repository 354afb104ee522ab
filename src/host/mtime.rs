//! The files that glob patterns name, ignore files respected: the newest of them, and a fingerprint of all.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use ignore::WalkBuilder;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::directories::absolute;

/// The number of files under a pattern above which the pattern is an error: source code has fewer.
const MAX_FILES: usize = 100_000;

/// The files that patterns name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct MatchingFiles {
    /// The newest of them, by its path from the root, and its modification time.
    pub(crate) newest: Option<(PathBuf, Timestamp)>,
    /// A digest of the patterns, and one of path, size, modification time and inode of every file: it differs when one of
    /// them was added, replaced or removed, whatever their times say.
    pub(crate) fingerprint: String,
}

impl MatchingFiles {
    /// Returns whether this is the fingerprint of other files than `earlier`, which was made for the same patterns.
    pub(crate) fn differ_from(&self, earlier: &str) -> bool {
        let patterns = |fingerprint: &str| fingerprint.split('-').next().map(str::to_owned);
        self.fingerprint != earlier && patterns(&self.fingerprint) == patterns(earlier)
    }
}

/// Returns the files under `root` that match one of the patterns. The path of a directory matches all files
/// in it. Hidden files and those that `.gitignore` and `.ignore` exclude match only a pattern that names them.
///
/// # Errors
///
/// A message if a pattern is invalid or leads to too many files.
pub(crate) fn matching_files(root: &Path, patterns: &[String]) -> Result<MatchingFiles, String> {
    let mut wanted = Digest::default();
    wanted.add(&absolute(root), &[]);
    for pattern in patterns {
        wanted.add(Path::new(pattern), &[]);
    }
    // An empty path is the current directory.
    let root = if root == Path::new("") {
        Path::new(".")
    } else {
        root
    };
    let mut newest = None;
    let mut files = Digest::default();
    let mut keep = |path: PathBuf, metadata: &std::fs::Metadata| {
        let time = [metadata.mtime(), metadata.mtime_nsec()].map(i64::cast_unsigned);
        files.add(&path, &[metadata.size(), time[0], time[1], metadata.ino()]);
        let Some(at) = modified(metadata) else { return };
        if newest.as_ref().is_none_or(|(_, known)| *known < at) {
            newest = Some((path, at));
        }
    };
    let mut walks: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for pattern in patterns {
        let (start, rest) = split(pattern);
        let place = root.join(&start);
        match (rest, std::fs::metadata(&place)) {
            // A pattern without wildcards names a file that counts whatever an ignore file says.
            (None, Ok(metadata)) if metadata.is_file() => {
                keep(start, &metadata);
            }
            (None, Ok(_)) => walks.entry(start).or_default().push("**".to_owned()),
            (Some(rest), Ok(_)) => walks.entry(start).or_default().push(rest),
            (_, Err(_)) => {}
        }
    }
    for (start, globs) in walks {
        let set = glob_set(&globs).map_err(|error| error.to_string())?;
        let place = root.join(&start);
        let mut left = MAX_FILES;
        for entry in walk(&place, &globs).flatten() {
            left = left.checked_sub(1).ok_or_else(|| {
                format!(
                    "more than {MAX_FILES} files under {}: name the source files more precisely",
                    place.display()
                )
            })?;
            let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
            let below = entry.path().strip_prefix(&place).unwrap_or(entry.path());
            // Symbolic links are followed: the target is the code that runs.
            if !is_directory
                && set.is_match(below)
                && let Ok(metadata) = std::fs::metadata(entry.path())
                && metadata.is_file()
            {
                keep(start.join(below), &metadata);
            }
        }
    }
    Ok(MatchingFiles {
        newest,
        fingerprint: format!("{:016x}-{:016x}", wanted.0, files.0),
    })
}

/// A digest of several things in whatever order.
#[derive(Default)]
struct Digest(u64);

impl Digest {
    fn add(&mut self, path: &Path, numbers: &[u64]) {
        let mut digest = Sha256::new();
        digest.update(path.as_os_str().as_encoded_bytes());
        for number in numbers {
            digest.update(number.to_le_bytes());
        }
        let bytes = digest.finalize();
        let number = bytes.iter().take(8);
        let number = number.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        self.0 = self.0.wrapping_add(number);
    }
}

/// Returns the modification time, or `None` where the file system has none.
pub(crate) fn modified(metadata: &std::fs::Metadata) -> Option<Timestamp> {
    let time: SystemTime = metadata.modified().ok()?;
    Timestamp::try_from(time).ok()
}

/// Splits a pattern into the leading path without wildcards and the rest, which is a glob.
fn split(pattern: &str) -> (PathBuf, Option<String>) {
    let is_glob = |part: &str| part.contains(['*', '?', '[', '{', '\\']);
    let parts: Vec<&str> = pattern.split('/').collect();
    let first = parts.iter().position(|part| is_glob(part));
    let (plain, rest) = parts.split_at(first.unwrap_or(parts.len()));
    let mut start = PathBuf::new();
    if pattern.starts_with('/') {
        start.push("/");
    }
    start.extend(plain.iter().filter(|part| !matches!(**part, "" | ".")));
    (start, first.map(|_| rest.join("/")))
}

fn glob_set(globs: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(GlobBuilder::new(glob).literal_separator(true).build()?);
    }
    set.build()
}

fn walk(place: &Path, globs: &[String]) -> ignore::Walk {
    let names_hidden = globs
        .iter()
        .any(|glob| glob.starts_with('.') || glob.contains("/."));
    let depth = globs
        .iter()
        .map(|glob| (!glob.contains("**") && !glob.contains('{')).then(|| glob.split('/').count()))
        .try_fold(0, |most, depth| Some(most.max(depth?)));
    WalkBuilder::new(place)
        .hidden(!names_hidden)
        // Ignore files count whether the directory is in a repository or not.
        .require_git(false)
        .max_depth(depth)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build()
}

/// Returns the path of the program of this name, searched in `path_variable` or in our own `PATH`.
pub(crate) fn executable(program: &str, path_variable: Option<&str>) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program));
    }
    let own = std::env::var_os("PATH");
    let searched = path_variable.map(std::ffi::OsString::from).or(own)?;
    std::env::split_paths(&searched)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    /// Creates files with these modification times, in seconds, in a new directory.
    fn tree(files: &[(&str, u64)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, seconds) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = if path.ends_with(".gitignore") {
                "build/\n*.log\n"
            } else {
                ""
            };
            fs::write(&path, text).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(*seconds);
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        root
    }

    #[track_caller]
    fn check(root: &Path, patterns: &[&str], expected: Option<&str>) {
        let patterns: Vec<String> = patterns.iter().map(|one| (*one).to_owned()).collect();
        let found = matching_files(root, &patterns).unwrap();
        let path = found.newest.map(|(path, _)| path.display().to_string());
        assert_eq!(path.as_deref(), expected, "{patterns:?}");
    }

    #[test]
    fn the_newest_matching_file_is_found() {
        let root = tree(&[
            ("app.py", 10),
            ("src/a.py", 20),
            ("src/deep/b.py", 30),
            ("src/deep/c.txt", 40),
            ("src/.hidden.py", 50),
            ("build/d.py", 60),
            ("src/e.log", 70),
            (".gitignore", 5),
            ("pyproject.toml", 15),
        ]);
        let root = root.path();
        check(root, &["app.py"], Some("app.py"));
        check(root, &["**/*.py"], Some("src/deep/b.py"));
        check(root, &["src/*.py"], Some("src/a.py"));
        check(root, &["./src/*.py", "pyproject.toml"], Some("src/a.py"));
        check(root, &["src"], Some("src/deep/c.txt"));
        check(root, &["src/"], Some("src/deep/c.txt"));
        check(root, &["src/**"], Some("src/deep/c.txt"));
        check(root, &["src/{a,deep/b}.py"], Some("src/deep/b.py"));
        check(root, &["src/.*.py"], Some("src/.hidden.py"));
        check(root, &["src/e.log"], Some("src/e.log"));
        check(root, &["**/*.log", "missing/**", "missing.py"], None);
        let above = root.join("src/deep");
        check(&above, &["../*.py"], Some("../a.py"));
        let absolute = root.join("app.py").display().to_string();
        check(&above, &[&absolute], Some(&absolute));
    }

    #[test]
    fn a_file_that_comes_goes_or_is_replaced_is_noticed_whatever_its_time() {
        let root = tree(&[("a.py", 10), ("b.py", 20), ("other.txt", 5)]);
        let place = |name: &str| root.path().join(name);
        let patterns = ["*.py".to_owned()];
        let look = || matching_files(root.path(), &patterns).unwrap();
        let first = look();
        assert!(!look().differ_from(&first.fingerprint));
        fs::write(place("other.txt"), "more").unwrap();
        assert!(!look().differ_from(&first.fingerprint));
        let copy = |to: &str| {
            fs::copy(place("b.py"), place("copy")).unwrap();
            let time = fs::metadata(place("b.py")).unwrap().modified().unwrap();
            let copy = File::options().write(true).open(place("copy")).unwrap();
            copy.set_modified(time).unwrap();
            fs::rename(place("copy"), place(to)).unwrap();
        };
        copy("b.py");
        let replaced = look();
        assert!(replaced.differ_from(&first.fingerprint));
        assert_eq!(replaced.newest, first.newest);
        copy("c.py");
        assert!(look().differ_from(&replaced.fingerprint));
        fs::remove_file(place("c.py")).unwrap();
        assert!(!look().differ_from(&replaced.fingerprint));
        fs::remove_file(place("b.py")).unwrap();
        assert!(look().differ_from(&replaced.fingerprint));
        let others = matching_files(root.path(), &["a.py".to_owned()]).unwrap();
        assert!(!others.differ_from(&first.fingerprint), "other patterns");
    }

    #[test]
    fn symbolic_links_are_followed() {
        let root = tree(&[("src/a.py", 10), ("real/b.py", 20)]);
        let link = root.path().join("src/b.py");
        std::os::unix::fs::symlink("../real/b.py", link).unwrap();
        std::os::unix::fs::symlink("nowhere", root.path().join("src/c.py")).unwrap();
        check(root.path(), &["src/**/*.py"], Some("src/b.py"));
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let root = tree(&[("bin/tool", 1)]);
        let path = root.path().join("bin");
        let variable = path.to_str();
        assert_eq!(executable("tool", variable), Some(path.join("tool")));
        assert_eq!(executable("missing", variable), None);
        assert_eq!(
            executable("./tool", variable),
            Some(PathBuf::from("./tool"))
        );
        assert_eq!(
            executable("/bin/tool", None),
            Some(PathBuf::from("/bin/tool"))
        );
    }
}
