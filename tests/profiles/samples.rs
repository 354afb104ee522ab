//! Runs every built-in profile on its samples: `NAME/CASE.http` is a raw reply, `NAME/CASE.yaml` beside it says which
//! probe of the profile got it (`probe: live`, or `action: reload`) and all that the profile makes of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use healthctl::profile::{Profile, builtin};
use healthctl::yaml::{self, Problems, SourceFile};
use serde_json::Value;

use crate::reply::Reply;
use crate::shown::{same, shown, shown_reload};

/// Directories here that are no profile.
const OTHERS: &[&str] = &["grammar"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/profiles")
}

fn names(directory: &Path, keep: impl Fn(&Path) -> bool) -> BTreeSet<String> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| keep(path))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

fn parsed(file: &str, text: &str) -> yaml::Node {
    let mut problems = Problems::default();
    let node = yaml::parse(&Arc::new(SourceFile::new(file, text)), &mut problems);
    assert!(problems.is_empty(), "{file}: {:?}", problems.list);
    node.unwrap_or_else(|| panic!("{file}: nothing in it"))
}

fn profile(name: &str, text: &str) -> Profile {
    let file = format!("profiles/{name}.yaml");
    let mut problems = Problems::default();
    let profile = Profile::parse(name, &parsed(&file, text), &mut problems);
    assert!(problems.is_empty(), "{}", problems.render(false));
    profile.unwrap_or_else(|| panic!("{file}: no profile"))
}

#[test]
fn every_profile_is_whole() {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let embedded: BTreeSet<String> = builtin()
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(
        embedded,
        names(&files, |_| true),
        "the program was built before a file under profiles/ came or went; touch src/profile/builtin.rs"
    );
    for (name, text) in builtin() {
        let profile = profile(name, text);
        assert!(profile.title.is_some(), "profiles/{name}.yaml: no title");
        assert!(profile.source.is_some(), "profiles/{name}.yaml: no source");
        assert!(
            profile.probe_names().next().is_some() || profile.has_settings(),
            "profiles/{name}.yaml: neither a probe nor a default for those of a service"
        );
        assert!(
            text.starts_with("# "),
            "profiles/{name}.yaml: a comment at its top says where it is known from"
        );
    }
    let sampled = names(&root(), Path::is_dir);
    let others: BTreeSet<String> = OTHERS.iter().map(|name| (*name).to_owned()).collect();
    let sampled: BTreeSet<String> = sampled.difference(&others).cloned().collect();
    assert_eq!(
        embedded, sampled,
        "profiles, and the directories of their samples"
    );
}

#[test]
fn every_sample_is_read_as_its_expectation_says() {
    let mut wrong = Vec::new();
    for (name, text) in builtin() {
        let profile = profile(name, text);
        let directory = root().join(name);
        let extension = |wanted: &'static str| {
            move |path: &Path| path.extension().is_some_and(|found| found == wanted)
        };
        let replies = names(&directory, extension("http"));
        let expectations = names(&directory, extension("yaml"));
        assert_eq!(
            replies, expectations,
            "{name}: replies, and the expectations beside them"
        );
        let mut asked = BTreeSet::new();
        let mut reloaded = false;
        for case in &replies {
            let file = format!("tests/profiles/{name}/{case}.yaml");
            let mut expected = parsed(&file, &fs::read_to_string(&file).unwrap()).to_json();
            let reply = directory.join(format!("{case}.http"));
            let map = expected.as_object_mut().unwrap();
            if map.shift_remove("action").is_some_and(|it| it == "reload") {
                wrong.extend(check_reload(&profile, &reply, &expected));
                reloaded = true;
                continue;
            }
            let probe = map.shift_remove("probe");
            let probe = probe.unwrap_or_else(|| panic!("{file}: no `probe`"));
            let probe = probe.as_str().unwrap().to_owned();
            wrong.extend(check(&profile, &probe, &reply, &expected));
            asked.insert(probe);
        }
        assert!(
            reloaded || profile.reload_reply().is_none(),
            "{name}: a reply to `reload` is read, and there is no sample of one"
        );
        let probes: BTreeSet<String> = profile.probe_names().map(str::to_owned).collect();
        assert!(
            asked == probes || (probes.is_empty() && !asked.is_empty()),
            "{name}: probes with a sample {asked:?}, and all its probes {probes:?}"
        );
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A profile without probes is for services that bring their own.
fn brings_defaults(profile: &Profile) -> bool {
    profile.probe_names().next().is_none() && profile.has_settings()
}

fn check(profile: &Profile, probe: &str, reply: &Path, expected: &Value) -> Option<String> {
    let place = reply.display();
    assert!(
        profile.probe_names().any(|name| name == probe) || brings_defaults(profile),
        "{place}: the profile has no probe `{probe}`"
    );
    let reply = Reply::parse(&fs::read(reply).unwrap());
    let decode = profile.decode_of(probe).map(Arc::as_ref);
    let judgement = reply.judge(decode, &profile.expect_of(probe));
    compared(&place, &shown(&judgement), expected)
}

fn check_reload(profile: &Profile, reply: &Path, expected: &Value) -> Option<String> {
    let place = reply.display();
    let decode = profile.reload_reply();
    let decode = decode.unwrap_or_else(|| panic!("{place}: the profile reads no such reply"));
    let reply = Reply::parse(&fs::read(reply).unwrap());
    let found = decode.read(reply.code, &reply.body, &reply.headers);
    compared(&place, &shown_reload(&found), expected)
}

fn compared(place: &impl std::fmt::Display, found: &Value, expected: &Value) -> Option<String> {
    (!same(found, expected)).then(|| {
        let found = serde_json::to_string_pretty(found).unwrap();
        let expected = serde_json::to_string_pretty(expected).unwrap();
        format!("{place}\nfound: {found}\nexpected: {expected}")
    })
}
