//! The files of an inventory: those named, and what they include, each as a tree with its variables put in.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::profile::raw::read::beside;
use crate::profile::raw::secret::Variables;
use crate::yaml::{Entry, Node, Place, Problem, Problems, SourceFile, interpolate, parse};

use super::env_file;
use super::environment::Environment;
use super::glob;

/// The most files that include each other: more is a mistake.
const DEEPEST: usize = 16;

/// A file of the inventory.
#[derive(Debug)]
pub(super) struct ParsedFile {
    /// The path as the user would write it.
    pub(super) path: PathBuf,
    pub(super) node: Node,
    /// The files whose `defaults` hold for it, the weakest first, itself last.
    pub(super) chain: Vec<usize>,
    /// The variables of `env_file`, behind the process environment.
    pub(super) variables: Arc<Variables>,
    /// The number of the named file that the file belongs to.
    pub(super) root: usize,
}

/// Reads the files named and all that they include.
pub(super) fn read_files(
    files: &[PathBuf],
    found: bool,
    environment: &Environment<'_>,
    problems: &mut Problems,
) -> Vec<ParsedFile> {
    let mut includes = Includes {
        environment,
        found,
        documents: Vec::new(),
        root: 0,
        open: Vec::new(),
        included: Vec::new(),
        problems,
    };
    for (root, path) in files.iter().enumerate() {
        includes.root = root;
        includes.included.clear();
        includes.file(path, None);
    }
    includes.documents
}

struct Includes<'a> {
    environment: &'a Environment<'a>,
    /// Set for an inventory that was found, not named.
    found: bool,
    documents: Vec<ParsedFile>,
    root: usize,
    /// The files that include each other, from the root to the one being read: identity and path.
    open: Vec<(PathBuf, PathBuf)>,
    /// Every file included so far, with the place that includes it.
    included: Vec<(PathBuf, Place)>,
    problems: &'a mut Problems,
}

impl Includes<'_> {
    /// Reads a file and what it includes; `above` is the document that includes it, and where.
    fn file(&mut self, path: &Path, above: Option<(usize, &Place)>) {
        let before = self.problems.error_count();
        let Some((file, mut node)) = self.parsed(path, above.map(|(_, place)| place)) else {
            if self.problems.error_count() == before {
                Problem::general(format!("`{}` is empty", path.display()))
                    .hint("`healthctl init --stdout` shows an example")
                    .placed(above.map(|(_, place)| place))
                    .report(self.problems);
            }
            return;
        };
        let above = above.map(|(index, _)| index);
        let includer = above.and_then(|index| self.documents.get(index));
        let mut chain = includer.map(|it| it.chain.clone()).unwrap_or_default();
        let outer = includer.map(|it| Arc::clone(&it.variables));
        let variables = self.variables(&node, outer.unwrap_or_default());
        interpolate(
            &mut node,
            &lookup(self.environment, &variables),
            self.problems,
        );
        let index = self.documents.len();
        chain.push(index);
        let include = node.get("include").cloned();
        self.documents.push(ParsedFile {
            path: file.path.clone(),
            node,
            chain,
            variables,
            root: self.root,
        });
        if let Some(entry) = include {
            self.open.push((self.identity(path), path.to_owned()));
            self.include(&entry, index);
            self.open.pop();
        }
    }

    fn parsed(&mut self, path: &Path, at: Option<&Place>) -> Option<(Arc<SourceFile>, Node)> {
        let file = match self.environment.read_source(path) {
            Ok(file) => file,
            Err(problem) => return problem.placed(at).reject(self.problems),
        };
        let node = parse(&file, self.problems)?;
        Some((file, node))
    }

    /// Returns the variables of the file's `env_file`, over those of the including file; the process environment wins
    /// over both.
    fn variables(&mut self, node: &Node, outer: Arc<Variables>) -> Arc<Variables> {
        let Some(entry) = node.get("env_file") else {
            return outer;
        };
        let mut value = entry.value.clone();
        interpolate(&mut value, &lookup(self.environment, &outer), self.problems);
        let Some(text) = value.line("the path of a file such as `.env`", self.problems) else {
            return outer;
        };
        let path = beside(&value.place, &text);
        let read = match self.distrusted(&path) {
            Some(problem) => Err(Box::new(problem)),
            None => self.environment.read_source(&path).map_err(|problem| {
                Box::new(problem.hint("take it out, or make the file: an empty one will do"))
            }),
        };
        let own = match read {
            Ok(file) => env_file::parse(&file.path, &file.text, self.problems),
            Err(problem) => {
                problem
                    .placed(&value.place)
                    .label("is needed for the variables in it")
                    .report(self.problems);
                return outer;
            }
        };
        let mut all = Arc::unwrap_or_clone(outer);
        all.extend(own);
        Arc::new(all)
    }

    /// Returns why a file must not be used: what is included decides what is run, as the inventory itself does.
    fn distrusted(&self, path: &Path) -> Option<Problem> {
        if !self.found {
            return None;
        }
        self.environment.distrust(path, path)
    }

    fn include(&mut self, entry: &Entry, index: usize) {
        const EXPECTED: &str = "a list of files, as in `[services/*.yaml]`";
        let Some(items) = entry.value.list(EXPECTED, self.problems) else {
            return;
        };
        let mut done: Vec<PathBuf> = Vec::new();
        for item in items {
            let Some(pattern) = item.line(
                "a file or a pattern such as `services/*.yaml`",
                self.problems,
            ) else {
                continue;
            };
            for path in self.matching(item, &pattern) {
                let identity = self.identity(&path);
                // Two patterns of one list may overlap.
                if done.contains(&identity) {
                    continue;
                }
                match self.refusal(item, &path, &identity) {
                    Some(problem) => self.problems.push(problem),
                    None => self.file(&path, Some((index, &item.place))),
                }
                done.push(identity);
            }
        }
    }

    /// Returns the files that match a pattern, and reports a pattern without one.
    fn matching(&mut self, item: &Node, pattern: &str) -> Vec<PathBuf> {
        let base = beside(&item.place, "");
        let problem = match glob::files(&base, pattern, self.environment) {
            Ok(files) if !files.is_empty() => return files,
            Ok(_) => {
                let path = beside(&item.place, pattern);
                match (self.environment.status)(&path) {
                    Some(status) if status.directory => {
                        let inside = Path::new(pattern).join("*.yaml");
                        item.problem("is a directory")
                            .label("expected files")
                            .hint(format!("did you mean `{}`?", inside.display()))
                    }
                    _ => item
                        .problem("matches no file")
                        .label("nothing to include")
                        .hint(format!(
                            "it is looked for in `{}`",
                            self.identity(&base).display()
                        )),
                }
            }
            Err(glob::BadPattern::Malformed(why)) => item
                .problem(format!("is no pattern: {why}"))
                .label("expected a path with `*`, `**`, `?`, `[…]` or `{…}`"),
            Err(glob::BadPattern::Endless) => item
                .problem("leads through too many directories")
                .label("too much to look through")
                .hint("name the directory in which the files stand"),
        };
        self.problems.push(problem);
        Vec::new()
    }

    /// Returns why a file cannot be included here; one that can be is remembered as included.
    fn refusal(&mut self, item: &Node, path: &Path, identity: &Path) -> Option<Problem> {
        if let Some(start) = self.open.iter().position(|(open, _)| open == identity) {
            let open = self.open.iter().skip(start);
            let paths = open.map(|(_, path)| path.as_path()).chain([path]);
            let cycle: Vec<_> = paths.map(|path| format!("`{}`", path.display())).collect();
            let message = match cycle.as_slice() {
                [one, _] => format!("{one} includes itself"),
                _ => format!("include cycle: {}", cycle.join(" -> ")),
            };
            let problem = Problem::at(&item.place, message).label("closes the cycle");
            return Some(problem.hint("take one of these out, or make the pattern narrower"));
        }
        if let Some((_, first)) = self.included.iter().find(|(known, _)| known == identity) {
            let message = format!("`{}` is included a second time", path.display());
            let problem = Problem::at(&item.place, message).label("here again");
            let problem = problem.related(first, "first here");
            return Some(problem.hint("its services would be there twice: keep one of them"));
        }
        self.included
            .push((identity.to_owned(), item.place.clone()));
        if self.open.len() > DEEPEST {
            let problem = Problem::at(&item.place, "files include each other too deeply");
            return Some(problem.label(format!("more than {DEEPEST} files inside each other")));
        }
        let problem = self.distrusted(path)?;
        Some(problem.placed(&item.place).label("is included here"))
    }

    /// Returns the identity of a path: absolute, without `.` and `..`.
    fn identity(&self, path: &Path) -> PathBuf {
        let mut plain = PathBuf::new();
        for part in self.environment.directory.join(path).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    plain.pop();
                }
                part => plain.push(part),
            }
        }
        plain
    }
}

/// Looks a variable up in the process environment, then in these variables.
fn lookup<'a>(
    environment: &'a Environment<'_>,
    variables: &'a Variables,
) -> impl Fn(&str) -> Option<String> + 'a {
    |name: &str| (environment.env)(name).or_else(|| variables.get(name).cloned())
}
