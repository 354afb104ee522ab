//! Profiles by name: those of the inventory, beside it, of the user, built in; each read once, when it is needed.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::profile::Profile;
use crate::profile::raw::{At, check_name, is_name};
use crate::text::nearest;
use crate::yaml::{Entry, Node, Place, Problem, Problems, SourceFile, parse};

use super::catalogue::Offered;
use super::{Surroundings, find, source};

/// The directory in which profiles are looked for.
const DIRECTORY: &str = "profiles";

/// The endings that a profile's file may have.
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// A profile and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) profile: Arc<Profile>,
    /// It is part of healthctl: its places mean nothing to a user.
    pub(super) builtin: bool,
}

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

/// All profiles within reach.
#[derive(Debug)]
pub(super) struct Library {
    /// By name; `None` for one that cannot be used, which was told.
    known: HashMap<String, Option<Known>>,
    /// Where profiles are looked for, the first place first.
    directories: Vec<PathBuf>,
    /// The inventory was found, not named: files beside it must not be somebody else's.
    found: bool,
}

impl Library {
    /// The library of an inventory: beside each of its named files, the last one first.
    pub(super) fn new(files: &[PathBuf], found: bool, around: &Surroundings<'_>) -> Self {
        let beside = files.iter().rev().filter_map(|file| file.parent());
        Self::beside(beside, found, around)
    }

    /// The library of a directory without an inventory.
    pub(super) fn in_directory(directory: &Path, found: bool, around: &Surroundings<'_>) -> Self {
        Self::beside([directory], found, around)
    }

    fn beside<'a>(
        places: impl IntoIterator<Item = &'a Path>,
        found: bool,
        around: &Surroundings<'a>,
    ) -> Self {
        let mut directories: Vec<PathBuf> = Vec::new();
        for place in places.into_iter().chain(around.config) {
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
            let known = Profile::parse(&entry.key, &entry.value, problems).map(|profile| Known {
                profile: Arc::new(profile),
                builtin: false,
            });
            self.known.insert(entry.key.clone(), known);
        }
    }

    /// The profile of a name. What is wrong with it is told once.
    pub(super) fn get(
        &mut self,
        name: &At<String>,
        around: &Surroundings<'_>,
        problems: &mut Problems,
    ) -> Option<Known> {
        if let Some(known) = self.known.get(&name.value) {
            return known.clone();
        }
        if !is_name(&name.value) {
            check_name("a profile", &name.value, &name.place, problems);
            return None;
        }
        let known = match self.open(name, around, problems) {
            Opened::File { file, builtin } => {
                read(&name.value, &file, problems).map(|profile| Known { profile, builtin })
            }
            Opened::Refused => None,
            Opened::Missing => {
                // Not remembered: each service that names it is marked.
                problems.push(self.missing(name, around));
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
        around: &Surroundings<'_>,
        problems: &mut Problems,
    ) -> bool {
        let mut found = Problems::default();
        let known = self.get(name, around, &mut found);
        // What is not remembered will be told to whoever asks for it next.
        if self.known.contains_key(&name.value) {
            problems.append(found);
        }
        known.is_none_or(|known| !known.profile.probes.is_empty())
    }

    /// The file of a profile.
    fn open(
        &self,
        name: &At<String>,
        around: &Surroundings<'_>,
        problems: &mut Problems,
    ) -> Opened {
        for directory in &self.directories {
            for ending in ENDINGS {
                let path = directory.join(format!("{}.{ending}", name.value));
                if !around.is_file(&path) {
                    continue;
                }
                let file = match self.distrusted(&path, around) {
                    Some(problem) => Err(Box::new(problem)),
                    None => source::read(&path, around),
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
        let builtin = around
            .builtin
            .iter()
            .find(|(builtin, _)| *builtin == name.value);
        builtin.map_or(Opened::Missing, |(name, text)| Opened::File {
            file: Arc::new(SourceFile::new(format!("built-in profile {name}"), *text)),
            builtin: true,
        })
    }

    /// A profile says what is asked and what is run, so it has to be as trustworthy as the inventory beside it.
    fn distrusted(&self, path: &Path, around: &Surroundings<'_>) -> Option<Problem> {
        if !self.found {
            return None;
        }
        find::distrust(path, path, around)
    }

    fn missing(&self, name: &At<String>, around: &Surroundings<'_>) -> Problem {
        let names = self.names(around);
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
    fn names(&self, around: &Surroundings<'_>) -> BTreeSet<String> {
        let files = self.directories.iter().flat_map(|d| (around.list)(d));
        let stems = files.filter_map(|file| {
            let (stem, ending) = file.rsplit_once('.')?;
            ENDINGS.contains(&ending).then(|| stem.to_owned())
        });
        let builtin = around.builtin.iter().map(|(name, _)| (*name).to_owned());
        stems
            .chain(builtin)
            .chain(self.known.keys().cloned())
            .filter(|name| is_name(name))
            .collect()
    }

    /// Every profile within reach by name, with its text, where it comes from, and what is wrong with it.
    pub(super) fn all(&self, defined: &[Entry], around: &Surroundings<'_>) -> Vec<Offered> {
        let mut names = self.names(around);
        names.extend(defined.iter().map(|entry| entry.key.clone()));
        names
            .into_iter()
            .filter_map(|name| {
                let own = defined.iter().find(|entry| entry.key == name);
                match own {
                    Some(entry) => Some(Offered::defined(entry)),
                    None => self.offered(name, around),
                }
            })
            .collect()
    }

    fn offered(&self, name: String, around: &Surroundings<'_>) -> Option<Offered> {
        let mut problems = Problems::default();
        let asked = At {
            place: Place::whole(&Arc::new(SourceFile::new(&name, &name))),
            value: name,
        };
        let (text, origin, profile) = match self.open(&asked, around, &mut problems) {
            Opened::File { file, builtin } => {
                let origin = if builtin {
                    "built in".to_owned()
                } else {
                    around.shown(&file.path).display().to_string()
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
            profile,
            problems,
        })
    }

    /// The files of profiles beside the inventory and of the user.
    pub(super) fn files(&self, around: &Surroundings<'_>) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for directory in &self.directories {
            let mut names = (around.list)(directory);
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
pub(super) fn read(
    name: &str,
    file: &Arc<SourceFile>,
    problems: &mut Problems,
) -> Option<Arc<Profile>> {
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
        .map(Arc::new)
}
