//! Bytes from outside are hostile: replies and profiles that were damaged in every way a dice can think of are read
//! without a panic, and nothing that comes out is unfit for a terminal. The dice are the same in every run.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use healthctl::profile::{Decode, Expect, Profile, builtin};
use healthctl::yaml::{self, Problems, SourceFile};

use crate::reply::Reply;
use crate::shown::shown;

/// A small generator (xorshift): the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides.max(1)).unwrap()).unwrap()
    }
}

/// What is put into a text, at any place.
const PIECES: &[&[u8]] = &[
    b"1e400",
    b"-1",
    b"-1e308",
    b"NaN",
    b"null",
    b"{}",
    b"[]",
    b"\"\"",
    b"true",
    b"18446744073709551616",
    b"\"\\ud800\"",
    b"\x1b]0;x\x07",
    b"\xe2\x80\xae",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"[[[[[[[[",
    b"{\"a\":",
    b"\"0001-01-01T00:00:00Z\"",
    b"\"9999-12-31T23:59:60.999999999999-23:59\"",
    b"\"\\u0000\"",
    b",",
    b":",
    b"\\",
    b"\"",
    b"~",
    b"/",
    b"&a ",
    b"*a",
    b"<<: ",
    b"- ",
    b"\t",
    b"\n",
    b"header:",
    b"1h99999999999999999999y",
];

/// One to four damages.
fn damaged(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len() + 1);
        let end = (at + dice.roll(20)).min(bytes.len());
        match dice.roll(5) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            3 if at < bytes.len() => bytes[at] = u8::try_from(dice.roll(256)).unwrap(),
            _ => drop(bytes.splice(at..end, PIECES[dice.roll(PIECES.len())].iter().copied())),
        }
    }
    bytes
}

fn decode(text: &str) -> Decode {
    let mut problems = Problems::default();
    let node = yaml::parse(&Arc::new(SourceFile::new("decode", text)), &mut problems).unwrap();
    let decode = Decode::parse(&node, &mut problems);
    assert!(problems.is_empty(), "{}", problems.render(false));
    decode.unwrap()
}

/// Uses every key of the grammar, on the shapes of the samples.
const ALL: &str = r#"
status: [/status, /data/status, ""]
version: [/version, /data/version, header:server]
service: {at: [/service], never: none}
instance: ""
message: [/message, /error, ""]
started: [/start_time, {at: /data/startTime, unit: ms}, {at: /uptime_seconds, unit: ns}]
uptime: [{at: /uptime_seconds, unit: s}, {at: /timestamp, unit: text}, {at: /start_time, unit: timespan}]
draining: [/should_shutdown, /status]
resources: ["/resources", ""]
codes: {400-499: degraded, 503: body}
rules: [{when: {at: /data/reloadConfigSuccess, is: [false, 0, null, {}]}, state: degraded, note: a note}]
dependencies:
  at: [/dependencies, /checks, /data, ""]
  error: [/error, /message, ""]
  latency: {at: [/latency_ms, /pool_size], unit: ns}
  last_success: {at: [/last_success_seconds, /status], unit: s, never: [-1, 0]}
  last_failure: /last_failure_seconds
  success_count: /success_count
  failure_count: [/failure_count, /latency_ms]
  required: /pool_size
  recurse: [/details, /checks, /a]
"#;

#[test]
fn damaged_replies_are_read_without_harm() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/profiles");
    let mut decodes = vec![
        decode(ALL),
        decode("format: text"),
        decode("{dependencies: {at: \"\", value: string}}"),
    ];
    let mut replies = Vec::new();
    for (name, text) in builtin() {
        let node = yaml::parse(
            &Arc::new(SourceFile::new(*name, *text)),
            &mut Problems::default(),
        )
        .unwrap();
        let profile = Profile::parse(name, &node, &mut Problems::default()).unwrap();
        decodes.extend(
            profile
                .probe_names()
                .filter_map(|probe| profile.decode_of(probe).map(|decode| Decode::clone(decode))),
        );
        let mut files: Vec<_> = fs::read_dir(root.join(name))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        files.sort();
        let samples = files
            .iter()
            .filter(|file| file.extension().is_some_and(|end| end == "http"));
        replies.extend(samples.map(|file| Reply::parse(&fs::read(file).unwrap())));
    }
    let mut dice = Dice(0x5eed);
    for _ in 0..150 {
        for reply in &replies {
            let mut reply = reply.clone();
            reply.body = damaged(&reply.body, &mut dice);
            let decode = &decodes[dice.roll(decodes.len())];
            let found = shown(&reply.judge(Some(decode), &Expect::default()));
            fit_for_a_terminal(&found, &reply);
        }
    }
}

fn fit_for_a_terminal(found: &serde_json::Value, reply: &Reply) {
    match found {
        serde_json::Value::String(text) => {
            let hostile = text
                .chars()
                .find(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(c));
            assert_eq!(
                hostile,
                None,
                "{text:?} from {:?}",
                String::from_utf8_lossy(&reply.body)
            );
            assert!(
                text.chars().count() < 2_000,
                "a text of {} characters",
                text.len()
            );
        }
        serde_json::Value::Array(items) => items
            .iter()
            .for_each(|item| fit_for_a_terminal(item, reply)),
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                fit_for_a_terminal(&serde_json::json!(key), reply);
                fit_for_a_terminal(value, reply);
            }
        }
        _ => {}
    }
}

#[test]
fn damaged_profiles_are_refused_without_harm() {
    let mut dice = Dice(0xd1ce);
    let texts = builtin().iter().map(|(_, text)| *text);
    let nested = ALL.replace('\n', "\n  ");
    let texts: Vec<String> = texts
        .map(str::to_owned)
        .chain([format!("decode:\n{nested}")])
        .collect();
    for _ in 0..300 {
        for text in &texts {
            let bytes = damaged(text.as_bytes(), &mut dice);
            let Ok(source) = SourceFile::from_bytes("profile.yaml", bytes) else {
                continue;
            };
            let mut problems = Problems::default();
            if let Some(node) = yaml::parse(&Arc::new(source), &mut problems) {
                let profile = Profile::parse("damaged", &node, &mut problems);
                assert!(
                    profile.is_some() || problems.has_errors(),
                    "refused without a word"
                );
            }
            // Every problem can be shown where it stands.
            let _ = problems.render(false);
        }
    }
}

#[test]
fn too_many_dependencies_are_counted_and_left_out() {
    let entries = (0..5_000).map(|number| {
        let status = if number == 4_321 { "down" } else { "up" };
        (format!("d{number}"), serde_json::json!({"status": status}))
    });
    let body: serde_json::Map<_, _> = entries.collect();
    let reply = Reply {
        code: 200,
        headers: Vec::new(),
        body: serde_json::Value::Object(body).to_string().into_bytes(),
    };
    let found = shown(&reply.judge(
        Some(&decode("{dependencies: {at: \"\"}}")),
        &Expect::default(),
    ));
    assert_eq!(
        found["dependencies"].as_object().map(serde_json::Map::len),
        Some(1_000)
    );
    assert_eq!(found["state"], "degraded");
    let note =
        "4000 more dependencies are left out, 1000 are the limit; among them d4321 is in error";
    assert_eq!(found["message"], note);
}

#[test]
fn a_megabyte_of_one_name_costs_no_minute() {
    let entries = vec![r#"{"name":"same"}"#; 60_000].join(",");
    let reply = Reply {
        code: 200,
        headers: Vec::new(),
        body: format!("[{entries}]").into_bytes(),
    };
    let found = shown(&reply.judge(
        Some(&decode("{dependencies: {at: \"\"}}")),
        &Expect::default(),
    ));
    let names = found["dependencies"]
        .as_object()
        .map(|map| map.keys().next_back().cloned());
    assert_eq!(names.flatten().as_deref(), Some("same#1000"));
}
