use super::*;

/// The files of the cases: a path, the file behind it, the words behind `#!`.
const FILES: &[(&str, &str, &str)] = &[
    ("/usr/bin/python3", "/usr/bin/python3.11", ""),
    ("/srv/.venv/bin/python", "/usr/bin/python3.11", ""),
    ("/usr/bin/uvicorn", "/usr/bin/uvicorn", "/usr/bin/python3"),
    ("/usr/bin/flask", "/usr/bin/flask", "/usr/bin/env python3"),
    ("/usr/bin/gunicorn", "/usr/bin/gunicorn", "/usr/bin/python3"),
    ("/usr/bin/honcho", "/usr/bin/honcho", "/usr/bin/python3"),
    ("/usr/bin/node", "/usr/bin/node", ""),
    ("/usr/bin/npm", "/usr/lib/npm-cli.js", "/usr/bin/env node"),
    (
        "/srv/node_modules/.bin/nodemon",
        "/srv/node_modules/nodemon/bin.js",
        "/usr/bin/env node",
    ),
    (
        "/usr/bin/ruby",
        "/home/dev/.rbenv/shims/ruby",
        "/usr/bin/env bash",
    ),
    (
        "/usr/bin/puma",
        "/home/dev/.rbenv/shims/puma",
        "/usr/bin/env bash",
    ),
    ("/srv/run.sh", "/srv/run.sh", "/bin/sh"),
    ("/srv/stay.sh", "/srv/stay.sh", "/bin/bash -e"),
    ("/srv/app.py", "/srv/app.py", "/usr/bin/env -S python3 -u"),
    ("/srv/plain.py", "/srv/plain.py", ""),
    ("/usr/bin/redis-server", "/usr/bin/redis-check-rdb", ""),
    ("/usr/sbin/nginx", "/usr/sbin/nginx", ""),
    ("/srv/api", "/srv/api", ""),
    ("/srv/Cargo.toml", "/srv/Cargo.toml", ""),
    ("/srv/package.json", "/srv/package.json", ""),
];

fn lookup(path: &Path) -> Option<FileHead> {
    let clean: PathBuf = path.components().collect();
    let found = FILES.iter().find(|(name, ..)| clean == Path::new(name))?;
    let words: Vec<String> = found.2.split_whitespace().map(str::to_owned).collect();
    Some(FileHead {
        path: found.1.into(),
        interpreter: (!words.is_empty()).then_some(words),
    })
}

/// A process: its words between `|`, `@` its directory, `=` its executable, `!SCRIPT` of the package in `/srv`.
fn process(text: &str) -> ProcessLine {
    let mut line = ProcessLine {
        cwd: Some("/srv".into()),
        ..ProcessLine::default()
    };
    for part in text.split("  ") {
        match part.split_at(1) {
            ("@", "") => line.cwd = None,
            ("@", cwd) => line.cwd = Some(cwd.into()),
            ("=", file) => line.executable = Some(file.into()),
            ("!", event) => {
                line.script = Some((event.to_owned(), "/srv/package.json".into()));
            }
            _ if part.contains('|') => {
                let words = part.split('|').map(str::to_owned);
                line.words = words.collect();
                line.words.pop();
            }
            _ => line.words = part.split(' ').map(str::to_owned).collect(),
        }
    }
    line
}

fn found(command: &str, line: &str, owns: bool) -> &'static str {
    let start = StartLine {
        words: shlex::split(command).unwrap(),
        cwd: "/srv".into(),
        path: vec!["/usr/bin".into(), "/usr/sbin".into()],
        env: BTreeMap::new(),
    };
    match compare(&start, &process(line), owns, &lookup) {
        CommandMatch::Runs => "runs",
        CommandMatch::Differs(what) => what,
        CommandMatch::Unclear(_) => "unclear",
    }
}

#[track_caller]
fn check(cases: &[(&str, &str, &str)]) {
    for (command, line, expected) in cases {
        assert_eq!(found(command, line, true), *expected, "{command}: {line}");
    }
}

#[test]
fn the_whole_command_word_for_word() {
    check(&[
        (
            "python3 -m http.server 80",
            "python3 -m http.server 80",
            "runs",
        ),
        (
            "python3 -m http.server 80",
            "/home/dev/.pyenv/versions/3.11/bin/python3 -m http.server 80",
            "runs",
        ),
        ("/srv/api --port 80", "api --port 80", "runs"),
        (
            "api --port 80",
            "/usr/local/bin/api --port 80  =/usr/local/bin/api",
            "runs",
        ),
        (
            "python plain.py",
            "python3 plain.py  =/usr/bin/python3.11",
            "runs",
        ),
        ("make run", "make run", "runs"),
        ("go run . 80", "go run . 80", "runs"),
        ("sh -c 'cd x && ./api'", "sh|-c|cd x && ./api|", "runs"),
        ("npm run dev", "npm run dev|  =/usr/bin/node", "runs"),
        ("npm run dev", "npm run dev|||||  =/usr/bin/node", "runs"),
        ("npm run dev", "node /usr/bin/npm run dev", "runs"),
        ("npx nodemon n.js", "npm exec nodemon n.js|", "runs"),
        ("sudo -u x ./api 80", "sudo -u x ./api 80", "runs"),
        (
            "env A=1 python3 plain.py",
            "env A=1 python3 plain.py",
            "runs",
        ),
        ("redis-server --port 80", "redis-server --port 80", "runs"),
    ]);
}

#[test]
fn the_interpreter_of_a_script_is_taken_off() {
    check(&[
        (
            "uvicorn app:app",
            "/usr/bin/python3 /usr/bin/uvicorn app:app",
            "runs",
        ),
        (
            "flask --app app run",
            "python3 /usr/bin/flask --app app run",
            "runs",
        ),
        (
            "honcho start",
            "/usr/bin/python3 /usr/bin/honcho start",
            "runs",
        ),
        ("/srv/run.sh 80", "/bin/sh ./run.sh 80", "runs"),
        ("/srv/stay.sh 80", "/bin/bash -e /srv/stay.sh 80", "runs"),
        ("/srv/app.py 80", "python3 -u ./app.py 80", "runs"),
        // Who looks at a script, or runs it by other means, does not run it.
        ("/srv/run.sh 80", "vi ./run.sh 80", "unclear"),
        (
            "uvicorn app:app",
            "less /usr/bin/uvicorn app:app",
            "unclear",
        ),
        (
            "uvicorn app:app",
            "python3 -X dev /usr/bin/uvicorn app:app",
            "unclear",
        ),
    ]);
}

#[test]
fn launchers_that_give_way_are_taken_off() {
    check(&[
        ("env A=1 python3 srv.py 80", "python3 srv.py 80", "runs"),
        (
            "uv run uvicorn app:app",
            "/srv/.venv/bin/python3 /usr/bin/uvicorn app:app",
            "runs",
        ),
        ("uv run plain.py", "/srv/.venv/bin/python plain.py", "runs"),
        (
            "uv run plain.py",
            "python3 plain.py  =/usr/bin/python3.11",
            "runs",
        ),
        ("poetry run python3 srv.py", "python3 srv.py", "runs"),
        (
            "npx nodemon --quiet n.js",
            "node /srv/node_modules/.bin/nodemon --quiet n.js",
            "runs",
        ),
        ("nohup nice -n 5 ./api 80", "./api 80", "runs"),
        ("sudo -u x ./api 80", "./api 80", "runs"),
        (
            "sh -c 'exec python3 srv.py 80'",
            "python3 srv.py 80",
            "runs",
        ),
        // FIELD A1: no stranger of the same interpreter.
        (
            "env A=1 python3 srv.py 80",
            "python3 -m http.server 80  @/",
            "other arguments",
        ),
        (
            "uv run python3 srv.py 80",
            "python3 -m http.server 80  @/",
            "other arguments",
        ),
        (
            "poetry run python3 srv.py 80",
            "python3 -m http.server 80",
            "other arguments",
        ),
        (
            "npx nodemon n.js",
            "node n.js  =/usr/bin/node",
            "other arguments",
        ),
    ]);
}

#[test]
fn what_npm_and_cargo_start_is_known() {
    check(&[
        ("npm run dev", "node server.js  !dev", "runs"),
        ("npm start", "node server.js  !start", "runs"),
        ("pnpm dev", "node server.js  !dev", "runs"),
        ("npm run dev", "node server.js  !test", "unclear"),
        ("npm run dev", "node server.js", "unclear"),
        ("npm run dev", "node server.js  !dev  @/srv/web", "unclear"),
        (
            "cargo run",
            "target/debug/api|  =/srv/target/debug/api",
            "runs",
        ),
        (
            "cargo run -- 80",
            "target/debug/api 80  =/srv/target/debug/api",
            "runs",
        ),
        (
            "cargo run -- 80",
            "target/debug/api 81  =/srv/target/debug/api",
            "unclear",
        ),
        (
            "cargo run",
            "/other/target/api|  =/other/target/api",
            "unclear",
        ),
    ]);
}

#[test]
fn workers_with_the_same_command_are_told_apart_by_their_environment() {
    let start = |env: &[(&str, &str)]| StartLine {
        words: vec!["python3".to_owned(), "worker.py".to_owned()],
        cwd: "/srv".into(),
        path: Vec::new(),
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    };
    let queue = |name| ("QUEUE", name);
    for (own, other, environment, expected) in [
        (
            &[queue("mail")][..],
            Some(&[queue("pdf")][..]),
            &[queue("mail")][..],
            "runs",
        ),
        (
            &[queue("mail")],
            Some(&[queue("pdf")]),
            &[queue("pdf")],
            "another environment",
        ),
        (&[queue("mail")], Some(&[queue("pdf")]), &[], "unclear"),
        (
            &[queue("mail")],
            Some(&[queue("mail")]),
            &[queue("mail")],
            "unclear",
        ),
        (&[queue("mail")], Some(&[]), &[queue("mail")], "unclear"),
        (&[], Some(&[queue("pdf")]), &[queue("pdf")], "unclear"),
        (&[], Some(&[queue("pdf")]), &[], "runs"),
        (&[queue("mail")], None, &[], "runs"),
        (
            &[queue("mail")],
            None,
            &[queue("pdf")],
            "another environment",
        ),
    ] {
        let line = ProcessLine {
            environment: environment.into(),
            ..ProcessLine::default()
        };
        let other = other.map(start);
        let found = match start(own).compare_environment(&line, other.iter()) {
            CommandMatch::Runs => "runs",
            CommandMatch::Differs(what) => what,
            CommandMatch::Unclear(_) => "unclear",
        };
        assert_eq!(found, expected, "{own:?} {other:?} {environment:?}");
    }
}

#[test]
fn what_npm_and_cargo_start_proves_nothing_off_the_socket() {
    let script = found("npm run dev", "node server.js  !dev", false);
    assert_eq!(script, "unclear");
    let program = "target/debug/api|  =/srv/target/debug/api";
    assert_eq!(found("cargo run", program, false), "unclear");
}

#[test]
fn a_rewritten_title_is_told_by_its_program() {
    check(&[
        (
            "redis-server --port 80",
            "redis-server *:80|  =/usr/bin/redis-check-rdb",
            "runs",
        ),
        (
            "nginx -g 'daemon off;'",
            "nginx: master process nginx|  =/usr/sbin/nginx",
            "runs",
        ),
        (
            "gunicorn -b :80 app:app",
            "gunicorn: master [app:app]|  =/usr/bin/python3.11",
            "runs",
        ),
        (
            "nginx -g 'daemon off;'",
            "nginx: worker process|  =/usr/sbin/nginx  @/",
            "unclear",
        ),
        // A title of another name tells nothing; another program does.
        (
            "uvicorn app:app",
            "my-api: serving|  =/usr/bin/python3.11",
            "unclear",
        ),
        (
            "uvicorn app:app",
            "nginx: master process nginx|  =/usr/sbin/nginx",
            "another program",
        ),
        (
            "redis-server --port 80",
            "valkey-server *:80|  =/usr/bin/valkey",
            "another program",
        ),
    ]);
    let line = "redis-server *:80|  =/usr/bin/redis-check-rdb";
    let not_on_the_socket = found("redis-server --port 80", line, false);
    assert_eq!(not_on_the_socket, "unclear");
}

#[test]
fn another_program_other_arguments_another_directory() {
    check(&[
        ("python3 srv.py 80", "python3 srv.py 81", "other arguments"),
        (
            "python3 srv.py 80",
            "python3 srv.py 80 --x",
            "other arguments",
        ),
        (
            "python3 srv.py 80 --x",
            "python3 srv.py 80",
            "other arguments",
        ),
        (
            "python3 srv.py 80",
            "node srv.js  =/usr/bin/node",
            "another program",
        ),
        (
            "uvicorn app:app",
            "nginx -g x  =/usr/sbin/nginx",
            "another program",
        ),
        (
            "python3 srv.py",
            "python3 srv.py  @/other",
            "another directory",
        ),
        (
            "uvicorn app:app",
            "python3 /usr/bin/uvicorn app:app  @/other",
            "another directory",
        ),
        // A shim is no script that may start anything.
        ("ruby app.rb", "ruby other.rb", "other arguments"),
        ("puma -p 80", "python3 srv.py", "another program"),
        // A daemon changes its directory, and an absolute path means the same everywhere.
        ("python3 srv.py", "python3 srv.py  @/", "unclear"),
        (
            "redis-server x.conf",
            "redis-server x.conf  @/var/lib/redis",
            "unclear",
        ),
        (
            "python3 /srv/app.py",
            "python3 /srv/app.py  @/other",
            "unclear",
        ),
    ]);
}

#[test]
fn what_cannot_be_compared_is_no_stranger() {
    check(&[
        ("/srv/run.sh 80", "python3 -m http.server 80", "unclear"),
        ("make run", "node server.js", "unclear"),
        ("docker compose up -d", "docker-proxy -x", "unclear"),
        ("sh -c 'cd x && ./api'", "./api|", "unclear"),
        ("bash start.sh", "java -jar x.jar", "unclear"),
        ("python3 srv.py", "strace -f python3 srv.py", "unclear"),
        ("./api 80", "valgrind ./api 80", "unclear"),
        (
            "uvicorn app:app",
            "gdb --args /usr/bin/uvicorn app:app",
            "unclear",
        ),
        ("python3 srv.py", "python3 srv.py  @", "unclear"),
        ("python3 srv.py", "|", "unclear"),
        (
            "uvicorn app:app --workers 2",
            "python3|-c|from multiprocessing.spawn import spawn_main|  =/usr/bin/python3.11",
            "unclear",
        ),
    ]);
}

#[test]
fn heads_of_scripts_name_their_interpreter() {
    for (text, expected) in [
        ("#!/bin/sh\necho", Some("/bin/sh")),
        ("#! /usr/bin/env node\n", Some("/usr/bin/env node")),
        ("#!/bin/bash -e\n", Some("/bin/bash -e")),
        (
            "#!/bin/sh\n'''exec' /a/very/long/path/python3 \"$0\" \"$@\"\n",
            Some("/a/very/long/path/python3"),
        ),
        ("\u{7f}ELF", None),
        ("", None),
    ] {
        let words = interpreter(text).map(|words| words.join(" "));
        assert_eq!(words.as_deref(), expected, "{text:?}");
    }
}
