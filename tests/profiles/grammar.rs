//! Runs `grammar/*.yaml`: a list of cases, each with a `decode`, a reply, and all that it amounts to (`is`), or the
//! mistakes that the `decode` holds (`mistakes`).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use healthctl::profile::{Decode, Expect};
use healthctl::yaml::{self, Node, Problems, SourceFile};
use serde_json::Value;

use crate::reply::{Reply, range};
use crate::shown::{same, shown};

#[test]
fn every_case_of_the_grammar() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/profiles/grammar");
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in &files {
        for case in cases(file) {
            count += 1;
            wrong.extend(check(file, &case));
        }
    }
    assert!(count > 0, "no case was found");
    assert!(
        wrong.is_empty(),
        "{} of {count} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn cases(file: &Path) -> Vec<Node> {
    let text = fs::read(file).unwrap();
    let source = Arc::new(SourceFile::from_bytes(file, text).unwrap());
    let mut problems = Problems::default();
    let node = yaml::parse(&source, &mut problems).unwrap();
    assert!(
        !problems.has_errors(),
        "{}: {:?}",
        file.display(),
        problems.list
    );
    match node.value {
        yaml::Value::List(cases) => cases,
        _ => panic!("{}: expected a list of cases", file.display()),
    }
}

fn check(file: &Path, case: &Node) -> Option<String> {
    let known = [
        "case", "decode", "accept", "code", "headers", "body", "is", "mistakes",
    ];
    let yaml::Value::Map(entries) = &case.value else {
        panic!("{}: a case is a map", file.display());
    };
    let text = case.to_json();
    let name = text["case"].as_str().expect("a case has a name");
    let place = format!("{}: {name}", file.file_name().unwrap().display());
    for entry in entries {
        assert!(
            known.contains(&entry.key.as_str()),
            "{place}: unknown key {}",
            entry.key
        );
    }
    let mut problems = Problems::default();
    let decode = case
        .get("decode")
        .and_then(|entry| Decode::parse(&entry.value, &mut problems));
    let mistakes: Vec<String> = problems
        .list
        .iter()
        .map(|problem| {
            let marked = problem.place.as_ref().map_or("", |place| place.text());
            let hint = problem.hint.as_deref().unwrap_or("no hint");
            format!("{} [{marked}] {hint}", problem.message)
        })
        .collect();
    if let Some(expected) = text.get("mistakes") {
        let found = serde_json::json!(mistakes);
        return (found != *expected).then(|| differs(&place, &found, expected));
    }
    if !mistakes.is_empty() {
        return Some(format!("{place}: {mistakes:?}"));
    }
    let judgement = reply(&text).judge(decode.as_ref(), &expectation(&text));
    let found = shown(&judgement);
    (!same(&found, &text["is"])).then(|| differs(&place, &found, &text["is"]))
}

fn differs(place: &str, found: &Value, expected: &Value) -> String {
    format!("{place}\n     found: {found}\n  expected: {expected}")
}

fn reply(case: &Value) -> Reply {
    let headers = case.get("headers").and_then(Value::as_object);
    let headers = headers.into_iter().flatten();
    Reply {
        code: case["code"]
            .as_u64()
            .map_or(200, |code| u16::try_from(code).unwrap()),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap().to_owned()))
            .collect(),
        // What stands there as YAML is sent as JSON; text is sent as it is.
        body: match case.get("body") {
            Some(Value::String(text)) => text.clone().into_bytes(),
            Some(value) => value.to_string().into_bytes(),
            None => Vec::new(),
        },
    }
}

fn expectation(case: &Value) -> Expect {
    let accept = case.get("accept").and_then(Value::as_array);
    Expect {
        status: accept
            .into_iter()
            .flatten()
            .map(|item| {
                range(
                    &item
                        .as_str()
                        .map_or_else(|| item.to_string(), str::to_owned),
                )
            })
            .collect(),
        ..Expect::default()
    }
}
