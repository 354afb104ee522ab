//! The alert rules, their cases and the dashboard, held against what `/metrics` of real services shows.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use healthctl_service::{
    Heartbeat, HeartbeatSchedule, Need, Service, Settings, ShutdownCause, metrics,
};
use regex::Regex;
use serde_json::Value;

use crate::mailroom::{Language, Mailroom, deployment};
use crate::manifests::{assert_checked, documents};
use crate::support::demo::ask;
use crate::support::process::{Running, free_port, wait_for_port};
use crate::support::waiting::wait_until;

/// The values of each label of each metric.
type Served = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Adds the metrics of a service, as it shows them.
fn scrape(address: SocketAddr, served: &mut Served) {
    let answer = ask(address, "GET /metrics").expect("it answers");
    assert_eq!(answer.status, 200);
    let sample = Regex::new(r"^(\w+)(?:\{(.*)\})? \S+$").expect("it is valid");
    let label = Regex::new(r#"(\w+)="((?:[^"\\]|\\.)*)""#).expect("it is valid");
    for line in answer.body.lines().filter(|line| !line.starts_with('#')) {
        let parts = sample.captures(line).expect("it is a sample");
        let labels = served.entry(parts[1].to_owned()).or_default();
        let text = parts.get(2).map_or("", |labels| labels.as_str());
        for pair in label.captures_iter(text) {
            let values = labels.entry(pair[1].to_owned()).or_default();
            values.insert(pair[2].to_owned());
        }
    }
}

/// A service that has what the mail room has not: a circuit breaker, heartbeats, an optional component.
async fn with_the_rest() -> (SocketAddr, tokio::task::JoinHandle<()>, Service) {
    let settings = Settings {
        handle_signals: false,
        ..Settings::default()
    };
    let service = Service::new("orders", "1.0", settings);
    let limit = Duration::from_secs(5);
    service.circuit_breaker("supplier", 3, limit);
    let every = HeartbeatSchedule::every(limit);
    service.send_heartbeats("hub", every, |_: Heartbeat| async { Ok::<(), String>(()) });
    service.register_check("cache", Need::Optional, limit, || async {});
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let server = service.server(listener, metrics::routes(&service), Router::new());
    let server = server.expect("it can be served");
    let running = tokio::spawn(async { drop(server.run().await) });
    (address, running, service)
}

/// Returns all that the services of the kit show.
async fn served() -> Served {
    let (address, running, service) = with_the_rest().await;
    let served = tokio::task::spawn_blocking(move || {
        let mut served = Served::new();
        let mailroom = Mailroom::start(Language::Rust);
        mailroom.until_readyz_is(200);
        scrape(mailroom.address(), &mut served);
        scrape(address, &mut served);
        served
    });
    let served = served.await.expect("they answer");
    service.shut_down(ShutdownCause::Program);
    running.await.expect("it ends");
    served
}

/// Returns what is wrong with the metrics and labels of an expression, or of a series.
fn faults(expression: &str, legend: &str, served: &Served) -> Vec<String> {
    let mut faults = Vec::new();
    let mut known = BTreeSet::from([
        "job".to_owned(),
        "instance".to_owned(),
        "severity".to_owned(),
    ]);
    let selector = Regex::new(r"\b(service_\w+|up)\b(?:\{([^}]*)\})?").expect("it is valid");
    let matcher = Regex::new(r#"(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)""#).expect("it is valid");
    let mut found = 0;
    for part in selector.captures_iter(expression) {
        let name = &part[1];
        found += 1;
        // Prometheus makes this one itself.
        let none = BTreeMap::new();
        let Some(labels) = served.get(name).or((name == "up").then_some(&none)) else {
            faults.push(format!("{expression}: {name} is not served"));
            continue;
        };
        known.extend(labels.keys().cloned());
        let matchers = part.get(2).map_or("", |matchers| matchers.as_str());
        for matcher in matcher.captures_iter(matchers) {
            let (label, operator, value) = (&matcher[1], &matcher[2], &matcher[3]);
            if !known.contains(label) {
                faults.push(format!("{expression}: {name} has no label {label}"));
            }
            // A word of the kit; names are those of the user.
            let is_word = ["status", "state", "result", "required"].contains(&label);
            if is_word && operator == "=" && !labels.get(label).is_some_and(|it| it.contains(value))
            {
                faults.push(format!("{expression}: {label} of {name} is never {value}"));
            }
        }
    }
    if found == 0 {
        faults.push(format!("{expression}: no metric"));
    }
    let grouping = Regex::new(r"\bby \(([^)]*)\)").expect("it is valid");
    let shown = Regex::new(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}").expect("it is valid");
    let used = grouping
        .captures_iter(expression)
        .flat_map(|by| {
            by[1]
                .split(',')
                .map(str::trim)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .chain(shown.captures_iter(legend).map(|label| label[1].to_owned()));
    for label in used {
        if !known.contains(&label) {
            faults.push(format!("{expression}: no label {label}"));
        }
    }
    faults
}

/// Returns the rules, each with its expression and the texts that it writes.
fn rules() -> Vec<(String, String, String)> {
    let document = documents("alerts.yaml").remove(0);
    let rules = document["groups"][0]["rules"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    rules
        .iter()
        .map(|rule| {
            let shown = rule["annotations"].to_string();
            (text(&rule["alert"]), text(&rule["expr"]), shown)
        })
        .collect()
}

/// Returns the expressions of the dashboard, each with its title and its legend.
fn panels() -> Vec<(String, String, String)> {
    let dashboard: Value = serde_json::from_str(&deployment("dashboard.json")).expect("it is JSON");
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let panels = dashboard["panels"].as_array().expect("a list");
    let targets = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().expect("a list");
        let shown = |target: &Value| {
            let expression = text(&target["expr"]);
            (
                text(&panel["title"]),
                expression,
                text(&target["legendFormat"]),
            )
        };
        targets.iter().map(shown).collect::<Vec<_>>()
    });
    targets.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_and_label_of_rules_cases_and_dashboard_is_served() {
    let served = served().await;
    let mut all = Vec::new();
    for (_, expression, shown) in rules().into_iter().chain(panels()) {
        all.extend(faults(&expression, &shown, &served));
    }
    let cases = documents("alerts.test.yaml").remove(0);
    for case in cases["tests"].as_array().expect("a list") {
        for series in case["input_series"].as_array().expect("a list") {
            let series = series["series"].as_str().expect("it is text");
            all.extend(faults(series, "", &served));
        }
    }
    let dashboard: Value = serde_json::from_str(&deployment("dashboard.json")).expect("it is JSON");
    for variable in &dashboard["templating"]["list"].as_array().expect("a list")[1..] {
        let query = variable["query"]["query"].as_str().expect("it is text");
        assert_eq!(variable["definition"], query);
        all.extend(faults(query, "", &served));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));

    // The test of the tests: what is not served is found.
    for wrong in [
        "service_redy == 0",
        r#"service_health{state="healthy"}"#,
        r#"service_circuit_state{state="ajar"}"#,
        "sum by (component) (service_ready)",
        "vector(1)",
    ] {
        assert!(!faults(wrong, "", &served).is_empty(), "{wrong}");
    }
    assert_eq!(faults("service_ready", "{{component}}", &served).len(), 1);
}

/// Returns the names of the metrics that Prometheus knows.
fn names(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\bservice_\w+").expect("it is valid");
    name.find_iter(text)
        .map(|name| name.as_str().to_owned())
        .collect()
}

#[test]
fn every_alert_has_cases_in_which_it_fires_and_in_which_it_does_not() {
    let cases = documents("alerts.test.yaml").remove(0);
    let tests = cases["tests"].as_array().expect("a list").iter();
    let expectations: Vec<&Value> = tests
        .flat_map(|test| test["alert_rule_test"].as_array().expect("a list"))
        .collect();
    for (alert, _, _) in rules() {
        let expected: Vec<&Value> = expectations
            .iter()
            .filter(|test| test["alertname"] == *alert)
            .map(|test| &test["exp_alerts"])
            .collect();
        let fires = |fires: bool| {
            let count = |alerts: &&Value| alerts.as_array().is_some_and(Vec::is_empty) != fires;
            expected.iter().any(count)
        };
        assert!(fires(true), "{alert} never fires in a case");
        assert!(fires(false), "{alert} is never silent in a case");
    }
}

#[test]
fn the_panels_of_the_dashboard_overlap_nowhere_and_say_what_they_show() {
    let dashboard: Value = serde_json::from_str(&deployment("dashboard.json")).expect("it is JSON");
    let mut taken = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("a list") {
        let title = panel["title"].as_str().expect("it has a title");
        assert!(ids.insert(panel["id"].as_u64()), "{title}");
        assert!(
            panel["description"]
                .as_str()
                .is_some_and(|it| it.ends_with('.'))
        );
        let place = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
        assert!(place("x") + place("w") <= 24, "{title}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                let other = taken.insert((x, y), title);
                assert_eq!(other, None, "{title}");
            }
        }
    }
}

#[test]
#[ignore = "needs promtool"]
fn promtool_takes_the_rules_and_their_cases() {
    let promtool = Path::new("promtool");
    assert_checked(
        promtool,
        &["check", "rules"],
        "alerts.yaml",
        ("service_ready == 0 unless", "service_ready == 0 unles"),
    );
    // Its cases name the rules beside them.
    let folder = tempfile::tempdir().expect("a folder can be made");
    let cases = folder.path().join("alerts.test.yaml");
    std::fs::write(&cases, deployment("alerts.test.yaml")).expect("it can be written");
    let test = |rules: &str| {
        std::fs::write(folder.path().join("alerts.yaml"), rules).expect("it can be written");
        let mut command = Command::new(promtool);
        command.args(["test", "rules"]).arg(&cases);
        let output = command.output().expect(".ci/run installs it");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let rules = deployment("alerts.yaml");
    let (sound, said) = test(&rules);
    assert!(sound, "{said}");
    // Each rule without its effect: the cases notice.
    for (alert, expression, _) in self::rules() {
        let first = expression.split('\n').next().expect("it has a line");
        let first = first.split(" and ").next().expect("it has a part").trim();
        assert!(rules.contains(first), "{first}");
        let (sound, _) = test(&rules.replacen(first, "vector(0) > 1", 1));
        assert!(!sound, "no case notices that {alert} is gone");
    }
    // Each rule that waits, without waiting: the cases notice.
    let waits: Vec<_> = rules.match_indices("        for: ").collect();
    assert!(waits.len() > 3);
    for (place, _) in waits {
        let (before, after) = rules.split_at(place);
        let (line, rest) = after.split_once('\n').expect("it has an end");
        let (sound, _) = test(&format!("{before}{rest}"));
        let alert = before.rsplit("alert: ").next().expect("it has a name");
        assert!(!sound, "no case notices the missing {line:?} of {alert}");
    }
}

#[test]
#[ignore = "needs promtool"]
fn promtool_takes_every_expression_of_the_dashboard() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("rules.json");
    let check = |expressions: &[String]| {
        let rules: Vec<Value> = expressions
            .iter()
            .enumerate()
            .map(|(number, expression)| {
                serde_json::json!({"record": format!("panel:{number}"), "expr": expression})
            })
            .collect();
        let rules = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
        std::fs::write(&path, rules.to_string()).expect("it can be written");
        let mut command = Command::new("promtool");
        command.args(["check", "rules", "--lint=none"]).arg(&path);
        let output = command.output().expect(".ci/run installs it");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let expressions: Vec<String> = panels()
        .into_iter()
        .map(|(_, expression, _)| interpolated(&expression))
        .collect();
    let (sound, said) = check(&expressions);
    assert!(sound, "{said}");
    assert!(!check(&["sum by component (up)".to_owned()]).0);
}

/// Fills in the variables of an expression as Grafana does.
fn interpolated(expression: &str) -> String {
    expression
        .replace("$__rate_interval", "1m")
        .replace("$job", ".*")
        .replace("$instance", ".*")
}

/// A Prometheus with the configuration and the rules of the deployment, which scrapes a mail room, only far more often.
struct Prometheus {
    _running: Running,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn start(mailroom: &Mailroom) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("it can be written");
        };
        let configuration = deployment("prometheus.yaml");
        for text in ["mailroom:8000", "_interval: 5s"] {
            assert!(configuration.contains(text), "{text}");
        }
        let configuration = configuration
            .replace("mailroom:8000", &mailroom.address().to_string())
            .replace("_interval: 5s", "_interval: 200ms");
        write("prometheus.yaml", &configuration);
        write("alerts.yaml", &deployment("alerts.yaml"));
        let port = free_port();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", path("prometheus.yaml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let running = Running::start(&mut command).expect("prometheus is installed");
        wait_for_port(port);
        Self {
            _running: running,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            _folder: folder,
        }
    }

    /// Returns the series that an expression gives now, and `None` before Prometheus is ready.
    fn query(&self, expression: &str) -> Option<Vec<Value>> {
        let query: String = url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let answer = ask(self.address, &format!("GET /api/v1/query?query={query}"));
        let answer = answer.ok().filter(|answer| answer.status == 200)?;
        Some(answer.json()["data"]["result"].as_array()?.clone())
    }

    /// Waits until an expression gives a series.
    fn until(&self, expression: &str) -> Vec<Value> {
        let found = RefCell::default();
        wait_until(expression, || {
            *found.borrow_mut() = self.query(expression).unwrap_or_default();
            !found.borrow().is_empty()
        });
        found.into_inner()
    }
}

/// Every panel shows something of a mail room, but those for what it has not.
#[test]
#[ignore = "needs the Debian package prometheus"]
fn a_real_prometheus_shows_the_panels_and_raises_the_alerts() {
    let mailroom = Mailroom::start(Language::Rust);
    let prometheus = Prometheus::start(&mailroom);
    prometheus.until("service_ready == 1");
    let mut served = Served::new();
    scrape(mailroom.address(), &mut served);
    let mut empty = BTreeSet::new();
    for (title, expression, _) in panels() {
        if names(&expression)
            .iter()
            .all(|name| served.contains_key(name))
        {
            prometheus.until(&interpolated(&expression));
        } else {
            empty.insert(title);
        }
    }
    let expected = ["Circuits", "Heartbeats missed in a row"].map(str::to_owned);
    assert_eq!(empty, BTreeSet::from(expected));
    let alerts = |prometheus: &Prometheus| -> BTreeSet<String> {
        let series = prometheus.query("ALERTS").expect("it answers");
        let name = |series: &Value| series["metric"]["alertname"].as_str().map(str::to_owned);
        series.iter().filter_map(name).collect()
    };
    // A scrape may have come too late, and the alert for that is gone with the next one.
    wait_until("no alert", || alerts(&prometheus).is_empty());

    mailroom.has_inbox(false);
    prometheus.until(r#"ALERTS{alertname="RequiredComponentUnhealthy", component="inbox"}"#);
    prometheus.until(r#"ALERTS{alertname="ServiceNotReady"}"#);
    mailroom.has_inbox(true);
    std::fs::write(mailroom.scene.path().join("mailroom.json"), "{").expect("it can be written");
    let refused = prometheus.until(r#"ALERTS{alertname="ReloadFailed"}"#);
    assert_eq!(refused[0]["metric"]["alertstate"], "firing", "{refused:?}");
    drop(mailroom);
    prometheus.until(r#"ALERTS{alertname="ServiceDown", job="mailroom"}"#);
}
