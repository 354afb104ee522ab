//! Problems as people read them: file, line, column, the marked line, what was expected, what to do.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Place, Problem, Problems, mask};

/// Further apart than this, two places of one problem are shown as two snippets.
const TOGETHER: usize = 200;

impl Problems {
    /// All problems in the order of the files, each once, with the marked line. The text of a file never
    /// reaches the terminal with a control character or with a plain secret in it.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut out = String::new();
        for problem in self.sorted() {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(renderer.render(&[group(problem)]).trim_end());
            out.push('\n');
            if let (None, Some(hint)) = (&problem.place, &problem.hint) {
                // Without a marked line there is no margin for it to stand in.
                out.push_str("hint: ");
                out.push_str(&safe(hint));
                out.push('\n');
            }
        }
        out
    }

    /// How many mistakes are shown; warnings do not count.
    pub fn shown_errors(&self) -> usize {
        self.sorted()
            .iter()
            .filter(|problem| !problem.warning)
            .count()
    }

    /// Each once, file by file as they were first met, each from its beginning.
    fn sorted(&self) -> Vec<&Problem> {
        let mut files: Vec<*const super::SourceFile> = Vec::new();
        let mut order = |place: &Place| {
            let file = Arc::as_ptr(&place.file);
            files
                .iter()
                .position(|known| *known == file)
                .unwrap_or_else(|| {
                    files.push(file);
                    files.len() - 1
                })
        };
        let mut list: Vec<_> = self
            .list
            .iter()
            .map(|problem| {
                let key = problem
                    .place
                    .as_ref()
                    .map(|place| (order(place), place.start));
                (key, problem)
            })
            .collect();
        list.sort_by_key(|(key, _)| *key);
        let mut seen = HashSet::new();
        // What stands behind an alias is wrong once, however often it is used.
        list.retain(|(key, problem)| seen.insert((*key, problem.message.as_str())));
        list.into_iter().map(|(_, problem)| problem).collect()
    }
}

fn safe(text: &str) -> String {
    mask::visible(&mask::secrets(text)).replace('\n', " ")
}

fn group(problem: &Problem) -> Group<'static> {
    let level = if problem.warning {
        Level::WARNING
    } else {
        Level::ERROR
    };
    let title = level.primary_title(safe(&problem.message));
    let mut group = match &problem.place {
        None => Group::with_title(title),
        Some(place) => title.elements(snippets(place, problem)),
    };
    if let (Some(_), Some(hint)) = (&problem.place, &problem.hint) {
        group = group.element(Level::HELP.with_name("hint").message(safe(hint)));
    }
    group
}

/// One snippet, or two where the places are in two files or far from each other.
fn snippets(place: &Place, problem: &Problem) -> Vec<Snippet<'static, Annotation<'static>>> {
    let label = problem.label.as_deref().map(safe);
    let Some((related, related_label)) = &problem.related else {
        return vec![snippet(place, &[(place, AnnotationKind::Primary, label)])];
    };
    let related_label = Some(safe(related_label));
    let together = Arc::ptr_eq(&place.file, &related.file)
        && place.line().abs_diff(related.line()) <= TOGETHER;
    if together {
        let both = [
            (place, AnnotationKind::Primary, label),
            (related, AnnotationKind::Context, related_label),
        ];
        vec![snippet(place, &both)]
    } else {
        vec![
            snippet(place, &[(place, AnnotationKind::Primary, label)]),
            snippet(
                related,
                &[(related, AnnotationKind::Context, related_label)],
            ),
        ]
    }
}

/// The lines from the first marked one to the last, cut out of the file: what is rendered is searched for
/// lines, and a large file has many of them.
fn snippet(
    main: &Place,
    marks: &[(&Place, AnnotationKind, Option<String>)],
) -> Snippet<'static, Annotation<'static>> {
    let text = main.file.text.as_str();
    let first = marks
        .iter()
        .map(|(place, ..)| place.start)
        .min()
        .unwrap_or(0);
    let last = marks
        .iter()
        .map(|(place, ..)| place.start)
        .max()
        .unwrap_or(0);
    let begin = text
        .get(..first)
        .and_then(|t| t.rfind('\n'))
        .map_or(0, |n| n + 1);
    let end = text
        .get(last..)
        .and_then(|t| t.find('\n'))
        .map_or(text.len(), |n| last + n);
    let window = text.get(begin..end).unwrap_or_default();
    let window = window.strip_suffix('\r').unwrap_or(window);
    let masked = mask::secrets(window);
    let annotations: Vec<_> = marks
        .iter()
        .map(|(place, kind, label)| {
            let range = shown_range(
                &masked,
                place.start - begin,
                place.end.saturating_sub(begin),
            );
            kind.span(range).label(label.clone())
        })
        .collect();
    Snippet::source(mask::visible(&masked))
        .line_start(main.file.line_of(begin))
        .path(mask::visible(&main.file.path.display().to_string()))
        .annotations(annotations)
}

/// Where a stretch of the window stands once hidden characters are replaced; of several lines the first.
fn shown_range(window: &str, start: usize, end: usize) -> Range<usize> {
    let length = |to: usize| mask::visible(window.get(..to).unwrap_or(window)).len();
    let line = window.get(start..).and_then(|t| t.find(['\n', '\r']));
    let line_end = line.map_or(window.len(), |n| start + n);
    length(start)..length(end.min(line_end).max(start))
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
