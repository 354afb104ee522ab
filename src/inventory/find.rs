//! Finding the inventory.

use std::path::{Path, PathBuf};

use crate::yaml::{Problem, Problems};

use super::environment::Environment;

/// The names that are looked for, the first one first.
const NAMES: [&str; 2] = ["healthctl.yaml", "healthctl.yml"];

/// The directories that mark the root of a repository.
const REPOSITORIES: [&str; 3] = [".git", ".hg", ".jj"];

/// The files of an inventory.
#[derive(Debug)]
pub(crate) struct InventoryFiles {
    /// The paths, in the order in which the files are laid over each other.
    pub(crate) files: Vec<PathBuf>,
    /// Set for files that were found, not named by the user: they must not be somebody else's.
    pub(crate) found: bool,
    pub(crate) warnings: Problems,
}

impl InventoryFiles {
    /// Makes the files that a user named.
    pub(super) fn named(files: Vec<PathBuf>) -> Self {
        Self {
            files,
            found: false,
            warnings: Problems::default(),
        }
    }
}

/// Returns the named files, or the one that is found: in the current directory, in its parents up to the root of the
/// repository, in the user's configuration directory.
///
/// # Errors
///
/// No inventory is found, or the one found could be somebody else's work.
pub(crate) fn find(
    named: &[PathBuf],
    environment: &Environment<'_>,
) -> Result<InventoryFiles, Problems> {
    if !named.is_empty() {
        return Ok(InventoryFiles::named(named.to_vec()));
    }
    let directories = upwards(environment);
    for directory in directories.iter().copied().chain(environment.config) {
        let here: Vec<PathBuf> = NAMES
            .iter()
            .map(|name| directory.join(name))
            .filter(|path| environment.is_file(path))
            .collect();
        let Some(path) = here.first() else { continue };
        let shown = environment.shown(path);
        if let Some(problem) = environment.distrust(path, &shown) {
            return Err(problem.into());
        }
        let mut warnings = Problems::default();
        if let Some(other) = here.get(1) {
            warnings.push(
                Problem::general(format!(
                    "`{}` is not read: `{}` beside it comes first",
                    environment.shown(other).display(),
                    shown.display()
                ))
                .hint("keep one of them")
                .warning(),
            );
        }
        return Ok(InventoryFiles {
            files: vec![shown],
            found: true,
            warnings,
        });
    }
    Err(nothing_found(&directories, environment).into())
}

/// Returns the current directory and its parents up to the root of the repository; outside one the current directory alone.
fn upwards<'a>(environment: &Environment<'a>) -> Vec<&'a Path> {
    let root = environment.directory.ancestors().position(|directory| {
        REPOSITORIES
            .iter()
            .any(|name| (environment.status)(&directory.join(name)).is_some())
    });
    environment
        .directory
        .ancestors()
        .take(root.unwrap_or(0) + 1)
        .collect()
}

fn nothing_found(directories: &[&Path], environment: &Environment<'_>) -> Problem {
    let mut places = match directories {
        [] | [_] => "here".to_owned(),
        [.., root] => format!("here and up to {}", root.display()),
    };
    if let Some(config) = environment.config {
        places = format!("{places} nor in {}", config.display());
    }
    Problem::general(format!("no inventory: no {} {places}", NAMES[0])).hint(
        "`healthctl init` writes one, `healthctl check --url http://localhost:8000` needs none, \
         `healthctl demo` shows everything on a small fleet of its own",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io;
    use std::path::{Path, PathBuf};

    use super::super::environment::{Environment, FileStatus};
    use super::find;

    /// Files by path, with owner and mode; a path that ends in `/` is a directory.
    fn check(directory: &str, files: &[(&str, u32, u32)], expected: &str) {
        let world: HashMap<PathBuf, FileStatus> = files
            .iter()
            .map(|(path, owner, mode)| {
                let look = FileStatus {
                    directory: path.ends_with('/'),
                    owner: *owner,
                    mode: *mode,
                };
                (PathBuf::from(path), look)
            })
            .collect();
        let environment = Environment {
            env: &|_| None,
            read: &|_| Err(io::Error::other("nothing is read")),
            status: &|path| world.get(path).copied(),
            list: &|_| Vec::new(),
            directory: Path::new(directory),
            config: Some(Path::new("/home/me/.config/healthctl")),
            user: 1000,
            builtin: &[],
        };
        let found = match find(&[], &environment) {
            Ok(chosen) => {
                let file = chosen.files[0].display().to_string();
                chosen.warnings.list.iter().fold(file, |text, warning| {
                    format!("{text} | {}", warning.message)
                })
            }
            Err(problems) => problems.list[0].message.clone(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn the_nearest_is_taken_up_to_the_root_of_the_repository() {
        check(
            "/w/repo/src",
            &[("/w/repo/src/healthctl.yml", 1000, 0o644)],
            "healthctl.yml",
        );
        check(
            "/w/repo/src",
            &[
                ("/w/repo/.git/", 1000, 0o755),
                ("/w/repo/healthctl.yaml", 1000, 0o644),
            ],
            "../healthctl.yaml",
        );
        check(
            "/w/repo",
            &[
                ("/w/repo/healthctl.yaml", 1000, 0o644),
                ("/w/repo/healthctl.yml", 1000, 0o644),
            ],
            "healthctl.yaml | `healthctl.yml` is not read: `healthctl.yaml` beside it comes first",
        );
        check(
            "/w/repo",
            &[("/home/me/.config/healthctl/healthctl.yaml", 1000, 0o600)],
            "/home/me/.config/healthctl/healthctl.yaml",
        );
        check(
            "/w/repo",
            &[
                ("/w/repo/healthctl.yaml/", 1000, 0o755),
                ("/w/repo/healthctl.yml", 1000, 0o644),
            ],
            "healthctl.yml",
        );
    }

    #[test]
    fn nothing_above_the_root_of_the_repository_is_found() {
        let nothing = "no inventory: no healthctl.yaml here nor in /home/me/.config/healthctl";
        check(
            "/w/repo/src",
            &[("/w/repo/healthctl.yaml", 1000, 0o644)],
            nothing,
        );
        check(
            "/w/repo/src",
            &[
                ("/w/repo/.git/", 1000, 0o755),
                ("/w/healthctl.yaml", 1000, 0o644),
            ],
            "no inventory: no healthctl.yaml here and up to /w/repo nor in /home/me/.config/healthctl",
        );
    }

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let check = |owner, mode, expected| {
            check("/w", &[("/w/healthctl.yaml", owner, mode)], expected);
        };
        check(0, 0o100_644, "healthctl.yaml");
        check(1000, 0o100_600, "healthctl.yaml");
        check(
            1000,
            0o100_664,
            "`healthctl.yaml` may be written by others than its owner (mode 0664), and what it says would be run by you",
        );
        check(
            0,
            0o100_646,
            "`healthctl.yaml` may be written by others than its owner (mode 0646), and what it says would be run by you",
        );
        check(
            1001,
            0o100_644,
            "`healthctl.yaml` belongs to the user with the id 1001, and what it says would be run by you",
        );
    }
}
