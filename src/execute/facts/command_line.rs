//! The start command of a service: as it is shown, and compared with the command line of a process.
//!
//! A process is unlike the command only where something contradicts it.

use std::path::Path;

use crate::action::shown_command;
use crate::host::CommandLine;
use crate::inventory::{Exec, Service};
use crate::text;

/// Returns a command in backticks, with the directory in which it is run unless that is the current one.
pub(crate) fn shown(exec: &Exec) -> String {
    let command = shown_command(exec.shown.iter().map(String::as_str));
    if exec.cwd == Path::new("") {
        format!("`{command}`")
    } else {
        format!("`{command}` in {}", exec.cwd.display())
    }
}

/// Returns the start command of the service: `uvicorn app:app` in services/api.
pub(crate) fn start_command(service: &Service) -> Option<String> {
    let start = service.start.as_ref()?;
    Some(text::clean(&shown(&start.exec), 300))
}

/// Programs that run something else, whose name says nothing of it; their endings (`python3.11`) do not matter.
const RUNNERS: &str = "bash bun busybox bundle cargo dash deno docker dotnet env go java just make nix node npm npx perl php \
    pnpm podman poetry python ruby sh uv";

/// Runners that start another process in their place or below them, whose command line cannot be foreseen.
const OPAQUE: &str = "bash bun bundle busybox cargo dash docker env go just make nix npm npx pnpm podman poetry service sh \
    systemctl uv yarn";

/// Returns whether a process with this command line can have come from this command. In doubt it can.
pub(super) fn is_like(command: &[String], cwd: &Path, line: &CommandLine) -> bool {
    let mut words = command.iter().map(String::as_str);
    let Some(program) = words.next() else {
        return true;
    };
    // A script may become anything, but stays where it was started.
    let opaque = is_one_of(OPAQUE, program) || is_script(program);
    let same_place = || line.cwd.as_deref() == absolute(cwd).as_deref();
    if opaque && (line.cwd.is_none() || same_place()) {
        return true;
    }
    let mut telling: Vec<&str> = words.filter(|word| tells(word)).collect();
    if !is_one_of(RUNNERS, program) {
        telling.push(program);
    }
    let whole = |word: &&str| word.starts_with('/') && line.text.contains(*word);
    if telling.iter().any(whole) {
        return true;
    }
    let alike = telling.is_empty() || telling.iter().any(|word| line.text.contains(last(word)));
    alike && !is_other_code(&telling, cwd, line)
}

/// Returns whether a runner runs code from another directory than the start command does: `python3 app.py` names many
/// programs. Where both files can be seen they tell, else the directories do. A program that is no runner may change its
/// directory once it runs.
fn is_other_code(telling: &[&str], cwd: &Path, line: &CommandLine) -> bool {
    let mut words = line.text.split(' ');
    let runner = words.next().unwrap_or_default();
    let (Some(theirs), Some(ours)) = (line.cwd.as_deref(), absolute(cwd)) else {
        return false;
    };
    if !is_one_of(RUNNERS, runner) || theirs == Path::new("/") {
        return false;
    }
    let file = |place: &Path, word: &str| {
        let path = std::fs::canonicalize(place.join(word)).ok()?;
        path.is_file().then_some(path)
    };
    let named: Vec<_> = telling
        .iter()
        .filter_map(|word| file(&ours, word))
        .collect();
    let run: Vec<_> = words.filter_map(|word| file(theirs, word)).collect();
    let same_name = |one: &Path| named.iter().any(|it| it.file_name() == one.file_name());
    if run.iter().any(|path| named.contains(path)) {
        return false;
    }
    if run.iter().any(|path| same_name(path)) {
        return true;
    }
    !theirs.starts_with(&ours) && !ours.starts_with(theirs)
}

/// Returns whether an argument may tell one program's processes from another's: no flag, and no number.
fn tells(word: &str) -> bool {
    word.len() > 2
        && !word.starts_with('-')
        && !word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':'))
}

fn is_one_of(names: &str, program: &str) -> bool {
    let name = last(program).trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    names.split(' ').any(|known| known == name)
}

/// Returns the part behind the last `/`.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_script(program: &str) -> bool {
    use std::io::Read;
    let mut first = [0; 2];
    program.contains('/')
        && std::fs::File::open(program)
            .and_then(|mut file| file.read_exact(&mut first))
            .is_ok_and(|()| first == *b"#!")
}

fn absolute(path: &Path) -> Option<std::path::PathBuf> {
    // An empty path is the current directory.
    std::fs::canonicalize(path.join(".")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(command: &str, place: &str, line: &str, cwd: &str) -> bool {
        let command: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let line = CommandLine {
            text: line.to_owned(),
            cwd: Some(cwd.into()),
        };
        is_like(&command, Path::new(place), &line)
    }

    #[test]
    fn a_process_is_like_its_command_in_doubt() {
        for (command, line) in [
            (
                "uvicorn app:app --port 8000",
                "/venv/bin/python3 /venv/bin/uvicorn app:app --port 8000",
            ),
            ("python3 app.py", "python3.11 app.py"),
            ("target/debug/api", "/work/target/debug/api --verbose"),
            ("postgres -D data", "postgres: checkpointer data"),
            ("node server.js", "/usr/bin/node server.js"),
            ("npm start", "node server.js"),
            ("python3 -m http.server 8000", "python3 -m http.server 8000"),
        ] {
            assert!(like(command, "/", line, "/"), "{command}: {line}");
        }
    }

    #[test]
    fn one_that_shares_nothing_with_it_is_not() {
        for (command, line) in [
            ("python3 app.py", "python3 -m http.server 8000"),
            ("uvicorn app:app", "nginx: master process nginx"),
            ("/usr/bin/redis-server", "valkey-server *:6379"),
        ] {
            assert!(!like(command, "/", line, "/"), "{command}: {line}");
        }
        assert!(!like("npm start", "/", "nginx: master process", "/tmp"));
    }

    #[test]
    fn a_runner_is_told_by_where_it_runs_as_well() {
        let here = tempfile::tempdir().unwrap();
        let place = std::fs::canonicalize(here.path()).unwrap();
        std::fs::create_dir(place.join("below")).unwrap();
        let above = place.parent().unwrap().to_str().unwrap();
        let place = place.to_str().unwrap();
        let below = format!("{place}/below");
        for (command, line, cwd, expected) in [
            ("python3 app.py", "python3 app.py", place, true),
            ("python3 app.py", "python3 app.py", &below, true),
            ("python3 app.py", "python3 app.py", above, true),
            ("python3 app.py", "python3 app.py", "/", true),
            ("python3 app.py", "python3 app.py", "/usr", false),
            (
                "uvicorn app:app",
                "/v/bin/python3.11 /v/bin/uvicorn app:app",
                "/usr",
                false,
            ),
            (
                "/v/bin/uvicorn app:app",
                "/v/bin/python3 /v/bin/uvicorn app:app",
                "/usr",
                true,
            ),
            ("node server.js", "node server.js", "/usr", false),
            ("npm start", "node server.js", "/usr", false),
            // What is no runner goes where it likes.
            (
                "redis-server redis.conf",
                "redis-server *:6379",
                "/var/lib/redis",
                true,
            ),
        ] {
            let found = like(command, place, line, cwd);
            assert_eq!(found, expected, "{command}: {line}: {cwd}");
        }
    }

    #[test]
    fn where_the_files_can_be_seen_they_tell() {
        let root = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(root.path()).unwrap();
        for path in ["shop/server/app.py", "shop/app.py", "other/app.py"] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let ours = root.join("shop/server");
        for (line, cwd, expected) in [
            ("python3 server/app.py", "shop", true),
            ("python3 app.py", "shop/server", true),
            ("python3 ../shop/server/app.py", "other", true),
            ("python3 app.py", "shop", false),
            ("python3 app.py", "other", false),
        ] {
            let cwd = root.join(cwd);
            let found = like(
                "python3 app.py",
                ours.to_str().unwrap(),
                line,
                cwd.to_str().unwrap(),
            );
            assert_eq!(found, expected, "{line} in {}", cwd.display());
        }
    }
}
