//! PostgreSQL, which has no health route: asked by TCP, by `pg_isready` and by a query, stopped and started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::process::{Running, free_port, wait_for_port};
use crate::support::scene::Scene;
use crate::support::watching::Watching;

/// The user whom the package makes for it: as root it refuses to run.
const USER: &str = "postgres";

/// A cluster of its own in a folder of its own, not running yet.
struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Cluster {
    fn new() -> Self {
        let cluster = Self {
            folder: TempDir::new().expect("a temporary folder can be made"),
            programs: programs(),
            port: free_port(),
        };
        if rustix::process::geteuid().is_root() {
            let user = |what: &str| {
                let output = Command::new("id").args([what, USER]).output();
                let text = String::from_utf8(output.expect("id can be run").stdout);
                text.ok().and_then(|text| text.trim().parse().ok())
            };
            std::os::unix::fs::chown(cluster.folder.path(), user("-u"), user("-g"))
                .expect("root may give a folder away");
        }
        let made = cluster
            .command("initdb")
            .arg("--pgdata")
            .arg(cluster.data())
            .args(["--auth=trust", "--username=health", "--no-sync"])
            .output()
            .expect("initdb can be run");
        assert!(made.status.success(), "{made:?}");
        cluster
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of its programs, by the user who may run it.
    fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            let user = [format!("--reuid={USER}"), format!("--regid={USER}")];
            command.args(user).arg("--clear-groups").arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(self.folder.path());
        command
    }

    fn start(&self) -> Running {
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let running = Running::start(&mut command).expect("postgres can be run");
        wait_for_port(self.port);
        running
    }
}

/// The newest version that is installed: the package keeps its programs apart from others.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("postgresql is installed");
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    versions
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/postgres").exists())
        .max_by_key(|path| version(path))
        .expect("postgresql is installed")
        .join("bin")
}

#[test]
#[ignore = "needs the Debian package postgresql"]
fn it_is_seen_down_up_stopped_and_up_again() {
    let cluster = Cluster::new();
    let port = cluster.port;
    let scene = Scene::with_inventory(&format!(
        "defaults: {{interval: 200ms, timeout: 20s}}
services:
  postgres:
    probes:
      live: {{tcp: localhost:{port}}}
      ready: {{exec: [pg_isready, -h, localhost, -p, '{port}']}}
      query:
        exec: [psql, --no-psqlrc, --quiet, --command, select 1]
        env: {{PGHOST: 127.0.0.1, PGPORT: {port}, PGUSER: health, PGDATABASE: postgres}}
        required: true
"
    ));
    let ran = scene.run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for reason in [
        format!("live: connection refused (127.0.0.1:{port}"),
        format!("ready: exit status 2: localhost:{port} - no response"),
        "query: exit status 2: psql: error: connection to server".to_owned(),
    ] {
        assert!(ran.stdout.contains(&reason), "{reason}: {ran:?}");
    }
    let mut server = cluster.start();
    let ran = scene.run(&["check", "--wait", "60s"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut watching = Watching::start(&scene, &[]);
    let healthy = watching.until_state("postgres", "healthy");
    assert_eq!(healthy["ready"], true);
    assert!(server.stop(Signal::INT).success());
    let down = watching.until_state("postgres", "unhealthy");
    assert_eq!(down["flags"], serde_json::json!([]));
    let mut server = cluster.start();
    watching.until_state("postgres", "healthy");
    assert_eq!(watching.end(Signal::TERM), Some(143));
    assert!(server.stop(Signal::INT).success());
}
