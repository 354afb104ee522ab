//! The manifests for Kubernetes and Compose, held against a mail room that is run as they say.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde::Deserialize;
use serde_json::Value;

use crate::mailroom::{Mailroom, deployment};
use crate::support::waiting::wait_until;

/// Returns the documents of a YAML file.
pub(crate) fn documents(name: &str) -> Vec<Value> {
    let text = deployment(name);
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).expect("it is YAML"))
        .collect()
}

/// Returns the manifest of this kind.
fn manifest(kind: &str) -> Value {
    let mut all = documents("kubernetes.yaml");
    all.retain(|manifest| manifest["kind"] == kind);
    assert_eq!(all.len(), 1, "{kind}");
    all.remove(0)
}

fn pod() -> Value {
    manifest("Deployment")["spec"]["template"].take()
}

fn container() -> Value {
    pod()["spec"]["containers"][0].take()
}

fn compose() -> Value {
    documents("compose.yaml").remove(0)
}

/// Returns a list of text.
fn words(list: &Value) -> Vec<String> {
    let list = list.as_array().expect("it is a list");
    let word = |word: &Value| word.as_str().expect("it is text").to_owned();
    list.iter().map(word).collect()
}

/// Starts a mail room with the arguments and the configuration of the pod.
fn in_a_pod() -> Mailroom {
    let configuration = manifest("ConfigMap")["data"]["mailroom.json"].take();
    let configuration = configuration.as_str().expect("it is text");
    Mailroom::deployed(&words(&container()["args"]), configuration, |_, _| {})
}

/// Starts a mail room with the arguments and the configuration that Compose gives it.
fn in_compose() -> Mailroom {
    let compose = compose();
    let service = &compose["services"]["mailroom"];
    let configuration = compose["configs"]["mailroom"]["content"].as_str();
    let configuration = configuration.expect("it is text");
    Mailroom::deployed(&words(&service["command"]), configuration, |_, _| {})
}

/// Returns the port at the end of an address.
fn port(address: &str) -> u64 {
    let (_, port) = address.rsplit_once(':').expect("it has a port");
    port.parse().expect("it is a number")
}

/// Returns a duration in whole seconds, as Compose and systemd write it.
pub(crate) fn seconds(text: &str) -> f64 {
    let number = text.strip_suffix('s').unwrap_or(text);
    number.parse().expect("it is a number of seconds")
}

#[test]
fn the_probes_of_the_pod_answer_as_kubernetes_needs_it() {
    let mut mailroom = in_a_pod();
    let container = container();
    let code = |mailroom: &Mailroom, probe: &str| {
        let get = &container[format!("{probe}Probe")]["httpGet"];
        assert_eq!(get["port"], container["ports"][0]["name"], "{probe}");
        let path = get["path"].as_str().expect("it has a path");
        mailroom.ask(&format!("GET {path}")).status
    };
    wait_until("ready", || code(&mailroom, "readiness") == 200);
    assert_eq!(code(&mailroom, "startup"), 200);
    assert_eq!(code(&mailroom, "liveness"), 200);

    mailroom.has_inbox(false);
    wait_until("unready", || code(&mailroom, "readiness") == 503);
    assert_eq!(code(&mailroom, "liveness"), 200, "no restart mends it");
    assert_eq!(code(&mailroom, "startup"), 200);
    mailroom.has_inbox(true);
    wait_until("ready", || code(&mailroom, "readiness") == 200);

    let letter = mailroom.begin_letter();
    mailroom.signal(Signal::TERM);
    mailroom.until_live_says("shutting_down");
    assert_eq!(code(&mailroom, "readiness"), 503, "no traffic");
    assert_eq!(code(&mailroom, "liveness"), 200, "it is not to be killed");
    assert!(letter.finish().contains("thank you\n"));
    assert!(mailroom.ends().success());
}

/// A probe that gives up before the service has waited for its checks would fail a service that is well.
#[test]
fn the_probes_of_the_pod_wait_longer_than_an_answer_takes() {
    let settings = healthctl_service::Settings::default();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        // One second is the default of Kubernetes.
        let timeout = container()[probe]["timeoutSeconds"].as_f64().unwrap_or(1.0);
        assert!(timeout > settings.check_wait.as_secs_f64(), "{probe}");
    }
}

#[test]
fn every_supervisor_waits_for_longer_than_a_shutdown_may_take() {
    let mailroom = in_compose();
    let limit = mailroom.metric("service_shutdown_limit_seconds");
    assert!(limit > 20.0, "the drain alone may take 20 s: {limit}");

    let pod = pod();
    let grace = pod["spec"]["terminationGracePeriodSeconds"].as_f64();
    let before = container()["lifecycle"]["preStop"]["sleep"]["seconds"].as_f64();
    let (grace, before) = (grace.expect("a number"), before.expect("a number"));
    assert!(before > 0.0 && grace - before > limit, "{grace} - {before}");

    let compose = compose();
    let grace = compose["services"]["mailroom"]["stop_grace_period"].as_str();
    assert!(seconds(grace.expect("it is text")) > limit);

    assert!(seconds(&crate::systemd::value("TimeoutStopSec")) > limit);
}

#[test]
fn all_ports_are_the_one_that_the_program_is_told() {
    let container = container();
    let listens = port(&words(&container["args"])[0]);
    assert_eq!(container["ports"][0]["containerPort"], listens);
    let service = manifest("Service");
    assert_eq!(
        service["spec"]["ports"][0]["targetPort"],
        container["ports"][0]["name"]
    );
    let annotations = pod()["metadata"]["annotations"].take();
    assert_eq!(annotations["prometheus.io/port"], listens.to_string());

    let compose = compose();
    let service = &compose["services"]["mailroom"];
    let listens = port(&words(&service["command"])[0]);
    assert_eq!(port(&words(&service["ports"])[0]), listens);
    let test = words(&service["healthcheck"]["test"]);
    let url = test.iter().find(|word| word.starts_with("http://"));
    assert_eq!(port(url.expect("it asks a URL")), listens);
    let scraped = &documents("prometheus.yaml")[0]["scrape_configs"][0]["static_configs"][0];
    assert_eq!(
        words(&scraped["targets"]),
        [format!("mailroom:{listens}")],
        "the name that it has in the network of Compose"
    );

    let unit = crate::systemd::arguments();
    assert_eq!(port(&unit[0]), listens);
}

#[test]
fn labels_claims_and_files_of_the_manifests_fit_together() {
    let (pod, deployment, service) = (pod(), manifest("Deployment"), manifest("Service"));
    let labels = &pod["metadata"]["labels"];
    assert!(labels.is_object());
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&service["spec"]["selector"], labels);
    let budget = manifest("PodDisruptionBudget");
    assert_eq!(&budget["spec"]["selector"]["matchLabels"], labels);
    assert!(budget["spec"]["minAvailable"].as_u64() < deployment["spec"]["replicas"].as_u64());

    let volumes = &pod["spec"]["volumes"];
    let configuration = manifest("ConfigMap");
    assert_eq!(
        volumes[0]["configMap"]["name"],
        configuration["metadata"]["name"]
    );
    let claim = manifest("PersistentVolumeClaim");
    assert_eq!(
        volumes[1]["persistentVolumeClaim"]["claimName"],
        claim["metadata"]["name"]
    );
    let mounts = &container()["volumeMounts"];
    for (mount, volume) in [0, 1].map(|place| (&mounts[place], &volumes[place])) {
        assert_eq!(mount["name"], volume["name"]);
    }
    assert_eq!(mounts[0]["mountPath"], "/etc/mailroom");
    assert_eq!(
        mounts[1]["mountPath"], "/var/lib/mailroom",
        "what the configuration names"
    );
    for need in ["requests", "limits"] {
        for resource in ["cpu", "memory"] {
            assert!(container()["resources"][need][resource].is_string());
        }
    }
    assert_eq!(
        annotation(&pod, "path"),
        "/metrics",
        "tests/deploy/prometheus.rs asks it"
    );
    assert_eq!(annotation(&pod, "scrape"), "true");
}

fn annotation(pod: &Value, name: &str) -> String {
    let value = &pod["metadata"]["annotations"][format!("prometheus.io/{name}")];
    value.as_str().expect("it is text").to_owned()
}

#[test]
fn the_health_check_of_compose_tells_well_from_unwell() {
    let mailroom = in_compose();
    let compose = compose();
    let check = &compose["services"]["mailroom"]["healthcheck"];
    let test = words(&check["test"]);
    assert_eq!(test[..2], ["CMD", "healthctl"]);
    let url = mailroom.address().to_string();
    let test: Vec<String> = test[2..]
        .iter()
        .map(|word| word.replace("127.0.0.1:8000", &url))
        .collect();
    let test: Vec<&str> = test.iter().map(String::as_str).collect();
    assert!(test.iter().any(|word| word.contains(&url)), "{test:?}");
    // Not beside an inventory: in the image there is none.
    let image = crate::support::scene::Scene::new();
    let code = || image.run(&test).code;
    mailroom.until_readyz_is(200);
    assert_eq!(code(), 0);
    mailroom.has_inbox(false);
    mailroom.until_readyz_is(503);
    assert_eq!(code(), 1);
    mailroom.has_inbox(true);
    mailroom.until_readyz_is(200);
    assert_eq!(code(), 0);
    // A probe of healthctl gives up after two seconds.
    let timeout = check["timeout"].as_str().expect("it is text");
    assert!(seconds(timeout) > 2.0);
}

/// Returns the path of something that the gate installs.
fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/deploy")
        .join(name)
}

/// Runs a checker on a file, and returns whether it takes it and all that it said.
#[track_caller]
fn run(program: &Path, arguments: &[&str], file: &Path) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(arguments).arg(file);
    let output = command.output().expect(".ci/run installs it");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Asserts that a checker takes a file, and not a copy in which something was replaced.
#[track_caller]
pub(crate) fn assert_checked(
    program: &Path,
    arguments: &[&str],
    name: &str,
    (good, bad): (&str, &str),
) -> String {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let text = deployment(name);
    assert!(text.contains(good), "{name} has no {good:?}");
    let broken = folder.path().join(name);
    std::fs::write(&broken, text.replacen(good, bad, 1)).expect("it can be written");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/deploy")
        .join(name);
    let (taken, said) = run(program, arguments, &path);
    assert!(taken, "{said}");
    let (taken, broken) = run(program, arguments, &broken);
    assert!(!taken, "it takes {bad:?}: {broken}");
    said
}

#[test]
#[ignore = "needs the package kubernetes-validate under target/deploy/python"]
fn the_schemas_of_kubernetes_know_the_manifests() {
    let checker = installed("python/bin/kubernetes-validate");
    for version in ["1.30", "1.37"] {
        let said = assert_checked(
            &checker,
            &["--strict", "-k", version],
            "kubernetes.yaml",
            ("failureThreshold: 30", "failureTreshold: 30"),
        );
        let passed = said.matches("passed for resource").count();
        assert_eq!(passed, documents("kubernetes.yaml").len(), "{said}");
    }
}

#[test]
#[ignore = "needs the program compose-go under target/deploy/compose"]
fn the_library_of_docker_compose_reads_the_compose_file() {
    let said = assert_checked(
        &installed("compose/cmd"),
        &[],
        "compose.yaml",
        ("stop_grace_period: 60s", "stop_grace_time: 60s"),
    );
    assert!(said.contains("stop_grace_period: 60s"), "{said}");
}
