//! Tests of the reload of a configuration.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::payloads::{serve, service};
use crate::reload::{
    ConfigError, ConfigPart, Configuration, ReloadResult, ReloadStatus, ReloadTrigger,
};
use crate::{Service, ShutdownCause, scry_ingestor};

#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
struct Config {
    adapters: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    database_url: String,
}

/// A service with its configuration in a directory of its own.
struct Scene {
    service: Service,
    configuration: Configuration<Config>,
    directory: TempDir,
    /// The calls that applied a part, in their order.
    applied: Arc<Mutex<Vec<String>>>,
}

const FIRST: &str = "{adapters: [a], database_url: one}";

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        std::fs::write(&path, FIRST).unwrap();
        let service = service("scry_ingestor", "1.0");
        let applied = Arc::new(Mutex::new(Vec::new()));
        let configuration =
            Configuration::open(&service, path, parse, parts(&applied)).expect("it is valid");
        Self {
            service,
            configuration,
            directory,
            applied,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("config.yaml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    async fn reload(&self, text: &str) -> ReloadResult {
        self.write(text);
        self.configuration.reload(ReloadTrigger::Program).await
    }

    fn applied(&self) -> Vec<String> {
        std::mem::take(&mut *self.applied.lock().unwrap())
    }
}

fn parse(text: &str) -> Result<Config, serde_yaml::Error> {
    assert_ne!(text, "{panic: true}");
    serde_yaml::from_str(text)
}

fn parts(applied: &Arc<Mutex<Vec<String>>>) -> Vec<ConfigPart<Config>> {
    let record = |name: &'static str| {
        let applied = Arc::clone(applied);
        move |config: Arc<Config>| {
            let applied = Arc::clone(&applied);
            async move {
                let value = format!("{name} {:?} {:?}", config.adapters, config.flags);
                applied.lock().unwrap().push(value);
                match config.flags.first().map(String::as_str) {
                    Some("impossible") if name == "flags" => Err("no such flag"),
                    Some("panic") if name == "flags" => panic!("in applying"),
                    _ => Ok(()),
                }
            }
        }
    };
    vec![
        ConfigPart::new("adapters", |config: &Config| &config.adapters)
            .summarize_with(|config| {
                assert_ne!(config.adapters, ["unspeakable"]);
                config.adapters.len()
            })
            .validate_with(|config| {
                if config.adapters.is_empty() {
                    Err("at least one is needed")
                } else {
                    Ok(())
                }
            })
            .apply_with(record("adapters")),
        ConfigPart::new("flags", |config: &Config| &config.flags).apply_with(record("flags")),
        ConfigPart::fixed("database_url", |config: &mut Config| {
            &mut config.database_url
        }),
    ]
}

/// Compares the status, the version, the summaries and the result of each part.
fn check(answer: &ReloadResult, expected: (&str, u64, Value), parts: [&str; 3]) {
    let value = serde_json::to_value(answer).unwrap();
    let (status, version, reloaded) = expected;
    assert_eq!(value["status"], status, "{value}");
    assert_eq!(value["version"], version, "{value}");
    assert_eq!(value["reloaded"], reloaded, "{value}");
    let words = ["adapters", "flags", "database_url"].map(|name| &value["parts"][name]["status"]);
    assert_eq!(words, parts, "{value}");
}

#[tokio::test]
async fn each_part_has_a_result() {
    let scene = Scene::new();
    let answer = scene.reload(FIRST).await;
    let unchanged = "unchanged";
    check(&answer, ("success", 1, json!({})), [unchanged; 3]);

    let answer = scene
        .reload("{adapters: [a, b], flags: [x], database_url: one}")
        .await;
    let reloaded = json!({"adapters": 2, "flags": true});
    let words = ["reloaded", "reloaded", unchanged];
    check(&answer, ("success", 2, reloaded), words);
    let expected = [r#"adapters ["a", "b"] ["x"]"#, r#"flags ["a", "b"] ["x"]"#];
    assert_eq!(scene.applied(), expected);

    let answer = scene
        .reload("{adapters: [c], flags: [x], database_url: two}")
        .await;
    let words = ["reloaded", unchanged, "needs-restart"];
    check(&answer, ("partial", 3, json!({"adapters": 1})), words);
    let current = scene.configuration.current();
    assert_eq!(current.database_url, "one", "what runs is what is told");

    let answer = scene.configuration.reload(ReloadTrigger::Program).await;
    let words = [unchanged, unchanged, "needs-restart"];
    check(&answer, ("partial", 3, json!({})), words);
}

#[tokio::test]
async fn the_old_configuration_is_kept_on_any_error() {
    let scene = Scene::new();
    let mut changes = scene.configuration.subscribe();
    let cases = [
        ("{adapters: [", "configuration", "while parsing"),
        ("{adapters: 7}", "configuration", "expected a sequence"),
        ("{panic: true}", "configuration", "panicked"),
        ("{adapters: [unspeakable]}", "configuration", "panicked"),
        (
            "{adapters: [], flags: [x]}",
            "adapters",
            "at least one is needed",
        ),
        (
            "{adapters: [b], flags: [impossible]}",
            "flags",
            "no such flag",
        ),
        ("{adapters: [b], flags: [panic]}", "flags", "panicked"),
    ];
    for (text, part, reason) in cases {
        let answer = scene.reload(text).await;
        assert_eq!(answer.status, ReloadStatus::Failed, "{text}");
        let error = answer.error.as_deref().unwrap();
        assert!(error.contains(reason), "{text}: {error}");
        for (name, result) in &answer.parts {
            let expected = if name == part {
                "rejected"
            } else {
                "unchanged"
            };
            assert_eq!(result.as_str(), expected, "{text}: {name}");
        }
        assert!(answer.parts.contains_key(part), "{text}");
        assert_eq!(scene.configuration.current().adapters, ["a"], "{text}");
    }
    let expected = [
        r#"adapters ["b"] ["impossible"]"#,
        r#"flags ["b"] ["impossible"]"#,
        r#"flags ["a"] []"#,
        r#"adapters ["a"] []"#,
    ];
    assert_eq!(scene.applied()[..4], expected, "what was applied is undone");

    std::fs::remove_file(scene.path()).unwrap();
    let answer = scene.configuration.reload(ReloadTrigger::Program).await;
    assert!(answer.error.unwrap().contains("cannot read"));
    assert!(!changes.has_changed().unwrap());
    assert_eq!(scene.configuration.versions().len(), 1);

    scene.reload("{adapters: [b]}").await;
    changes.changed().await.unwrap();
    assert_eq!(changes.borrow().adapters, ["b"]);
}

/// A read from the pipe would wait for a writer, and there is none.
#[tokio::test]
async fn a_pipe_in_place_of_the_file_blocks_no_reload() {
    let scene = Scene::new();
    std::fs::remove_file(scene.path()).unwrap();
    let pipe = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, scene.path(), pipe.0, pipe.1, 0).unwrap();
    for _ in 0..2 {
        let answer = scene.configuration.reload(ReloadTrigger::Program).await;
        let error = answer.error.unwrap();
        assert!(error.contains("not a regular file"), "{error}");
    }
    std::fs::remove_file(scene.path()).unwrap();
    let answer = scene.reload("{adapters: [b], database_url: one}").await;
    assert_eq!((answer.status, answer.version), (ReloadStatus::Success, 2));
}

#[tokio::test]
async fn concurrent_reloads_run_one_after_the_other_and_none_is_lost() {
    let scene = Scene::new();
    scene.configuration.reload_on_change();
    scene.write("{adapters: [b], database_url: one}");
    let reloads = (0..20).map(|_| {
        let configuration = scene.configuration.clone();
        tokio::spawn(async move { configuration.reload(ReloadTrigger::Hangup).await })
    });
    let reloads: Vec<_> = reloads.collect();
    let mut reloaded = 0;
    for reload in reloads {
        let answer = reload.await.unwrap();
        assert_eq!((answer.status, answer.version), (ReloadStatus::Success, 2));
        reloaded += usize::from(answer.parts["adapters"].as_str() == "reloaded");
    }
    // The watch of the file may have been first.
    assert!(reloaded <= 1, "{reloaded}");
    assert_eq!(scene.configuration.versions().len(), 2);
    assert_eq!(scene.applied().len(), 1, "applied once");
}

#[tokio::test]
async fn ten_versions_are_kept_and_one_can_be_restored() {
    let scene = Scene::new();
    for number in 2..=12 {
        let answer = scene.reload(&format!("{{adapters: [n{number}]}}")).await;
        assert_eq!(answer.version, number);
    }
    let versions = scene.configuration.versions();
    let numbers: Vec<u64> = versions.iter().map(|version| version.number).collect();
    assert_eq!(numbers, (3..=12).collect::<Vec<u64>>());

    let answer = scene.configuration.roll_back(4).await;
    assert_eq!((answer.status, answer.version), (ReloadStatus::Success, 13));
    assert_eq!(scene.configuration.current().adapters, ["n4"]);
    let latest = scene.configuration.versions().pop().unwrap();
    assert_eq!(latest.trigger, ReloadTrigger::RollBack(4));

    let answer = scene.configuration.roll_back(2).await;
    assert_eq!(
        answer.error.as_deref(),
        Some("version 2 is not kept any more")
    );
}

#[tokio::test]
async fn a_file_is_watched_however_it_is_replaced() {
    let scene = Scene::new();
    scene.configuration.reload_on_change();
    let mut changes = scene.configuration.subscribe();
    let mut expect = async |adapter: &str| {
        changes.changed().await.unwrap();
        assert_eq!(changes.borrow_and_update().adapters, [adapter]);
    };
    scene.write("{adapters: [in-place]}");
    expect("in-place").await;
    for adapter in ["renamed", "again"] {
        let other = scene.directory.path().join("config.yaml.new");
        std::fs::write(&other, format!("{{adapters: [{adapter}]}}")).unwrap();
        std::fs::rename(other, scene.path()).unwrap();
        expect(adapter).await;
    }
    std::fs::remove_file(scene.path()).unwrap();
    scene.write("{adapters: [made-anew]}");
    expect("made-anew").await;
    let trigger = scene.configuration.versions().pop().unwrap().trigger;
    assert_eq!(trigger, ReloadTrigger::File);
}

#[tokio::test]
async fn a_signal_reloads() {
    let scene = Scene::new();
    scene.configuration.reload_on_hangup().unwrap();
    let mut changes = scene.configuration.subscribe();
    scene.write("{adapters: [signalled]}");
    let me = rustix::process::getpid();
    rustix::process::kill_process(me, rustix::process::Signal::HUP).unwrap();
    changes.changed().await.unwrap();
    assert_eq!(changes.borrow().adapters, ["signalled"]);
    let trigger = scene.configuration.versions().pop().unwrap().trigger;
    assert_eq!(trigger, ReloadTrigger::Hangup);
}

#[tokio::test]
async fn a_request_reloads_and_the_answer_has_a_result_for_each_part() {
    let scene = Scene::new();
    let health = scry_ingestor::routes(&scene.service);
    let reload = scene.configuration.routes("/api/v1/config/reload");
    let port = serve(&scene.service, Router::new().merge(health).merge(reload));
    scene.write("{adapters: [a, b], database_url: two}");
    let answer = port.request("POST /api/v1/config/reload").await;
    let expected = concat!(
        r#"{"status":"partial","reloaded":{"adapters":2},"version":2,"error":null,"parts":{"#,
        r#""adapters":{"status":"reloaded","message":null},"#,
        r#""flags":{"status":"unchanged","message":null},"#,
        r#""database_url":{"status":"needs-restart","message":null}}}"#,
    );
    assert_eq!((answer.status, answer.body.as_str()), (200, expected));

    scene.write("{adapters: []}");
    let answer = port.request("POST /api/v1/config/reload").await;
    let expected = concat!(
        r#"{"status":"failed","reloaded":{},"version":2,"error":"adapters: at least one is needed","parts":{"#,
        r#""adapters":{"status":"rejected","message":"at least one is needed"},"#,
        r#""flags":{"status":"unchanged","message":null},"#,
        r#""database_url":{"status":"unchanged","message":null}}}"#,
    );
    assert_eq!((answer.status, answer.body.as_str()), (422, expected));
    let refused = port.request("GET /api/v1/config/reload").await;
    assert_eq!(refused.status, 405);

    scene.service.shut_down(ShutdownCause::Program);
    let answer = scene.reload("{adapters: [late]}").await;
    assert_eq!(
        answer.error.as_deref(),
        Some("the service is shutting down")
    );
}

#[tokio::test]
async fn there_is_no_start_without_a_valid_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    let service = service("scry_ingestor", "1.0");
    let open = || Configuration::open(&service, &path, parse, parts(&Arc::default()));
    assert!(matches!(open(), Err(ConfigError::Read { .. })));
    for (text, expected) in [
        ("{adapters: []}", "adapters: at least one is needed"),
        ("{adapters: 7}", "expected a sequence"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = open().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_validation_tells_what_a_reload_would_do_and_does_nothing() {
    let scene = Scene::new();
    let port = serve(&scene.service, scene.configuration.routes("/config/reload"));
    scene.write("{adapters: [a, b], database_url: two}");
    let dry_run = "POST /config/reload?dry_run=true";
    let answer = port.request(dry_run).await;
    let expected = concat!(
        r#"{"status":"partial","reloaded":{"adapters":2},"version":1,"error":null,"parts":{"#,
        r#""adapters":{"status":"reloaded","message":null},"#,
        r#""flags":{"status":"unchanged","message":null},"#,
        r#""database_url":{"status":"needs-restart","message":null}},"dry_run":true}"#,
    );
    assert_eq!((answer.status, answer.body.as_str()), (200, expected));
    assert_eq!(scene.configuration.current().adapters, ["a"]);
    assert_eq!(scene.configuration.versions().len(), 1);
    assert_eq!(scene.configuration.history(), []);
    assert_eq!(scene.applied(), [""; 0]);

    for (text, reason) in [
        ("{adapters: []}", "adapters: at least one is needed"),
        ("{panic: true}", "panicked"),
    ] {
        scene.write(text);
        let answer = port.request(dry_run).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (422, &json!(reason))
        );
    }
    let wrong = port.request("POST /config/reload?dry_run=perhaps").await;
    assert_eq!(wrong.status, 422);
    assert_eq!(
        wrong.json()["detail"][0]["loc"],
        json!(["query", "dry_run"])
    );

    // What was only validated is still news to the watch of the file.
    scene.write("{adapters: [b], database_url: one}");
    assert_eq!(port.request(dry_run).await.status, 200);
    let mut changes = scene.configuration.subscribe();
    scene.configuration.reload_on_change();
    scene.write("{adapters: [b], database_url: one} ");
    changes.changed().await.unwrap();
    let answer = port.request("POST /config/reload?dry_run=false").await;
    assert_eq!(answer.json()["version"], 2);
    assert!(answer.json().get("dry_run").is_none());
}

#[tokio::test]
async fn versions_and_reloads_are_told_and_a_request_goes_back() {
    let scene = Scene::new();
    let port = serve(
        &scene.service,
        scene.configuration.version_routes("/versions"),
    );
    let ask = async |request: &str| {
        let answer = port.request(request).await;
        let mut body = answer.json();
        for (list, key) in [("versions", "since"), ("reloads", "at")] {
            for entry in body[list].as_array_mut().into_iter().flatten() {
                let at = entry[key].take();
                at.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            }
        }
        (answer.status, body)
    };
    scene.reload("{adapters: [b], flags: [x]}").await;
    scene.reload("{adapters: []}").await;
    let (code, answer) = ask("POST /versions/1/rollback").await;
    assert_eq!((code, &answer["version"]), (200, &json!(3)));
    assert_eq!(answer["reloaded"], json!({"adapters": 1, "flags": true}));
    assert_eq!(scene.configuration.current().adapters, ["a"]);
    let (code, answer) = ask("POST /versions/9/rollback").await;
    assert_eq!(code, 404);
    assert_eq!(answer["error"], "version 9 is not kept any more");

    let entry = |version: u64, cause: &str, changed: &[&str]| json!({"version": version, "since": null, "cause": cause, "changed": changed});
    let reload = |version: u64, cause: &str, status: &str, error: Option<&str>| json!({"at": null, "cause": cause, "status": status, "version": version, "error": error});
    let expected = json!({
        "version": 3,
        "versions": [
            entry(1, "start", &[]),
            entry(2, "program", &["adapters", "flags"]),
            entry(3, "roll-back to version 1", &["adapters", "flags"]),
        ],
        "reloads": [
            reload(2, "program", "partial", None),
            reload(2, "program", "failed", Some("adapters: at least one is needed")),
            reload(3, "roll-back to version 1", "success", None),
            reload(3, "roll-back to version 9", "failed", Some("version 9 is not kept any more")),
        ],
    });
    assert_eq!(ask("GET /versions").await, (200, expected));

    for _ in 0..30 {
        scene.configuration.reload(ReloadTrigger::Hangup).await;
    }
    assert_eq!(scene.configuration.history().len(), 20, "bounded");
}

/// What the configuration does not set is as it was registered.
#[tokio::test(start_paused = true)]
async fn checks_follow_the_configuration() {
    type Checks = indexmap::IndexMap<String, crate::CheckConfig>;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("checks.yaml");
    let service = service("ingestor", "1.0");
    let second = std::time::Duration::from_secs(1);
    let register = |name| service.register_check(name, crate::Need::Required, second, async || ());
    let (database, redis) = (register("database"), register("redis"));
    std::fs::write(&path, "{redis: {enabled: false}}").unwrap();
    let parse = |text: &str| serde_yaml::from_str::<Checks>(text);
    let part = ConfigPart::checks("checks", |checks: &Checks| checks, &service);
    let configuration = Configuration::open(&service, &path, parse, vec![part]).unwrap();
    assert!(!redis.is_enabled(), "from the start on");

    let reload = async |text: &str| {
        std::fs::write(&path, text).unwrap();
        configuration.reload(ReloadTrigger::Program).await.error
    };
    let text = "{database: {timeout_seconds: 0.25, interval_seconds: 30}}";
    assert_eq!(reload(text).await, None);
    assert!(redis.is_enabled());
    assert_eq!(database.timeout(), second / 4);
    assert_eq!(database.interval(), Some(second * 30));
    for (text, reason) in [
        ("{kafka: {}}", "there is no check `kafka`"),
        (
            "{redis: {timeout_seconds: 0}}",
            "redis: timeout_seconds: must be more than 0",
        ),
        (
            "{redis: {interval_seconds: -1}}",
            "redis: interval_seconds: ",
        ),
        ("{redis: {timeout: 1}}", "unknown field `timeout`"),
    ] {
        let error = reload(text).await.unwrap();
        assert!(error.contains(reason), "{text}: {error}");
        assert_eq!(database.timeout(), second / 4, "{text}");
    }
    database.set_enabled(false);
    assert_eq!(reload("{}").await, None);
    assert_eq!(database.timeout(), second);
    assert_eq!(database.interval(), None);
    assert!(database.is_enabled(), "a reload has the last word");
}
