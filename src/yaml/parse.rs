//! Parses text into the tree: events become nodes, aliases and merge keys are resolved, within limits.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::node::{Entry, Node, Style, Value, typed};
use super::problem::{Place, Problem, Problems, SourceFile};

/// The deepest nesting of maps and lists.
const MAX_DEPTH: usize = 64;

/// The weight to which all aliases of a file together may expand: ten thousand uses of a map of sixty values, and a
/// thousandth of what an alias bomb needs.
const MAX_EXPANSION: usize = 64 << 20;

/// The weight of a node beside its text.
const NODE_WEIGHT: usize = 100;

/// Parses one YAML document, and adds mistakes to `problems`. Returns the tree as far as there is one, and `None` for an
/// empty file, which is no mistake by itself.
pub fn parse(file: &Arc<SourceFile>, problems: &mut Problems) -> Option<Node> {
    let mut builder = Builder {
        offsets: Offsets::new(&file.text),
        file: Arc::clone(file),
        stack: Vec::new(),
        anchors: HashMap::new(),
        expanded: 0,
        root: None,
        documents: 0,
    };
    let mut parser = Parser::new_from_str(&file.text);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => builder.event(event, span, problems),
            Err(error) => Err(Box::new(builder.syntax(&error))),
        };
        if let Err(problem) = step {
            return problem.reject(problems);
        }
    }
    builder.root
}

/// Converts the character indices of the parser to byte offsets.
enum Offsets {
    /// Each character is one byte.
    Ascii,
    /// The byte offset of each character.
    Table(Vec<usize>),
}

impl Offsets {
    fn new(text: &str) -> Self {
        if text.is_ascii() {
            Self::Ascii
        } else {
            Self::Table(text.char_indices().map(|(at, _)| at).collect())
        }
    }

    fn byte(&self, index: usize, length: usize) -> usize {
        match self {
            Self::Ascii => index.min(length),
            Self::Table(table) => table.get(index).copied().unwrap_or(length),
        }
    }
}

/// A map or a list that is not closed yet.
struct OpenCollection {
    place: Place,
    anchor: usize,
    content: CollectionContent,
}

enum CollectionContent {
    List(Vec<Node>),
    Map {
        entries: Vec<(Node, Node)>,
        key: Option<Node>,
    },
}

/// The node of an anchor, and the cost of its use.
struct AnchoredNode {
    node: Node,
    weight: usize,
    height: usize,
}

struct Builder {
    offsets: Offsets,
    file: Arc<SourceFile>,
    stack: Vec<OpenCollection>,
    anchors: HashMap<usize, AnchoredNode>,
    expanded: usize,
    root: Option<Node>,
    documents: usize,
}

/// The problem is boxed, because it is large and rare.
type EventResult = Result<(), Box<Problem>>;

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span, problems: &mut Problems) -> EventResult {
        let place = self.place(span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Problem::at(&place, "a second document starts here")
                        .label("expected the end of the file")
                        .hint("one file is one document: put everything into the first")
                        .into());
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = scalar_node(&text, style, tag.as_deref(), place, problems);
                self.keep(anchor, &node);
                self.add(node, problems);
                Ok(())
            }
            Event::Alias(id) => self.alias(id, &place, problems),
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), "seq", &place, problems);
                self.open(place, anchor, CollectionContent::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), "map", &place, problems);
                let content = CollectionContent::Map {
                    entries: Vec::new(),
                    key: None,
                };
                self.open(place, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.close(&place, problems);
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, place: Place, anchor: usize, content: CollectionContent) -> EventResult {
        if self.stack.len() >= MAX_DEPTH {
            return Err(Box::new(too_deep(&place)));
        }
        self.stack.push(OpenCollection {
            place,
            anchor,
            content,
        });
        Ok(())
    }

    fn close(&mut self, end: &Place, problems: &mut Problems) {
        let Some(open) = self.stack.pop() else {
            return;
        };
        let mut place = open.place;
        let (value, last) = match open.content {
            CollectionContent::List(items) => {
                let last = items.last().map(|node| node.place.end);
                (Value::List(items), last)
            }
            CollectionContent::Map { entries, .. } => {
                let last = entries.last().map(|(_, value)| value.place.end);
                (Value::Map(entries_of(entries, problems)), last)
            }
        };
        // A block has no closing sign: the parser reports its end at the start of the next node.
        let flow = place.text().ends_with(['{', '[']);
        place.end = match last {
            _ if flow => end.end,
            Some(last) => last.max(place.start),
            None => place.end,
        };
        let node = Node::new(value, place, Style::Plain);
        self.keep(open.anchor, &node);
        self.add(node, problems);
    }

    fn alias(&mut self, id: usize, place: &Place, problems: &mut Problems) -> EventResult {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(Problem::at(place, "an alias inside its own anchor")
                .label("would hold itself")
                .hint("put the anchor on something that does not hold the alias")
                .into());
        };
        if self.stack.len() + anchored.height > MAX_DEPTH {
            return Err(Box::new(too_deep(place)));
        }
        self.expanded = self.expanded.saturating_add(anchored.weight);
        if self.expanded > MAX_EXPANSION {
            let most = MAX_EXPANSION >> 20;
            return Err(
                Problem::at(place, "the aliases of this file expand to too much")
                    .label(format!("from here on it is more than {most} MiB"))
                    .hint("use fewer aliases of large anchors")
                    .into(),
            );
        }
        let node = anchored.node.clone();
        self.add(node, problems);
        Ok(())
    }

    fn keep(&mut self, anchor: usize, node: &Node) {
        if anchor != 0 {
            let (weight, height) = measure(node);
            // The copy for the anchor costs as much as a use of it.
            self.expanded = self.expanded.saturating_add(weight);
            let anchored = AnchoredNode {
                node: node.clone(),
                weight,
                height,
            };
            self.anchors.insert(anchor, anchored);
        }
    }

    /// Adds a finished node to the open collection.
    fn add(&mut self, node: Node, problems: &mut Problems) {
        match self.stack.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(CollectionContent::List(items)) => items.push(node),
            Some(CollectionContent::Map { entries, key }) => match key.take() {
                None => {
                    if matches!(node.value, Value::List(_) | Value::Map(_)) {
                        let hint =
                            "a value that begins with `{` or `[` and is meant as text needs quotes";
                        Problem::at(&node.place, format!("a key cannot be {}", node.kind()))
                            .label("expected text before the colon")
                            .hint(hint)
                            .report(problems);
                    }
                    *key = Some(node);
                }
                Some(key) => {
                    let mut node = node;
                    if node.place.start == node.place.end {
                        // Nothing was written: the key is what can be marked.
                        node.place = key.place.clone();
                    }
                    entries.push((key, node));
                }
            },
        }
    }

    /// Returns the place of a span, without the line break and the spaces at the end of a block scalar.
    fn place(&self, span: Span) -> Place {
        let length = self.file.text.len();
        let start = self.offsets.byte(span.start.index(), length);
        let end = self.offsets.byte(span.end.index(), length).max(start);
        let text = self.file.text.get(start..end).unwrap_or_default();
        Place {
            file: Arc::clone(&self.file),
            start,
            end: start + text.trim_end().len(),
        }
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let text = &self.file.text;
        let mut at = self.offsets.byte(error.marker().index(), text.len());
        if at >= text.len() {
            // After the last character there is nothing to mark.
            at = text.trim_end().len();
        }
        let (before, rest) = text.split_at_checked(at).unwrap_or_default();
        let next = rest.chars().next().filter(|c| !c.is_whitespace());
        let place = Place {
            file: Arc::clone(&self.file),
            start: at,
            end: at + next.map_or(0, char::len_utf8),
        };
        let begin = before.rfind('\n').map_or(0, |n| n + 1);
        let line = text.get(begin..).and_then(|rest| rest.lines().next());
        let line = line.unwrap_or_default();
        Problem::at(&place, "this is not YAML")
            .label(error.info())
            .maybe_hint(advice(error.info(), line))
    }
}

/// Returns a hint with the usual cause of a syntax error.
fn advice(info: &str, line: &str) -> Option<String> {
    let advice = if info.contains("tab") || line.starts_with('\t') {
        "YAML is indented with spaces, never with tabs"
    } else if line.contains("${") && line.contains(['{', '[']) {
        "inside `{}` or `[]` a variable needs quotes: `\"${VAR}\"`"
    } else if info.contains("mapping values are not allowed") {
        "text with `: ` in it needs quotes; a key needs a space behind its colon and the indentation of its neighbours"
    } else if info.contains("unknown anchor") {
        "an alias `*name` needs an anchor `&name` before it; a text that begins with `*` needs quotes"
    } else if info.contains("unexpected character") || info.contains("cannot start any token") {
        "a text that begins with this character needs quotes"
    } else if info.contains("quoted scalar") && info.contains("end of stream") {
        "a closing quote is missing"
    } else if info.contains("flow") {
        "is a closing `}` or `]` missing?"
    } else if info.contains("escape") {
        "in double quotes a backslash is written `\\\\`; in single quotes it stands for itself"
    } else if info.contains("block collection") || info.contains("block mapping") {
        "entries that belong together have the same indentation"
    } else {
        return None;
    };
    Some(advice.to_owned())
}

fn too_deep(place: &Place) -> Problem {
    let message = format!("more than {MAX_DEPTH} maps and lists inside each other");
    Problem::at(place, message)
        .label("too deep")
        .hint("nothing that is understood here is nested that deep")
}

/// Returns the weight of a node, and the number of levels of maps and lists in it. The depth is limited, so recursion is.
fn measure(node: &Node) -> (usize, usize) {
    let over = |nodes: &mut dyn Iterator<Item = (usize, &Node)>| {
        let (weight, height) = nodes.fold((0usize, 0), |(weight, height), (extra, node)| {
            let (w, h) = measure(node);
            (
                weight.saturating_add(w).saturating_add(extra),
                height.max(h),
            )
        });
        (weight.saturating_add(NODE_WEIGHT), height + 1)
    };
    match &node.value {
        Value::List(items) => over(&mut items.iter().map(|item| (0, item))),
        Value::Map(entries) => over(&mut entries.iter().map(|e| (e.key.len(), &e.value))),
        Value::Text(text) | Value::Number { text, .. } => (text.len() + NODE_WEIGHT, 0),
        Value::Null | Value::Bool(_) => (NODE_WEIGHT, 0),
    }
}

fn scalar_node(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    place: Place,
    problems: &mut Problems,
) -> Node {
    let plain = style == ScalarStyle::Plain;
    let core = tag.filter(|tag| tag.is_yaml_core_schema());
    let (value, style) = match (tag, core.map(|tag| tag.suffix.as_str())) {
        (None, _) if plain => (typed(text), Style::Plain),
        (None, _) | (Some(_), Some("str")) => (Value::Text(text.to_owned()), Style::Quoted),
        (Some(_), Some("int" | "float" | "bool" | "null")) => (typed(text), Style::Plain),
        (Some(tag), _) => {
            // A lone `!` means: whatever it looks like, it is text.
            if tag.suffix != "!" {
                problems.push(unknown_tag(tag, &place));
            }
            (Value::Text(text.to_owned()), Style::Quoted)
        }
    };
    Node::new(value, place, style)
}

fn check_tag(tag: Option<&Tag>, allowed: &str, place: &Place, problems: &mut Problems) {
    if let Some(tag) = tag
        && !(tag.is_yaml_core_schema() && tag.suffix == allowed)
    {
        problems.push(unknown_tag(tag, place));
    }
}

fn unknown_tag(tag: &Tag, place: &Place) -> Problem {
    Problem::at(place, format!("the tag `{tag}` means nothing here"))
        .label("expected a value without a tag")
        .hint("a variable is `${VAR}`, a secret `{env: VAR}`")
}

/// Returns the entries of a map with unique keys: reports duplicates and resolves merge keys. The keys of the map itself
/// win over merged ones, and an earlier map of a list wins over a later one.
fn entries_of(pairs: Vec<(Node, Node)>, problems: &mut Problems) -> Vec<Entry> {
    let mut entries: IndexMap<String, Entry> = IndexMap::with_capacity(pairs.len());
    let mut merged = Vec::new();
    for (key, value) in pairs {
        let plain = key.style == Style::Plain;
        let text = match key.value {
            Value::Text(text) | Value::Number { text, .. } => text,
            Value::Bool(_) | Value::Null => key.place.text().to_owned(),
            // This was reported when it was read.
            Value::List(_) | Value::Map(_) => continue,
        };
        if text == "<<" && plain {
            merged.push((key.place, value));
            continue;
        }
        if let Some(first) = entries.get(&text) {
            Problem::at(&key.place, format!("duplicate key `{text}`"))
                .label("here again")
                .related(&first.key_place, "first here")
                .hint("keep one of them")
                .report(problems);
            continue;
        }
        let entry = Entry {
            key: text.clone(),
            key_place: key.place,
            value,
        };
        entries.insert(text, entry);
    }
    if let [(first, _), (second, _), ..] = merged.as_slice() {
        Problem::at(second, "duplicate key `<<`")
            .label("here again")
            .related(first, "first here")
            .hint("merge several maps with a list: `<<: [*a, *b]`")
            .report(problems);
    }
    for (place, value) in merged {
        let sources = match value.value {
            Value::Map(entries) => vec![entries],
            Value::List(items) => items
                .into_iter()
                .filter_map(|item| {
                    if let Value::Map(entries) = item.value {
                        return Some(entries);
                    }
                    not_mergeable(&item).reject(problems)
                })
                .collect(),
            // `<<:` without a value merges nothing.
            Value::Null => Vec::new(),
            _ => {
                problems.push(not_mergeable(&Node { place, ..value }));
                Vec::new()
            }
        };
        for entry in sources.into_iter().flatten() {
            entries.entry(entry.key.clone()).or_insert(entry);
        }
    }
    entries.into_values().collect()
}

fn not_mergeable(node: &Node) -> Problem {
    Problem::at(&node.place, format!("cannot merge {}", node.kind()))
        .label("expected a map, or a list of maps")
        .hint("a merge key takes an alias of a map: `<<: *name`")
}

#[cfg(test)]
mod tests;
