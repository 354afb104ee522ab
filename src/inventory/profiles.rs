//! Profiles by name: those of the inventory, beside it, of the user, built in; each read once, when it is needed.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::profile::Profile;
use crate::profile::raw::read::{check_name, is_name};
use crate::profile::setting::At;
use crate::text::nearest;
use crate::yaml::{Entry, Node, Place, Problem, Problems, SourceFile, parse};

use super::environment::{Environment, read_source};
use super::find::{Chosen, distrust};
use super::includes::read_files;
use super::merge::merge;

/// The directory in which profiles are looked for.
const DIRECTORY: &str = "profiles";

/// The endings that a profile's file may have.
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// What a name leads to.
enum Opened {
    File {
        file: Arc<SourceFile>,
        builtin: bool,
    },
    Missing,
    /// It cannot be used, which was told.
    Refused,
}

/// Finds profiles by name, and reads each once.
#[derive(Debug)]
pub(super) struct ProfileLoader {
    /// By name; `None` for one that cannot be used, which was told.
    known: HashMap<String, Option<Arc<Profile>>>,
    /// Where profiles are looked for, the first place first.
    directories: Vec<PathBuf>,
    /// The inventory was found, not named: files beside it must not be somebody else's.
    found: bool,
}

impl ProfileLoader {
    /// The library of an inventory: beside each of its named files, the last one first.
    pub(super) fn new(files: &[PathBuf], found: bool, environment: &Environment<'_>) -> Self {
        let beside = files.iter().rev().filter_map(|file| file.parent());
        Self::beside(beside, found, environment)
    }

    /// The library of a directory without an inventory.
    pub(super) fn in_directory(
        directory: &Path,
        found: bool,
        environment: &Environment<'_>,
    ) -> Self {
        Self::beside([directory], found, environment)
    }

    fn beside<'a>(
        places: impl IntoIterator<Item = &'a Path>,
        found: bool,
        environment: &Environment<'a>,
    ) -> Self {
        let mut directories: Vec<PathBuf> = Vec::new();
        for place in places.into_iter().chain(environment.config) {
            let directory = place.join(DIRECTORY);
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        Self {
            known: HashMap::new(),
            directories,
            found,
        }
    }

    /// Takes in the profiles that the inventory itself defines.
    pub(super) fn define(&mut self, entries: &[Entry], problems: &mut Problems) {
        for entry in entries {
            if !check_name("a profile", &entry.key, &entry.key_place, problems) {
                continue;
            }
            let profile = Profile::parse(&entry.key, &entry.value, problems).map(Arc::new);
            self.known.insert(entry.key.clone(), profile);
        }
    }

    /// The profile of a name. What is wrong with it is told once.
    pub(super) fn get(
        &mut self,
        name: &At<String>,
        environment: &Environment<'_>,
        problems: &mut Problems,
    ) -> Option<Arc<Profile>> {
        if let Some(known) = self.known.get(&name.value) {
            return known.clone();
        }
        if !is_name(&name.value) {
            check_name("a profile", &name.value, &name.place, problems);
            return None;
        }
        let known = match self.open(name, environment, problems) {
            Opened::File { file, builtin } => {
                let profile = read(&name.value, &file, problems);
                profile.map(|profile| Arc::new(Profile { builtin, ..profile }))
            }
            Opened::Refused => None,
            Opened::Missing => {
                // Not remembered: each service that names it is marked.
                problems.push(self.missing(name, environment));
                return None;
            }
        };
        self.known.insert(name.value.clone(), known.clone());
        known
    }

    /// Whether a profile has probes of its own. One that cannot be read is taken to have some.
    pub(super) fn brings_probes(
        &mut self,
        name: &At<String>,
        environment: &Environment<'_>,
        problems: &mut Problems,
    ) -> bool {
        let mut found = Problems::default();
        let known = self.get(name, environment, &mut found);
        // What is not remembered will be told to whoever asks for it next.
        if self.known.contains_key(&name.value) {
            problems.append(found);
        }
        known.is_none_or(|profile| !profile.probes.is_empty())
    }

    /// The file of a profile.
    fn open(
        &self,
        name: &At<String>,
        environment: &Environment<'_>,
        problems: &mut Problems,
    ) -> Opened {
        for directory in &self.directories {
            for ending in ENDINGS {
                let path = directory.join(format!("{}.{ending}", name.value));
                if !environment.is_file(&path) {
                    continue;
                }
                let file = match self.distrusted(&path, environment) {
                    Some(problem) => Err(Box::new(problem)),
                    None => read_source(&path, environment),
                };
                return match file {
                    Ok(file) => Opened::File {
                        file,
                        builtin: false,
                    },
                    Err(problem) => {
                        problems.push(Problem {
                            place: Some(name.place.clone()),
                            ..*problem
                        });
                        Opened::Refused
                    }
                };
            }
        }
        let builtin = environment
            .builtin
            .iter()
            .find(|(builtin, _)| *builtin == name.value);
        builtin.map_or(Opened::Missing, |(name, text)| Opened::File {
            file: Arc::new(SourceFile::new(format!("built-in profile {name}"), *text)),
            builtin: true,
        })
    }

    /// A profile says what is asked and what is run, so it has to be as trustworthy as the inventory beside it.
    fn distrusted(&self, path: &Path, environment: &Environment<'_>) -> Option<Problem> {
        if !self.found {
            return None;
        }
        distrust(path, path, environment)
    }

    fn missing(&self, name: &At<String>, environment: &Environment<'_>) -> Problem {
        let names = self.names(environment);
        let hint = nearest(&name.value, names.iter().map(String::as_str)).map_or_else(
            || {
                let known = names.iter().map(String::as_str).collect::<Vec<_>>();
                format!("known profiles: {}", known.join(", "))
            },
            |near| format!("did you mean `{near}`?"),
        );
        Problem::at(&name.place, format!("there is no profile `{}`", name.value))
            .label("expected the name of a profile")
            .hint(hint)
    }

    /// The name of every profile within reach.
    fn names(&self, environment: &Environment<'_>) -> BTreeSet<String> {
        let files = self.directories.iter().flat_map(|d| (environment.list)(d));
        let stems = files.filter_map(|file| {
            let (stem, ending) = file.rsplit_once('.')?;
            ENDINGS.contains(&ending).then(|| stem.to_owned())
        });
        let builtin = environment
            .builtin
            .iter()
            .map(|(name, _)| (*name).to_owned());
        stems
            .chain(builtin)
            .chain(self.known.keys().cloned())
            .filter(|name| is_name(name))
            .collect()
    }

    /// Every profile within reach by name, with its text, where it comes from, and what is wrong with it.
    pub(super) fn all(&self, defined: &[Entry], environment: &Environment<'_>) -> Vec<Offered> {
        let mut names = self.names(environment);
        names.extend(defined.iter().map(|entry| entry.key.clone()));
        names
            .into_iter()
            .filter_map(|name| {
                let own = defined.iter().find(|entry| entry.key == name);
                match own {
                    Some(entry) => Some(Offered::defined(entry)),
                    None => self.offered(name, environment),
                }
            })
            .collect()
    }

    fn offered(&self, name: String, environment: &Environment<'_>) -> Option<Offered> {
        let mut problems = Problems::default();
        let asked = At {
            place: Place::whole(&Arc::new(SourceFile::new(&name, &name))),
            value: name,
        };
        let (text, origin, profile) = match self.open(&asked, environment, &mut problems) {
            Opened::File { file, builtin } => {
                let origin = if builtin {
                    "built in".to_owned()
                } else {
                    environment.shown(&file.path).display().to_string()
                };
                let profile = read(&asked.value, &file, &mut problems);
                (file.text.clone(), origin, profile)
            }
            Opened::Missing => return None,
            Opened::Refused => (String::new(), "refused".to_owned(), None),
        };
        Some(Offered {
            name: asked.value,
            origin,
            text,
            profile: profile.map(Arc::new),
            problems,
        })
    }

    /// The files of profiles beside the inventory and of the user.
    pub(super) fn files(&self, environment: &Environment<'_>) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for directory in &self.directories {
            let mut names = (environment.list)(directory);
            names.sort();
            files.extend(
                names
                    .iter()
                    .filter(|name| {
                        name.rsplit_once('.')
                            .is_some_and(|(_, ending)| ENDINGS.contains(&ending))
                    })
                    .map(|name| directory.join(name)),
            );
        }
        files
    }
}

/// Reads the profile that a file holds.
pub(super) fn read(name: &str, file: &Arc<SourceFile>, problems: &mut Problems) -> Option<Profile> {
    let before = problems.error_count();
    let node: Option<Node> = parse(file, problems);
    if node.is_none() && problems.error_count() == before {
        problems.push(Problem::general(format!(
            "`{}` is empty",
            file.path.display()
        )));
    }
    node.and_then(|node| Profile::parse(name, &node, problems))
        .filter(|_| problems.error_count() == before)
}

/// A profile within reach.
#[derive(Debug)]
pub(crate) struct Offered {
    /// Its name.
    pub(crate) name: String,
    /// Where it comes from: `built in`, or the file that it stands in.
    pub(crate) origin: String,
    /// Its YAML as written.
    pub(crate) text: String,
    /// `None` where it cannot be used.
    pub(crate) profile: Option<Arc<Profile>>,
    /// What is wrong with it.
    pub(crate) problems: Problems,
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
pub(crate) fn catalogue(chosen: Option<Chosen>, environment: &Environment<'_>) -> Vec<Offered> {
    let found = chosen.as_ref().is_none_or(|chosen| chosen.found);
    let files = chosen.map(|chosen| chosen.files).unwrap_or_default();
    let loader = match files.as_slice() {
        [] => ProfileLoader::in_directory(environment.directory, found, environment),
        files => ProfileLoader::new(files, found, environment),
    };
    // Mistakes of the inventory are told by whoever reads it in earnest.
    let mut ignored = Problems::default();
    let documents = read_files(&files, found, environment, &mut ignored);
    loader.all(&merge(documents, &mut ignored).profiles, environment)
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
