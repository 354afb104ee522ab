use std::fmt::Write;
use std::sync::Arc;

use super::super::{Problems, SourceFile};
use super::parse;

fn check(yaml: &str, expected: &str) {
    let mut problems = Problems::default();
    let file = Arc::new(SourceFile::new("t.yaml", yaml));
    let tree = parse(&file, &mut problems);
    let mut found = tree.map_or("none".to_owned(), |node| node.to_json().to_string());
    for problem in &problems.list {
        let place = problem.place.as_ref().unwrap();
        let text = place.text();
        let _ = write!(found, " | {} @{} {text:?}", problem.message, place.line());
        if let Some((place, label)) = &problem.related {
            let _ = write!(found, " {label} @{}", place.line());
        }
    }
    assert_eq!(found, expected, "{yaml}");
}

#[test]
fn trees() {
    for (yaml, expected) in [
        ("", "none"),
        ("# only a comment\n", "none"),
        ("---\n", "null"),
        ("a: 1\n...\n", r#"{"a":1}"#),
        ("a:\nb: ~\n", r#"{"a":null,"b":null}"#),
        ("a: [x, 'y', {z: 1}]", r#"{"a":["x","y",{"z":1}]}"#),
        (
            "a: |\n  one\n  two\nb: >-\n  x\n  y",
            r#"{"a":"one\ntwo\n","b":"x y"}"#,
        ),
        (
            "5: x\ntrue: y\n~: z\n1.10: w",
            r#"{"5":"x","true":"y","~":"z","1.10":"w"}"#,
        ),
        ("a: &x {b: 1}\nc: *x", r#"{"a":{"b":1},"c":{"b":1}}"#),
        (
            "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}",
            r#"{"a":{"b":1,"c":2},"d":{"c":3,"b":1}}"#,
        ),
        (
            "a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne: {<<: [*x, *y]}",
            r#"{"a":{"b":1},"c":{"b":2,"d":3},"e":{"b":1,"d":3}}"#,
        ),
        (
            "a: !!str 5\nb: !!int \"5\"\nc: ! 5",
            r#"{"a":"5","b":5,"c":"5"}"#,
        ),
        ("a: yes\r\nb: 'no'\r\n", r#"{"a":"yes","b":"no"}"#),
        ("'<<': 1", r#"{"<<":1}"#),
    ] {
        check(yaml, expected);
    }
}

#[test]
fn mistakes_know_their_places() {
    for (yaml, expected) in [
        (
            "a: 1\nb: 2\na: 3",
            r#"{"a":1,"b":2} | duplicate key `a` @3 "a" first here @1"#,
        ),
        (
            "a: {ü: 1, ü: 2}",
            r#"{"a":{"ü":1}} | duplicate key `ü` @1 "ü" first here @1"#,
        ),
        (
            "a: 1\n---\nb: 1",
            r#"none | a second document starts here @2 "---""#,
        ),
        ("a: *x", r#"none | this is not YAML @1 "*""#),
        (
            "a: &x [*x]",
            r#"none | an alias inside its own anchor @1 "*x""#,
        ),
        ("a: b: c", r#"none | this is not YAML @1 ":""#),
        ("a:\n\t- b", r#"none | this is not YAML @2 "-""#),
        ("a: 'b", r#"none | this is not YAML @1 "'""#),
        ("a: [1, 2", r#"none | this is not YAML @1 """#),
        ("a: {<<: 5}", r#"{"a":{}} | cannot merge a number @1 "<<""#),
        ("{a: 1}: 2", r#"{} | a key cannot be a map @1 "{a: 1}""#),
        (
            "a: !env X",
            r#"{"a":"X"} | the tag `!env` means nothing here @1 "!env X""#,
        ),
        (
            "a: &a {b: 1}\nc: {<<: *a, <<: *a}",
            r#"{"a":{"b":1},"c":{"b":1}} | duplicate key `<<` @2 "<<" first here @2"#,
        ),
    ] {
        check(yaml, expected);
    }
}

#[test]
fn bombs_are_refused() {
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    check(
        &deep,
        "none | more than 64 maps and lists inside each other @1 \"[\"",
    );

    let mut problems = Problems::default();
    let file = Arc::new(SourceFile::new("t.yaml", "[".repeat(100_000)));
    assert_eq!(parse(&file, &mut problems), None);
    assert!(problems.has_errors());

    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..20 {
        let uses = vec![format!("*a{}", n - 1); 9].join(", ");
        let _ = writeln!(laughs, "a{n}: &a{n} [{uses}]");
    }
    check(
        &laughs,
        "none | the aliases of this file expand to too much @6 \"*a4\"",
    );

    let mut chain = "a0: &a0 [x]\n".to_owned();
    for n in 1..200 {
        let _ = writeln!(chain, "a{n}: &a{n} [*a{}]", n - 1);
    }
    check(
        &chain,
        "none | more than 64 maps and lists inside each other @64 \"*a62\"",
    );

    let scalar = format!(
        "a: &a {}\nb: [{}]",
        "x".repeat(100_000),
        vec!["*a"; 20_000].join(",")
    );
    check(
        &scalar,
        "none | the aliases of this file expand to too much @2 \"*a\"",
    );
}
