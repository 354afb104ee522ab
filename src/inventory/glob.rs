//! Patterns of files: `services/*.yaml`, `**/health.yaml`, or a plain path.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::environment::Environment;

/// The most directories that are searched: a pattern that needs more is a mistake.
const MOST_DIRECTORIES: usize = 10_000;

/// The reason why a pattern cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BadPattern {
    /// The pattern is malformed; holds the reason.
    Malformed(String),
    /// The pattern leads through too many directories.
    Endless,
}

/// A part of a pattern, between slashes.
enum PatternPart<'a> {
    Name(&'a str),
    Any(Box<GlobMatcher>, bool),
    /// `**`: the directory and all below it.
    Deep,
}

/// Returns the files that match a pattern, by name; hidden ones only where the pattern names them.
pub(super) fn files(
    base: &Path,
    pattern: &str,
    environment: &Environment<'_>,
) -> Result<Vec<PathBuf>, BadPattern> {
    let parts: Vec<PatternPart<'_>> = pattern
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .map(part)
        .collect::<Result<_, _>>()?;
    let start = if pattern.starts_with('/') {
        PathBuf::from("/")
    } else {
        base.to_owned()
    };
    let mut paths = vec![start];
    let mut left = MOST_DIRECTORIES;
    for part in parts {
        let mut next = Vec::new();
        for path in &paths {
            match &part {
                PatternPart::Name(name) => next.push(path.join(name)),
                PatternPart::Any(matcher, hidden) => {
                    left = left.checked_sub(1).ok_or(BadPattern::Endless)?;
                    let names = names(path, environment).into_iter();
                    let fitting = names.filter(|name| {
                        (*hidden || !name.starts_with('.')) && matcher.is_match(name)
                    });
                    next.extend(fitting.map(|name| path.join(name)));
                }
                PatternPart::Deep => below(path, environment, &mut left, &mut next)?,
            }
        }
        paths = next;
    }
    let mut seen = HashSet::new();
    paths.retain(|path| environment.is_file(path) && seen.insert(path.clone()));
    Ok(paths)
}

fn part(text: &str) -> Result<PatternPart<'_>, BadPattern> {
    if text == "**" {
        return Ok(PatternPart::Deep);
    }
    if !text.contains(['*', '?', '[', '{', '\\']) {
        return Ok(PatternPart::Name(text));
    }
    let glob = GlobBuilder::new(text)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| BadPattern::Malformed(error.kind().to_string()))?;
    Ok(PatternPart::Any(
        Box::new(glob.compile_matcher()),
        text.starts_with('.'),
    ))
}

/// Returns the names in a directory, sorted.
fn names(directory: &Path, environment: &Environment<'_>) -> Vec<String> {
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let mut names = (environment.list)(directory);
    names.sort();
    names
}

/// Adds the directory and all below it that are not hidden, each before its own.
fn below(
    root: &Path,
    environment: &Environment<'_>,
    left: &mut usize,
    found: &mut Vec<PathBuf>,
) -> Result<(), BadPattern> {
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        *left = left.checked_sub(1).ok_or(BadPattern::Endless)?;
        let inside = names(&directory, environment).into_iter().rev();
        open.extend(
            inside
                .filter(|name| !name.starts_with('.'))
                .map(|name| directory.join(name))
                .filter(|path| (environment.status)(path).is_some_and(|look| look.directory)),
        );
        found.push(directory);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::super::environment::{Environment, FileStatus};
    use super::{BadPattern, files};

    const FILES: [&str; 7] = [
        "b.yaml",
        "a.yaml",
        ".hidden.yaml",
        "services/two.yaml",
        "services/one.yaml",
        "services/deep/er/three.yaml",
        "services/read.me",
    ];

    fn look(path: &Path) -> Option<FileStatus> {
        let directory = FILES
            .iter()
            .any(|file| Path::new(file) != path && Path::new(file).starts_with(path));
        let file = FILES.iter().any(|file| Path::new(file) == path);
        (directory || file).then_some(FileStatus {
            directory,
            owner: 0,
            mode: 0,
        })
    }

    fn list(path: &Path) -> Vec<String> {
        let path = path.strip_prefix(".").unwrap_or(path);
        let inside = FILES
            .iter()
            .filter_map(|file| Path::new(file).strip_prefix(path).ok());
        let mut names: Vec<_> = inside
            .filter_map(|rest| Some(rest.iter().next()?.to_string_lossy().into_owned()))
            .collect();
        names.dedup();
        names
    }

    #[test]
    fn patterns_match_files() {
        let environment = Environment {
            env: &|_| None,
            read: &|_| Err(io::Error::other("nothing is read")),
            status: &look,
            list: &list,
            directory: Path::new("/work"),
            config: None,
            user: 0,
            builtin: &[],
        };
        let check = |base: &str, pattern: &str, expected: &[&str]| {
            let found = files(Path::new(base), pattern, &environment).unwrap();
            let found: Vec<_> = found.iter().filter_map(|path| path.to_str()).collect();
            assert_eq!(found, expected, "{pattern}");
        };
        check("", "*.yaml", &["a.yaml", "b.yaml"]);
        check("", "./b.yaml", &["b.yaml"]);
        check("", ".*.yaml", &[".hidden.yaml"]);
        check(
            "",
            "services/*.yaml",
            &["services/one.yaml", "services/two.yaml"],
        );
        check(
            "services",
            "{one,two}.yaml",
            &["services/one.yaml", "services/two.yaml"],
        );
        check(
            "",
            "**/t*.yaml",
            &["services/two.yaml", "services/deep/er/three.yaml"],
        );
        check("", "services", &[]);
        check("", "services/[!o]*.yaml", &["services/two.yaml"]);
        check("", "nowhere/*.yaml", &[]);
        assert!(matches!(
            files(Path::new(""), "a[.yaml", &environment),
            Err(BadPattern::Malformed(_))
        ));
    }

    #[test]
    fn a_pattern_through_too_many_directories_is_refused() {
        let environment = Environment {
            env: &|_| None,
            read: &|_| Err(io::Error::other("nothing is read")),
            status: &|_| {
                Some(FileStatus {
                    directory: true,
                    owner: 0,
                    mode: 0,
                })
            },
            list: &|_| vec!["again".to_owned()],
            directory: Path::new("/work"),
            config: None,
            user: 0,
            builtin: &[],
        };
        let found = files(Path::new("x"), "**/a.yaml", &environment);
        assert_eq!(found, Err(BadPattern::Endless));
    }
}
