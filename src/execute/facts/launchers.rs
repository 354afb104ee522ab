//! Programs that run another one: which of them give way to it, and what they run.

use std::path::{Path, PathBuf};

/// Shells: `sh -c 'COMMAND'` gives way to a plain command, and a script of theirs may end in `exec`.
pub(super) const SHELLS: &[&str] = &["ash", "bash", "busybox", "dash", "ksh", "sh", "zsh"];

/// Programs that start others below them, or have something else start them, so that nothing can be compared with what listens.
const STARTERS: &[&str] = &[
    "ant",
    "bun",
    "bundle",
    "cargo",
    "deno",
    "docker",
    "docker-compose",
    "dotnet",
    "go",
    "gradle",
    "gradlew",
    "just",
    "make",
    "mvn",
    "mvnw",
    "nix",
    "npm",
    "npx",
    "pipenv",
    "pm2",
    "pnpm",
    "podman",
    "poetry",
    "rake",
    "sbt",
    "service",
    "supervisord",
    "systemctl",
    "systemd-run",
    "task",
    "uv",
    "yarn",
];

/// Interpreters: the program is the code that they run. Their endings (`python3.11`) do not matter.
const INTERPRETERS: &[&str] = &[
    "bun", "deno", "java", "julia", "lua", "luajit", "node", "nodejs", "perl", "php", "pypy",
    "python", "ruby",
];

/// Launchers, each with the words that follow it and its options that take a value.
const LAUNCHERS: &[(&str, &[&str], &str)] = &[
    ("env", &[], "-u --unset -C --chdir"),
    ("nice", &[], "-n --adjustment"),
    ("nohup", &[], ""),
    ("setsid", &[], ""),
    ("ionice", &[], "-c --class -n --classdata"),
    ("stdbuf", &[], "-i --input -o --output -e --error"),
    (
        "sudo",
        &[],
        "-u --user -g --group -h --host -p --prompt -C -r -t -T -U -D --chdir -R",
    ),
    ("doas", &[], "-u -C"),
    (
        "uv",
        &["run"],
        "--with --with-editable --with-requirements -p --python --project --directory --extra --group --only-group \
         --no-group --env-file --index --default-index --index-url --extra-index-url --find-links --package -n --cache-dir \
         --config-file --color",
    ),
    ("poetry", &["run"], "-C --directory -P --project"),
    ("pipenv", &["run"], "--python"),
    ("pdm", &["run"], "-p --project"),
    ("rye", &["run"], "--pyproject"),
    ("bundle", &["exec"], "--gemfile"),
    ("npx", &[], "-p --package -w --workspace"),
    ("npm", &["exec"], "-p --package -w --workspace"),
    ("pnpm", &["exec"], "-C --dir --filter"),
];

/// Returns the part behind the last `/`.
pub(super) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns whether the name of the program, without the version at its end, is one of these.
fn is_one_of(names: &[&str], program: &str) -> bool {
    let name = last(program).trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    names.contains(&name) || names.contains(&last(program))
}

/// Returns whether the program is a shell.
pub(crate) fn is_shell(program: &str) -> bool {
    is_one_of(SHELLS, program)
}

pub(super) fn is_interpreter(program: &str) -> bool {
    is_one_of(INTERPRETERS, program)
}

/// Returns whether what listens need not be this program, nor any that can be told from the command.
pub(super) fn starts_others(words: &[String]) -> bool {
    words
        .first()
        .is_some_and(|program| is_one_of(STARTERS, program) || is_shell(program))
}

/// Returns what the launcher at the beginning of a command runs in its own place; `None` where there is no such launcher.
pub(super) fn launched(words: &[String]) -> Option<Vec<String>> {
    let program = last(words.first()?);
    if is_shell(program) {
        return by_shell(words);
    }
    let (name, subcommand, with_value) = LAUNCHERS.iter().find(|(name, ..)| *name == program)?;
    let takes_value = |word: &str| with_value.split(' ').any(|known| known == word);
    let mut rest = words.get(1..)?;
    let mut expected = subcommand.iter();
    let mut next = expected.next();
    let mut is_module = false;
    loop {
        let word = rest.first()?.as_str();
        if word == "--" {
            rest = &rest[1..];
            break;
        }
        if *name == "uv" && next.is_none() && matches!(word, "-m" | "--module") {
            is_module = true;
            rest = &rest[1..];
            break;
        }
        if *name == "env" && matches!(word, "-S" | "--split-string") {
            let mut split = shlex::split(rest.get(1)?)?;
            split.extend_from_slice(rest.get(2..)?);
            return Some(without_assignments(&split).to_vec());
        }
        if word.starts_with('-') && word.len() > 1 {
            let count = if takes_value(word) { 2 } else { 1 };
            rest = rest.get(count..)?;
            continue;
        }
        match next {
            Some(wanted) if word == *wanted => {
                next = expected.next();
                rest = &rest[1..];
            }
            Some(_) => return None,
            None => break,
        }
    }
    if next.is_some() {
        return None;
    }
    if matches!(*name, "env" | "sudo" | "doas") {
        rest = without_assignments(rest);
    }
    let first = rest.first()?;
    let ends_in_py = Path::new(first).extension().is_some_and(|it| it == "py");
    let before: &[&str] = match *name {
        "uv" if is_module => &["python", "-m"],
        "uv" if ends_in_py => &["python"],
        _ => &[],
    };
    let before = before.iter().map(|word| (*word).to_owned());
    Some(before.chain(rest.iter().cloned()).collect())
}

/// Returns the words behind the variables that are set for a command.
fn without_assignments(words: &[String]) -> &[String] {
    let is_assignment = |word: &String| {
        word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
    };
    let count = words.iter().take_while(|word| is_assignment(word)).count();
    &words[count..]
}

/// Returns the words of `sh -c 'COMMAND'`, where that is one plain command, to which shells give way.
fn by_shell(words: &[String]) -> Option<Vec<String>> {
    let [_, flag, script] = words else {
        return None;
    };
    let is_plain = !script.contains(|c: char| "|&;<>()$`*?[]{}~#!\n".contains(c));
    if flag != "-c" || !is_plain {
        return None;
    }
    let words = shlex::split(script)?;
    let words = without_assignments(&words);
    let words = match words {
        [first, rest @ ..] if first == "exec" => rest,
        words => words,
    };
    (!words.is_empty()).then(|| words.to_vec())
}

/// Returns the script that npm, pnpm or yarn are told to run, with the file that declares it.
pub(super) fn package_script(words: &[String], cwd: &Path) -> Option<(String, PathBuf)> {
    let program = last(words.first()?);
    if !matches!(program, "npm" | "pnpm" | "yarn" | "bun") {
        return None;
    }
    let mut place = cwd.to_owned();
    let mut rest = words[1..].iter();
    let mut names = Vec::new();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--" => break,
            "--prefix" | "-C" | "--dir" | "--cwd" => place = cwd.join(rest.next()?),
            "-w" | "--workspace" | "--filter" | "-F" => return None,
            flag if flag.starts_with('-') => {}
            name => names.push(name),
        }
    }
    let name = match names.as_slice() {
        ["run" | "run-script", name, ..] => *name,
        ["start" | "test" | "restart", ..] => names[0],
        // The others take the name of a script for a command of their own.
        [name, ..] if program != "npm" => *name,
        _ => return None,
    };
    Some((name.to_owned(), place.join("package.json")))
}

/// Returns the words that `cargo run` hands on; `None` where the command is another one.
pub(super) fn cargo_run(words: &[String]) -> Option<&[String]> {
    let (program, rest) = words.split_first()?;
    let run = rest.iter().position(|word| word == "run" || word == "r")?;
    if last(program) != "cargo" || !rest[..run].iter().all(|word| word.starts_with(['-', '+'])) {
        return None;
    }
    let rest = &rest[run + 1..];
    let handed = rest.iter().position(|word| word == "--");
    Some(handed.map_or(&[], |at| &rest[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        shlex::split(text).unwrap()
    }

    #[test]
    fn launchers_give_way_to_what_they_run() {
        for (command, expected) in [
            ("env A=1 python3 srv.py 80", Some("python3 srv.py 80")),
            ("env -i -u B A=1 B=2 ./api", Some("./api")),
            ("env -C /srv ./api", Some("./api")),
            ("env -S 'A=1 node x.js' 80", Some("node x.js 80")),
            ("/usr/bin/env python3 x.py", Some("python3 x.py")),
            ("env", None),
            ("nice -n 5 ./api --x", Some("./api --x")),
            ("nice ./api", Some("./api")),
            ("nohup ./api", Some("./api")),
            ("setsid -w ./api", Some("./api")),
            (
                "sudo -u postgres A=1 postgres -D data",
                Some("postgres -D data"),
            ),
            ("sudo -n -E -- ./api -v", Some("./api -v")),
            ("uv run app.py --port 1", Some("python app.py --port 1")),
            ("uv run uvicorn app:app", Some("uvicorn app:app")),
            (
                "uv --quiet run --with x --python 3.12 -- flask run",
                Some("flask run"),
            ),
            ("uv run -m http.server 80", Some("python -m http.server 80")),
            ("uv sync", None),
            ("poetry run python srv.py", Some("python srv.py")),
            ("poetry -C app run flask run", Some("flask run")),
            ("poetry install", None),
            ("npx nodemon --quiet n.js", Some("nodemon --quiet n.js")),
            ("npx -y -p nodemon nodemon n.js", Some("nodemon n.js")),
            ("npm exec -- nodemon n.js", Some("nodemon n.js")),
            ("npm run dev", None),
            ("bundle exec puma -p 80", Some("puma -p 80")),
            ("stdbuf -oL -eL ./api", Some("./api")),
            ("sh -c 'python3 x.py 80'", Some("python3 x.py 80")),
            ("bash -c 'A=1 exec ./api'", Some("./api")),
            ("sh -c 'cd x && ./api'", None),
            ("sh -c './api &'", None),
            ("sh -c '$API'", None),
            ("sh run.sh", None),
            ("python3 x.py", None),
            ("envoy -c x", None),
        ] {
            let found = launched(&words(command));
            assert_eq!(found, expected.map(words), "{command}");
        }
    }

    #[test]
    fn package_managers_name_a_script() {
        for (command, expected) in [
            ("npm run dev", Some(("dev", "/srv/package.json"))),
            (
                "npm --silent run-script dev -- --port 1",
                Some(("dev", "/srv/package.json")),
            ),
            ("npm start", Some(("start", "/srv/package.json"))),
            (
                "npm run dev --prefix web",
                Some(("dev", "/srv/web/package.json")),
            ),
            ("pnpm dev", Some(("dev", "/srv/package.json"))),
            (
                "pnpm -C web run dev",
                Some(("dev", "/srv/web/package.json")),
            ),
            ("yarn dev", Some(("dev", "/srv/package.json"))),
            ("yarn run dev", Some(("dev", "/srv/package.json"))),
            ("npm run dev -w web", None),
            ("npm install", None),
            ("node dev", None),
        ] {
            let found = package_script(&words(command), Path::new("/srv"));
            let expected = expected.map(|(name, file)| (name.to_owned(), PathBuf::from(file)));
            assert_eq!(found, expected, "{command}");
        }
    }

    #[test]
    fn cargo_hands_on_what_follows() {
        for (command, expected) in [
            ("cargo run", Some("")),
            ("cargo run --release -- --port 1", Some("--port 1")),
            ("cargo +nightly run -p api -- 80", Some("80")),
            ("cargo build", None),
            ("go run .", None),
        ] {
            let command = words(command);
            let found = cargo_run(&command).map(<[String]>::to_vec);
            assert_eq!(found, expected.map(words), "{command:?}");
        }
    }
}
