//! Profiles by name: those of the inventory, beside it, of the user, and built in. Each is read once, when it is needed.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use crate::profile::Profile;
use crate::profile::raw::read::{check_name, is_name};
use crate::profile::setting::Spanned;
use crate::text::nearest;
use crate::yaml::{Entry, Place, Problem, Problems, SourceFile, parse};

use super::environment::Environment;
use super::find::InventoryFiles;
use super::includes::read_files;
use super::merge::merge;

/// The directory in which profiles are looked for.
const DIRECTORY: &str = "profiles";

/// The endings that a profile's file may have.
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// The file of a profile.
struct ProfileFile {
    file: Arc<SourceFile>,
    builtin: bool,
}

/// Finds profiles by name, and reads each once.
#[derive(Debug)]
pub(super) struct ProfileLoader<'a> {
    environment: &'a Environment<'a>,
    /// The profiles that were read; `None` for one with mistakes, which are reported.
    loaded: HashMap<String, Option<Arc<Profile>>>,
    /// The directories in which profiles are looked for, the first one first.
    directories: Vec<PathBuf>,
    /// Set for an inventory that was found, not named: files beside it must not be somebody else's.
    found: bool,
}

impl<'a> ProfileLoader<'a> {
    /// Makes the loader of an inventory: it looks beside each of the named files, the last one first; without a file, in
    /// the current directory.
    pub(super) fn new(files: &[PathBuf], found: bool, environment: &'a Environment<'a>) -> Self {
        let here = Some(environment.directory).filter(|_| files.is_empty());
        let beside = files.iter().rev().filter_map(|file| file.parent());
        let mut directories: Vec<PathBuf> = Vec::new();
        for place in beside.chain(here).chain(environment.config) {
            let directory = place.join(DIRECTORY);
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        Self {
            environment,
            loaded: HashMap::new(),
            directories,
            found,
        }
    }

    /// Adds the profiles that the inventory itself defines.
    pub(super) fn define(&mut self, entries: &[Entry], problems: &mut Problems) {
        for entry in entries {
            if check_name("a profile", &entry.key, &entry.key_place, problems) {
                let profile = Profile::parse(&entry.key, &entry.value, problems);
                self.loaded.insert(entry.key.clone(), profile.map(Arc::new));
            }
        }
    }

    /// Returns the profile of a name. The mistakes in it are reported once.
    pub(super) fn get(
        &mut self,
        name: &Spanned<String>,
        problems: &mut Problems,
    ) -> Option<Arc<Profile>> {
        if let Some(loaded) = self.loaded.get(&name.value) {
            return loaded.clone();
        }
        if !check_name("a profile", &name.value, &name.place, problems) {
            return None;
        }
        let profile = match self.open(&name.value) {
            Some(Ok(ProfileFile { file, builtin })) => {
                let profile = read(&name.value, &file, problems);
                profile.map(|profile| Arc::new(Profile { builtin, ..profile }))
            }
            Some(Err(problem)) => problem.placed(&name.place).reject(problems),
            None => {
                // Not remembered: each service that names it is marked.
                return self.missing(name).reject(problems);
            }
        };
        self.loaded.insert(name.value.clone(), profile.clone());
        profile
    }

    /// Returns whether a profile has probes of its own. One that cannot be read is taken to have some.
    pub(super) fn has_probes(&mut self, name: &Spanned<String>, problems: &mut Problems) -> bool {
        let mut found = Problems::default();
        let profile = self.get(name, &mut found);
        // The problems of a profile that is not remembered are reported when it is asked for next.
        if self.loaded.contains_key(&name.value) {
            problems.append(found);
        }
        profile.is_none_or(|profile| !profile.probes.is_empty())
    }

    /// Opens the file of a profile. Returns `None` where there is none, and the problem where it cannot be used.
    fn open(&self, name: &str) -> Option<Result<ProfileFile, Box<Problem>>> {
        let directories = self.directories.iter();
        let mut paths = directories
            .flat_map(|directory| ENDINGS.map(|ending| directory.join(format!("{name}.{ending}"))));
        if let Some(path) = paths.find(|path| self.environment.is_file(path)) {
            // A profile says what is asked and what is run, as the inventory beside it does.
            let distrusted = self.environment.distrust(&path, &path);
            let file = match distrusted.filter(|_| self.found) {
                Some(problem) => Err(Box::new(problem)),
                None => self.environment.read_source(&path),
            };
            return Some(file.map(|file| ProfileFile {
                file,
                builtin: false,
            }));
        }
        let mut builtin = self.environment.builtin.iter();
        let (name, text) = builtin.find(|(builtin, _)| *builtin == name)?;
        Some(Ok(ProfileFile {
            file: Arc::new(SourceFile::new(format!("built-in profile {name}"), *text)),
            builtin: true,
        }))
    }

    fn missing(&self, name: &Spanned<String>) -> Problem {
        let names: Vec<String> = self.names().into_iter().collect();
        let near = nearest(&name.value, names.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known profiles: {}", names.join(", ")),
        };
        Problem::at(&name.place, format!("there is no profile `{}`", name.value))
            .label("expected the name of a profile")
            .hint(hint)
    }

    /// Returns the files of profiles beside the inventory and of the user.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for directory in &self.directories {
            let mut names = (self.environment.list)(directory);
            names.sort();
            let paths = names.iter().map(|name| directory.join(name));
            files.extend(paths.filter(|path| {
                let ending = path.extension().and_then(|ending| ending.to_str());
                ending.is_some_and(|ending| ENDINGS.contains(&ending))
            }));
        }
        files
    }

    /// Returns the name of every profile within reach.
    fn names(&self) -> BTreeSet<String> {
        let files = self.files().into_iter();
        let stems = files.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()));
        let builtin = self.environment.builtin.iter();
        let builtin = builtin.map(|(name, _)| (*name).to_owned());
        let names = stems.chain(builtin).chain(self.loaded.keys().cloned());
        names.filter(|name| is_name(name)).collect()
    }

    fn offered(&self, name: String) -> Option<AvailableProfile> {
        let mut problems = Problems::default();
        let (text, origin, profile) = match self.open(&name)? {
            Ok(ProfileFile { file, builtin }) => {
                let origin = if builtin {
                    "built in".to_owned()
                } else {
                    self.environment.shown(&file.path).display().to_string()
                };
                let profile = read(&name, &file, &mut problems);
                (file.text.clone(), origin, profile)
            }
            Err(problem) => {
                let place = Place::whole(&Arc::new(SourceFile::new(&name, &name)));
                problem.placed(&place).report(&mut problems);
                (String::new(), "refused".to_owned(), None)
            }
        };
        Some(AvailableProfile {
            name,
            origin,
            text,
            profile: profile.map(Arc::new),
            problems,
        })
    }
}

/// Reads the profile that a file holds.
pub(super) fn read(name: &str, file: &Arc<SourceFile>, problems: &mut Problems) -> Option<Profile> {
    let before = problems.error_count();
    let node = parse(file, problems);
    if node.is_none() && problems.error_count() == before {
        let path = file.path.display();
        problems.push(Problem::general(format!("`{path}` is empty")));
    }
    let profile = Profile::parse(name, &node?, problems);
    profile.filter(|_| problems.error_count() == before)
}

/// A profile that an inventory could name.
#[derive(Debug)]
pub(crate) struct AvailableProfile {
    pub(crate) name: String,
    /// `built in`, or the file that the profile stands in.
    pub(crate) origin: String,
    /// The YAML as written.
    pub(crate) text: String,
    /// `None` where the profile has mistakes.
    pub(crate) profile: Option<Arc<Profile>>,
    pub(crate) problems: Problems,
}

impl AvailableProfile {
    /// Makes one of a profile that the inventory itself defines.
    fn defined(entry: &Entry) -> Self {
        let mut problems = Problems::default();
        let profile = Profile::parse(&entry.key, &entry.value, &mut problems);
        Self {
            name: entry.key.clone(),
            origin: entry.key_place.short(),
            text: outdented(entry.value.place.text()),
            profile: profile.filter(|_| !problems.has_errors()).map(Arc::new),
            problems,
        }
    }
}

/// Returns every profile within reach, by name; of several of one name the one that counts. Without an inventory, or
/// with one that cannot be read, those of the current directory, of the user and built in.
pub(crate) fn catalogue(
    inventory: Option<InventoryFiles>,
    environment: &Environment<'_>,
) -> Vec<AvailableProfile> {
    let found = inventory.as_ref().is_none_or(|inventory| inventory.found);
    let files = inventory
        .map(|inventory| inventory.files)
        .unwrap_or_default();
    let loader = ProfileLoader::new(&files, found, environment);
    // The mistakes of the inventory are reported by the commands that need it.
    let mut ignored = Problems::default();
    let documents = read_files(&files, found, environment, &mut ignored);
    let defined = merge(documents, &mut ignored).profiles;
    let mut names = loader.names();
    names.extend(defined.iter().map(|entry| entry.key.clone()));
    let offered = |name: String| match defined.iter().find(|entry| entry.key == name) {
        Some(entry) => Some(AvailableProfile::defined(entry)),
        None => loader.offered(name),
    };
    names.into_iter().filter_map(offered).collect()
}

/// Moves a part of a file to the left, as far as all its lines after the first allow.
fn outdented(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let rest = text.lines().skip(1).filter(|line| !line.trim().is_empty());
    let least = rest.map(indent).min().unwrap_or(0);
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.lines().enumerate() {
        let cut = if number == 0 { 0 } else { least };
        out.push_str(line.get(cut..).unwrap_or(""));
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
