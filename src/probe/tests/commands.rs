//! Commands that do what commands should not: the exec prober with real processes.
//!
//! What becomes of a process is seen by a named pipe that it holds: its reader comes to the end when the last holder is gone.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::{
    AMPLE, FailureKind, Probe, ProbeKind, ProbeResult, failed, get, hurried, passed, probe, run,
};
use crate::inventory::{Exec, Secret};

fn exec(words: &[&str]) -> Probe {
    let command: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Probe {
        kind: ProbeKind::Exec(Exec {
            shown: command.clone(),
            command,
            ..Exec::default()
        }),
        ..probe(get("http://unused/"))
    }
}

fn shell(script: &str) -> Probe {
    exec(&["sh", "-c", script])
}

/// The probe with this in its environment, in this directory.
fn within(probe: Probe, variables: &[(&str, Secret)], directory: &Path) -> Probe {
    let ProbeKind::Exec(exec) = probe.kind else {
        panic!("it is a command")
    };
    let variables = variables.iter();
    Probe {
        kind: ProbeKind::Exec(Exec {
            env: variables
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            cwd: directory.to_owned(),
            ..exec
        }),
        ..probe
    }
}

/// A named pipe in a folder of its own.
struct Pipe {
    folder: TempDir,
}

impl Pipe {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        Self { folder }
    }

    /// Runs the script, in which `$PIPE` is the pipe, and waits until nobody holds it any more. Somebody has to hold it first.
    async fn outlived_by_nobody(&self, make: impl Fn(&str) -> Probe) -> crate::health::Outcome {
        let path = self.folder.path().join("pipe");
        let probe = make(&path.display().to_string());
        let reader = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            File::open(path).unwrap().read_to_string(&mut text).unwrap();
            text
        });
        let outcome = run(&probe).await;
        let text = tokio::time::timeout(AMPLE, reader).await;
        let text = text.expect("what was started has ended").unwrap();
        assert_eq!(text, "here\n");
        outcome
    }
}

#[tokio::test]
async fn the_status_tells() {
    let outcome = run(&exec(&["true"])).await;
    passed(&outcome);
    assert!(outcome.latency.is_some());
    assert_eq!((outcome.address, outcome.code), (None, None));
    let check = async |script: &str, words: &str| {
        let outcome = run(&shell(script)).await;
        failed(&outcome, ProbeResult::Fail, FailureKind::Exit, words);
        assert!(outcome.latency.is_some(), "{script}");
    };
    check("exit 2", "exit status 2").await;
    check(
        "echo; echo '  no response  '; echo more; exit 1",
        "exit status 1: no response",
    )
    .await;
    check("echo out; echo err >&2; exit 1", "exit status 1: out").await;
    check("echo err >&2; echo out; exit 1", "exit status 1: err").await;
    check(
        r"printf '\033[31mred\033[0m\r\n'; exit 1",
        r"exit status 1: \u{1b}[31mred\u{1b}[0m",
    )
    .await;
    check(r"printf '\377x'; exit 1", "exit status 1: \u{fffd}x").await;
    check("kill -SEGV $$", "ended by signal 11 (SIGSEGV)").await;
    check(
        "echo dying; kill -KILL $$",
        "ended by signal 9 (SIGKILL): dying",
    )
    .await;
    let outcome = run(&shell("head -c 50000 /dev/zero | tr '\\0' x; exit 1")).await;
    let message = outcome.failure.unwrap().message;
    assert_eq!(
        message.chars().count(),
        "exit status 1: ".len() + 301,
        "{message}"
    );
}

#[tokio::test]
async fn no_shell_and_nothing_to_read() {
    // What a shell would take apart stays one word.
    passed(&run(&exec(&["test", "$HOME; *", "=", "$HOME; *"])).await);
    // Nothing comes on its input, and nobody's terminal.
    passed(&run(&shell("! read line")).await);
    passed(&run(&hurried(shell("test \"$(cat)\" = ''"))).await);
    // It leads a group of its own, so what is typed at us does not reach it.
    passed(&run(&shell("test $(cut -d' ' -f5 /proc/self/stat) = $$")).await);
}

#[tokio::test]
async fn environment_and_directory() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("secret"), "from a file\n").unwrap();
    let variables = [
        ("PLAIN", Secret::Plain("as written".to_owned())),
        ("FROM_FILE", Secret::File(folder.path().join("secret"))),
        ("FROM_ENV", Secret::Env("PATH".to_owned())),
        (
            "PATH",
            Secret::EnvOr {
                name: "PATH".to_owned(),
                otherwise: "nowhere".to_owned(),
            },
        ),
        (
            "FROM_ENV_FILE",
            Secret::EnvOr {
                name: "HEALTHCTL_TEST_NO_SUCH_VARIABLE".to_owned(),
                otherwise: "otherwise".to_owned(),
            },
        ),
    ];
    let script = "test \"$PLAIN/$FROM_FILE/$FROM_ENV_FILE\" = 'as written/from a file/otherwise' \
                  && test \"$FROM_ENV\" = \"$PATH\" && test -f secret && test -n \"$HOME$USER$PWD\"";
    passed(&run(&within(shell(script), &variables, folder.path())).await);
    let missing = [(
        "X",
        Secret::Env("HEALTHCTL_TEST_NO_SUCH_VARIABLE".to_owned()),
    )];
    failed(
        &run(&within(shell("true"), &missing, folder.path())).await,
        ProbeResult::Unknown,
        FailureKind::Local,
        "the environment variable HEALTHCTL_TEST_NO_SUCH_VARIABLE is not set",
    );
}

#[tokio::test]
async fn what_cannot_be_run_is_our_own_fault() {
    let folder = TempDir::new().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "text").unwrap();
    let plain = plain.display().to_string();
    let check = async |probe: &Probe, words: &str| {
        let outcome = run(probe).await;
        failed(&outcome, ProbeResult::Unknown, FailureKind::Local, words);
        assert_eq!(outcome.latency, None);
    };
    check(
        &exec(&["healthctl-test-no-such-command"]),
        "cannot run `healthctl-test-no-such-command`: there is no such command in PATH",
    )
    .await;
    check(
        &exec(&["./nowhere/x"]),
        "cannot run `./nowhere/x`: there is no such file",
    )
    .await;
    check(
        &exec(&[&plain]),
        "cannot run `…/plain`: it may not be executed",
    )
    .await;
    check(&exec(&[]), "the command is empty").await;
    let gone = folder.path().join("gone");
    check(
        &within(exec(&["true"]), &[], &gone),
        "cannot run `true`: there is no directory …/gone",
    )
    .await;
}

#[tokio::test]
async fn a_command_without_end_is_ended_with_all_its_group() {
    let outcome = Pipe::new()
        .outlived_by_nobody(|pipe| {
            hurried(shell(&format!(
                "trap '' TERM; exec 3> {pipe}; echo here >&3; echo waiting; sleep 600 & sleep 600 & wait"
            )))
        })
        .await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Timeout,
        "no end within 400ms: waiting",
    );
    assert_eq!(outcome.latency, None);
}

/// The pipe to us stays open in a process that nobody waits for: that holds up nothing, and it ends.
#[tokio::test]
async fn what_is_left_behind_neither_holds_us_up_nor_lives_on() {
    for leave in [
        "sleep 600 &",
        "(sleep 600 &) &",
        "nohup sleep 600 &",
        "setsid sleep 600 &",
        "setsid sh -c 'setsid sleep 600 & sleep 600' &",
        "setsid sleep 600 > /dev/null 2>&1 < /dev/null &",
    ] {
        let outcome = Pipe::new()
            .outlived_by_nobody(|pipe| {
                shell(&format!("exec 3> {pipe}; echo here >&3; {leave} echo done"))
            })
            .await;
        passed(&outcome);
    }
}

#[tokio::test]
async fn output_has_a_limit() {
    let flood = Probe {
        max_body: 10_000,
        ..exec(&["yes", "and more"])
    };
    let outcome = run(&flood).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::BodyLimit,
        "its output is larger than … (max_body): and more",
    );
    // What fits is fine, to the byte.
    let full = Probe {
        max_body: 10_000,
        ..shell("head -c 10000 /dev/zero")
    };
    passed(&run(&full).await);
}

/// A probe may be dropped while its command runs: the command is ended with it, and so is what has left its group.
#[tokio::test]
async fn a_dropped_probe_ends_its_command() {
    for rest in ["sleep 600", "setsid sleep 600 & sleep 600"] {
        dropped(rest).await;
    }
}

async fn dropped(rest: &str) {
    let pipe = Pipe::new();
    let path = pipe.folder.path().join("pipe");
    let script = format!("exec 3> {}; echo here >&3; {rest}", path.display());
    let asking = tokio::spawn(async move { run(&shell(&script)).await });
    let (here, open) = tokio::task::spawn_blocking(move || {
        let mut file = File::open(path).unwrap();
        let mut here = [0; 5];
        file.read_exact(&mut here).unwrap();
        (here, file)
    })
    .await
    .unwrap();
    assert_eq!(&here, b"here\n");
    asking.abort();
    let rest = tokio::task::spawn_blocking(move || {
        let mut rest = String::new();
        let mut open = open;
        open.read_to_string(&mut rest).unwrap();
        rest
    });
    let rest = tokio::time::timeout(AMPLE, rest).await;
    assert_eq!(rest.expect("the command has ended").unwrap(), "");
}

#[tokio::test]
async fn what_it_was_given_in_confidence_is_not_told() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("secret"), "hunter22\n").unwrap();
    let variables = [("KEY", Secret::File(folder.path().join("secret")))];
    let check = async |script: &str, words: &str| {
        let outcome = run(&within(shell(script), &variables, folder.path())).await;
        failed(&outcome, ProbeResult::Fail, FailureKind::Exit, words);
    };
    check("echo no user $KEY; exit 1", "exit status 1: no user ${KEY}").await;
    // Cut where a line is as long as it may be, and where no more is kept.
    let cut = format!("exit status 1: {}${{KE…", "y".repeat(296));
    check(&format!("echo {}$KEY; exit 1", "y".repeat(296)), &cut).await;
}

/// No zombie: every child that was started is waited for.
#[tokio::test]
async fn no_child_is_left() {
    for script in ["exit 3", "kill -9 $$", "sleep 600 & exit 0"] {
        run(&shell(&format!("echo $$; {script}"))).await;
    }
    let outcome = run(&hurried(shell("echo $$; sleep 600"))).await;
    let message = outcome.failure.unwrap().message;
    let pid = message.rsplit(' ').next().unwrap();
    assert!(pid.parse::<u32>().is_ok(), "{message}");
    assert!(
        !Path::new(&format!("/proc/{pid}")).exists(),
        "{pid} is still there"
    );
}

/// Many at once: what one leaves behind is told from the others.
#[tokio::test]
async fn commands_side_by_side() {
    let all = (0..20).map(|number| async move {
        let outcome = run(&shell(&format!(
            "setsid sleep 600 & sleep 0; exit {number}"
        )))
        .await;
        let message = outcome.failure.map(|failure| failure.message);
        let expected = (number > 0).then(|| format!("exit status {number}"));
        assert_eq!(message, expected);
    });
    futures_util::future::join_all(all).await;
}

#[tokio::test]
async fn a_deadline_of_nothing() {
    let probe = Probe {
        timeout: Duration::from_nanos(1),
        ..exec(&["sleep", "5"])
    };
    let outcome = run(&probe).await;
    failed(
        &outcome,
        ProbeResult::Fail,
        FailureKind::Timeout,
        "…within 1ns",
    );
}
