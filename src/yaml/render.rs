//! Formats problems for people: file, line, column, the marked line, what was expected, what to do.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use annotate_snippets::{Element, Group, Level, Renderer};
use indexmap::IndexSet;

use super::mask::safe;
use super::problem::{Problem, Problems};
use super::snippet::Snippets;

/// The number of problems that are shown: nobody reads more, and the output must not be a hundred times the file.
const MOST: usize = 2_000;

impl Problems {
    /// Formats all problems in the order of the files, each once, with the marked line. Control characters and plain
    /// secrets of a file never reach the terminal.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut out = String::new();
        let mut snippets = Snippets::default();
        let sorted = self.sorted();
        for problem in sorted.iter().take(MOST) {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(renderer.render(&[group(problem, &mut snippets)]).trim_end());
            out.push('\n');
            if let (None, Some(hint)) = (&problem.place, &problem.hint) {
                // Without a marked line there is no margin for it to stand in.
                out.push_str("hint: ");
                out.push_str(&safe(hint));
                out.push('\n');
            }
        }
        if sorted.len() > MOST {
            let _ = writeln!(out, "\n… and {} more", sorted.len() - MOST);
        }
        out
    }

    /// Returns the number of mistakes that are shown, without warnings.
    pub fn shown_errors(&self) -> usize {
        self.sorted()
            .iter()
            .filter(|problem| !problem.warning)
            .count()
    }

    /// Returns each problem once, file by file in the order in which files were first met, and by place in each file.
    fn sorted(&self) -> Vec<&Problem> {
        let mut files = IndexSet::new();
        let mut key = |problem: &Problem| {
            let place = problem.place.as_ref()?;
            let (file, _) = files.insert_full(Arc::as_ptr(&place.file));
            Some((file, place.start))
        };
        let problems = self.list.iter();
        let mut list: Vec<_> = problems.map(|problem| (key(problem), problem)).collect();
        list.sort_by_key(|(key, _)| *key);
        let mut seen = HashSet::new();
        // A mistake behind an alias is one mistake, however often the alias is used.
        list.retain(|(key, problem)| seen.insert((*key, problem.message.as_str())));
        list.into_iter().map(|(_, problem)| problem).collect()
    }
}

fn group(problem: &Problem, snippets: &mut Snippets) -> Group<'static> {
    let level = if problem.warning {
        Level::WARNING
    } else {
        Level::ERROR
    };
    let title = level.primary_title(safe(&problem.message));
    let mut group = Group::with_title(title);
    let Some(place) = &problem.place else {
        return group;
    };
    group = group.elements(snippets.marked(place, problem));
    if let Some(hint) = &problem.hint {
        let hint: Element<'_> = Level::HELP.with_name("hint").message(safe(hint)).into();
        group = group.element(hint);
    }
    group
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Fields, Place, Problem, Problems, SourceFile, parse};

    fn place(file: &Arc<SourceFile>, text: &str) -> Place {
        let start = file.text.find(text).unwrap();
        Place {
            file: Arc::clone(file),
            start,
            end: start + text.len(),
        }
    }

    #[test]
    fn the_marked_line_is_shown() {
        let file = Arc::new(SourceFile::new("x.yaml", "ä: 1\r\napi: {timeuot: 5s}\r\n"));
        let mut problems = Problems::default();
        let node = parse(&file, &mut problems).unwrap();
        let api = &node.get("api").unwrap().value;
        let mut fields = Fields::read(api, "a map", &mut problems).unwrap();
        let _ = fields.take("timeout");
        fields.finish(&mut problems);
        assert_eq!(
            problems.render(false),
            "\
error: unknown key `timeuot`
 --> x.yaml:2:7
  |
2 | api: {timeuot: 5s}
  |       ^^^^^^^ not known here
  |
  = hint: did you mean `timeout`?
"
        );
    }

    #[test]
    fn both_places_are_shown() {
        let file = Arc::new(SourceFile::new("x.yaml", "one: 1\n\n\n\none: 2\n"));
        let mut problems = Problems::default();
        let _ = parse(&file, &mut problems);
        assert_eq!(
            problems.render(false),
            "\
error: duplicate key `one`
 --> x.yaml:5:1
  |
1 | one: 1
  | --- first here
...
5 | one: 2
  | ^^^ here again
  |
  = hint: keep one of them
"
        );
    }

    #[test]
    fn nothing_hostile_or_secret_is_shown() {
        let file = Arc::new(SourceFile::new(
            "x\u{1b}.yaml",
            "\u{1b}[31m\u{9b}: {password: hunter2, \u{202e}x: http://a:b@c}",
        ));
        let mut problems = Problems::default();
        problems.push(
            Problem::at(&place(&file, "x:"), "bad \u{1b}]0;title\u{7}")
                .label("\u{1b}c")
                .hint("http://me:secret@host"),
        );
        let text = problems.render(false);
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "{text:?}"
        );
        assert!(!text.contains('\u{202e}'), "{text:?}");
        assert!(
            !text.contains("hunter2") && !text.contains("secret"),
            "{text}"
        );
        assert!(text.contains("x\u{241b}.yaml:1:30"), "{text}");
    }

    #[test]
    fn one_mistake_is_told_once_and_in_the_order_of_the_file() {
        let file = Arc::new(SourceFile::new("x.yaml", "a: 1\nb: 2\n"));
        let mut problems = Problems::default();
        for text in ["b", "a", "b"] {
            problems.push(Problem::at(&place(&file, text), "wrong"));
        }
        problems.push(Problem::general("no file is to blame"));
        let text = problems.render(false);
        let heads: Vec<_> = text
            .lines()
            .filter(|l| l.contains("error") || l.contains("-->"))
            .collect();
        assert_eq!(
            heads,
            [
                "error: no file is to blame",
                "error: wrong",
                " --> x.yaml:1:1",
                "error: wrong",
                " --> x.yaml:2:1"
            ]
        );
    }
}
