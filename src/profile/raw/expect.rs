//! Expectations of an answer: as written, merged, checked and shown.

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use crate::yaml::{Entry, Fields, Place, Problem, Problems};

use super::super::annotated::AnnotatedYaml;
use super::super::setting::{Levels, Origin, Spanned, origin, strongest};
use super::super::{Decode, Expect, StatusRange};
use super::secret::{check_header_name, is_duplicate};

/// Expectations of an answer as written.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawExpect {
    status: Option<Spanned<Vec<StatusRange>>>,
    /// Texts that the body has to contain.
    body: Option<Spanned<Vec<String>>>,
    /// JSON pointers with the value that has to stand there.
    json: Vec<(Spanned<String>, Json)>,
    /// Headers with the value they have to carry.
    headers: Vec<(Spanned<String>, String)>,
}

impl RawExpect {
    pub(super) fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        let expected = "a map with `status`, `body`, `json` or `headers`";
        let mut fields = Fields::read(&entry.value, expected, problems)?;
        let status = fields.read_key("status", problems, status);
        let body = fields.read_key("body", problems, body);
        let json = fields.read_key("json", problems, json);
        let headers = fields.read_key("headers", problems, headers);
        fields.finish(problems);
        Some(Self {
            status,
            body,
            json: json.unwrap_or_default(),
            headers: headers.unwrap_or_default(),
        })
    }

    /// Merges the levels: `json` and `headers` by key, all else replaced.
    pub(crate) fn resolve(levels: Levels<'_, '_, Self>) -> Expect {
        let status = strongest(levels, |expect| expect.status.as_ref());
        let body = strongest(levels, |expect| expect.body.as_ref());
        let mut expect = Expect {
            status: status.map_or_else(Vec::new, |status| status.value.clone()),
            body_contains: body.map_or_else(Vec::new, |body| body.value.clone()),
            ..Expect::default()
        };
        for (_, raw) in levels {
            for (pointer, value) in &raw.json {
                set(&mut expect.json, &pointer.value, value.clone());
            }
            for (name, value) in &raw.headers {
                set(&mut expect.headers, &name.value, value.clone());
            }
        }
        expect
    }

    /// Reports expectations that no answer can meet; `bodiless` is the place of what makes every answer one without a
    /// body.
    pub(crate) fn check(
        levels: Levels<'_, '_, Self>,
        expect: &Expect,
        decode: Option<&Decode>,
        max_body: u64,
        bodiless: Option<&Place>,
        problems: &mut Problems,
    ) {
        let body = strongest(levels, |expect| expect.body.as_ref());
        let json = strongest(levels, |expect| Some(&expect.json.first()?.0));
        let place = |origin| match origin {
            Origin::Written(_, place) => Some(place),
            Origin::BuiltIn => None,
        };
        let body = body.and_then(|body| place(body.origin));
        let Some(place) = body.or_else(|| place(json?.origin)) else {
            if let (Some(method), Some(decode)) = (bodiless, decode)
                && decode.needs_body()
            {
                Problem::at(method, "an answer to HEAD has no body to decode")
                    .label("no body comes back")
                    .hint("ask with `GET`, or give the probe `decode: {format: none}`")
                    .report(problems);
            }
            return;
        };
        let never = |message: &str| Problem::at(place, message).label("can never be met");
        if bodiless.is_some() {
            problems.push(never("an answer to HEAD has no body").hint("ask with `GET`"));
        } else if !expect.status.is_empty() && expect.status.iter().all(|it| has_no_body(*it)) {
            never("none of the accepted status codes comes with a body")
                .hint("accept another status code, or expect nothing of the body")
                .report(problems);
        }
        let mut texts = expect.body_contains.iter();
        if texts.any(|text| text.len() as u64 > max_body) {
            problems.push(
                never("the expected text is longer than `max_body`").hint("raise `max_body`"),
            );
        }
    }

    /// Shows what is expected.
    pub(crate) fn show(levels: Levels<'_, '_, Self>, expect: &Expect, out: &mut AnnotatedYaml) {
        if *expect == Expect::default() {
            return;
        }
        out.open("expect", None);
        if let Some(status) = strongest(levels, |expect| expect.status.as_ref()) {
            let ranges = status.value.iter().map(|range| match range {
                StatusRange { first, last } if first == last => Yaml::from(*first),
                range => range.to_string().into(),
            });
            out.leaf("status", ranges.collect::<Vec<_>>(), status.origin);
        }
        if let Some(body) = strongest(levels, |expect| expect.body.as_ref()) {
            let texts = body.value.iter().map(|text| Yaml::from(text.as_str()));
            out.open("body", None);
            out.leaf("contains", texts.collect::<Vec<_>>(), body.origin);
            out.close();
        }
        show_map("json", levels, &expect.json, |raw| &raw.json, out);
        show_map("headers", levels, &expect.headers, |raw| &raw.headers, out);
        out.close();
    }
}

/// Shows the entries of a map, each with the origin of the strongest of its name.
fn show_map<T: serde::Serialize>(
    key: &str,
    levels: Levels<'_, '_, RawExpect>,
    entries: &[(String, T)],
    get: impl for<'r> Fn(&'r RawExpect) -> &'r Vec<(Spanned<String>, T)>,
    out: &mut AnnotatedYaml,
) {
    if entries.is_empty() {
        return;
    }
    out.open(key, None);
    for (name, value) in entries {
        let origin = origin(levels, |raw| {
            let mut names = get(raw).iter().map(|(known, _)| known);
            names.find(|known| known.value == *name)
        });
        let value = serde_yaml::to_value(value).unwrap_or_default();
        out.leaf(name, value, origin);
    }
    out.close();
}

fn set<T>(list: &mut Vec<(String, T)>, key: &str, value: T) {
    match list.iter_mut().find(|(known, _)| known == key) {
        Some((_, known)) => *known = value,
        None => list.push((key.to_owned(), value)),
    }
}

/// Returns whether no answer with these codes has a body: 1xx, 204, 304.
fn has_no_body(range: StatusRange) -> bool {
    range.last < 200 || (range.first == range.last && matches!(range.first, 204 | 304))
}

/// Reads a status code, a range, or a list of them.
fn status(entry: &Entry, problems: &mut Problems) -> Option<Spanned<Vec<StatusRange>>> {
    const EXPECTED: &str = "status codes such as `200`, `200-299` or a list of them";
    let node = &entry.value;
    let items = node.one_or_many();
    if items.is_empty() {
        return Problem::at(&node.place, "no status code would be accepted")
            .expected(EXPECTED)
            .reject(problems);
    }
    let mut ranges = Vec::with_capacity(items.len());
    for item in items {
        match item.as_text().map(range) {
            Some(Ok(range)) => ranges.push(range),
            Some(Err((reason, hint))) => {
                let problem = item.problem(reason).expected(EXPECTED);
                problem.maybe_hint(hint).report(problems);
            }
            None => problems.push(item.wrong(EXPECTED)),
        }
    }
    (ranges.len() == items.len()).then(|| Spanned::new(ranges, node))
}

/// Reads a status code (`200`) or a range (`200-299`).
fn range(text: &str) -> Result<StatusRange, (String, Option<String>)> {
    let text = text.trim();
    let bad = |reason: &str, hint: String| Err((reason.to_owned(), Some(hint)));
    let lower = text.to_ascii_lowercase();
    if let Some(class) = lower.strip_suffix("xx").filter(|it| it.len() == 1) {
        let hint = format!("did you mean `{class}00-{class}99`?");
        return bad("is not a range", hint);
    }
    let code = |part: &str| -> Result<u16, (String, Option<String>)> {
        let part = part.trim();
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            let hint = ["..=", "..", "–", ",", " to ", ":"]
                .iter()
                .find_map(|sign| text.split_once(sign))
                .map(|(a, b)| format!("did you mean `{}-{}`?", a.trim(), b.trim()));
            return Err(("is not a status code".to_owned(), hint));
        }
        part.parse()
            .ok()
            .filter(|code| matches!(code, 100..=599))
            .ok_or_else(|| {
                let hint = "status codes are 100 to 599".to_owned();
                ("is no status code that HTTP has".to_owned(), Some(hint))
            })
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (code(first)?, code(last)?);
    if first > last {
        let hint = format!("did you mean `{last}-{first}`?");
        return bad("is a range that ends before it begins", hint);
    }
    Ok(StatusRange { first, last })
}

/// Reads `{contains: text}` with one text or several.
fn body(entry: &Entry, problems: &mut Problems) -> Option<Spanned<Vec<String>>> {
    const EXPECTED: &str = "`{contains: text}`";
    const TEXT: &str = "text that the body has to contain";
    let node = &entry.value;
    if let Some(text) = node.as_text() {
        let hint = format!("write `{{contains: {text}}}`");
        return node.wrong(EXPECTED).hint(hint).reject(problems);
    }
    let mut fields = Fields::read(node, EXPECTED, problems)?;
    let contains = fields.take("contains");
    fields.finish(problems);
    let Some(contains) = contains else {
        return Problem::at(&node.place, "nothing is expected of the body")
            .expected(EXPECTED)
            .reject(problems);
    };
    let mut texts = Vec::new();
    for item in contains.value.one_or_many() {
        let text = item.text(TEXT, problems)?;
        if text.is_empty() {
            return Problem::at(&item.place, "every body contains nothing")
                .expected(TEXT)
                .reject(problems);
        }
        texts.push(text);
    }
    if texts.is_empty() {
        return contains.value.wrong(TEXT).reject(problems);
    }
    Some(Spanned::new(texts, node))
}

/// Reads a map of JSON pointers to values.
fn json(entry: &Entry, problems: &mut Problems) -> Option<Vec<(Spanned<String>, Json)>> {
    let expected = "a map of JSON pointers to values";
    let entries = entry.value.map(expected, problems)?.iter();
    let list = entries.filter_map(|entry| match bad_pointer(&entry.key) {
        Some((reason, hint)) => entry
            .problem(reason)
            .label("expected a JSON pointer such as `/status`")
            .hint(hint)
            .reject(problems),
        None => Some((Spanned::key(entry), entry.value.to_json())),
    });
    Some(list.collect())
}

/// Returns the mistake in an RFC 6901 pointer and a hint; the empty pointer is the whole document.
fn bad_pointer(text: &str) -> Option<(&'static str, String)> {
    let hint = if !text.is_empty() && !text.starts_with('/') {
        let path = text.trim_start_matches('$').trim_start_matches('.');
        let meant = path.replace(['.', '['], "/").replace(']', "");
        format!("did you mean `/{}`?", meant.trim_start_matches('/'))
    } else {
        let mut escapes = text.split('~').skip(1);
        escapes.find(|after| !after.starts_with(['0', '1']))?;
        "a `~` in a name is written `~0`, a `/` `~1`".to_owned()
    };
    Some(("is not a JSON pointer", hint))
}

/// Reads a map of headers to the value they have to carry.
fn headers(entry: &Entry, problems: &mut Problems) -> Option<Vec<(Spanned<String>, String)>> {
    let entries = entry.value.map("a map of headers to values", problems)?;
    let mut list: Vec<(Spanned<String>, String)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let known = list.iter().map(|(name, _)| name);
        if !check_header_name(entry, problems) || is_duplicate(entry, known, problems) {
            continue;
        }
        let expected = "the value that the header has to carry";
        if let Some(value) = entry.value.text(expected, problems) {
            let mut name = Spanned::key(entry);
            name.value.make_ascii_lowercase();
            list.push((name, value));
        }
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::{bad_pointer, range};

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("200", "200-200"),
            ("200-299", "200-299"),
            ("100-599", "100-599"),
            ("200 - 299", "200-299"),
            (
                "299-200",
                "is a range that ends before it begins | did you mean `200-299`?",
            ),
            (
                "99",
                "is no status code that HTTP has | status codes are 100 to 599",
            ),
            (
                "700",
                "is no status code that HTTP has | status codes are 100 to 599",
            ),
            (
                "200-700",
                "is no status code that HTTP has | status codes are 100 to 599",
            ),
            (
                "99999999999",
                "is no status code that HTTP has | status codes are 100 to 599",
            ),
            ("2xx", "is not a range | did you mean `200-299`?"),
            ("200..299", "is not a status code | did you mean `200-299`?"),
            ("200,299", "is not a status code | did you mean `200-299`?"),
            ("-200", "is not a status code | "),
            ("ok", "is not a status code | "),
            ("", "is not a status code | "),
            ("200.0", "is not a status code | "),
        ] {
            let found = match range(text) {
                Ok(range) => format!("{}-{}", range.first, range.last),
                Err((reason, hint)) => format!("{reason} | {}", hint.unwrap_or_default()),
            };
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn pointers() {
        for (text, expected) in [
            ("", None),
            ("/", None),
            ("/a/b~1c~0", None),
            ("status", Some("did you mean `/status`?")),
            ("$.a.b[0]", Some("did you mean `/a/b/0`?")),
            ("/a~2", Some("a `~` in a name is written `~0`, a `/` `~1`")),
            ("/a~", Some("a `~` in a name is written `~0`, a `/` `~1`")),
        ] {
            let found = bad_pointer(text).map(|(_, hint)| hint);
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
    }
}
