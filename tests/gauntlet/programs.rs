//! The programs: how each is started, and what is expected of every step.
//!
//! An expectation lists the results in order: a state with its flags, or a verdict. What the course notes besides (a process
//! that is left over, a stranger that was touched) is never expected.

use crate::course::Course;

/// A program as its newcomers run it.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// The files of its project, by path.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// A line for a shell that makes what the program needs once.
    pub(crate) prepare: Option<&'static str>,
    /// The folder in which it is started.
    pub(crate) cwd: &'static str,
    /// `start.command`, as in the inventory.
    pub(crate) command: &'static str,
    /// Further keys of its entry.
    pub(crate) keys: &'static str,
    /// The same command as it is typed.
    pub(crate) by_hand: &'static str,
    /// A source and its edited text.
    pub(crate) edit: Option<(&'static str, &'static str)>,
    /// The program reads its sources again by itself.
    pub(crate) reloads: bool,
    /// The file that holds its pid.
    pub(crate) pid_file: Option<&'static str>,
    /// Its workers end by themselves once the main process has gone.
    pub(crate) workers_follow: bool,
}

const PLAIN: Program = Program {
    name: "",
    files: &[],
    prepare: None,
    cwd: "app",
    command: "",
    keys: "",
    by_hand: "",
    edit: None,
    reloads: false,
    pid_file: None,
    workers_follow: false,
};

/// A route at `/health`, and Python sources.
const PYTHON_KEYS: &str = "    url: http://127.0.0.1:{port}\n    probes: {live: {http: /health}}\n    sources: [\"app/*.py\"]\n";
const NODE_KEYS: &str = "    url: http://127.0.0.1:{port}\n    probes: {live: {http: /health}}\n    sources: [\"app/*.js\"]\n";

macro_rules! asgi {
    ($word:literal) => {
        concat!(
            "WORD = b'",
            $word,
            "'\n\n\nasync def app(scope, receive, send):\n    assert scope['type'] == 'http'\n    \
             await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-type', b'text/plain')]})\n    \
             await send({'type': 'http.response.body', 'body': WORD})\n"
        )
    };
}

macro_rules! wsgi {
    ($word:literal) => {
        concat!(
            "def app(environ, start_response):\n    start_response('200 OK', [('Content-Type', 'text/plain')])\n    return [b'",
            $word,
            "']\n"
        )
    };
}

macro_rules! flask {
    ($word:literal) => {
        concat!(
            "from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get('/health')\ndef health():\n    return '",
            $word,
            "'\n"
        )
    };
}

macro_rules! express {
    ($word:literal) => {
        concat!(
            "const express = require('express');\nconst app = express();\napp.get('/health', (_, reply) => reply.send('",
            $word,
            "'));\napp.listen({port}, '127.0.0.1');\n"
        )
    };
}

/// A server of Python's own library.
macro_rules! server {
    ($word:literal) => {
        concat!(
            "import http.server\n\n\nclass Handler(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n        \
             self.send_response(200)\n        self.end_headers()\n        self.wfile.write(b'",
            $word,
            "')\n\n    def log_message(self, *_):\n        pass\n\n\n\
             http.server.ThreadingHTTPServer(('127.0.0.1', {port}), Handler).serve_forever()\n"
        )
    };
}

macro_rules! go {
    ($word:literal) => {
        concat!(
            "package main\n\nimport (\n\t\"io\"\n\t\"net/http\"\n)\n\nfunc main() {\n\t\
             http.HandleFunc(\"/health\", func(w http.ResponseWriter, _ *http.Request) {\n\t\tio.WriteString(w, \"",
            $word,
            "\")\n\t})\n\tpanic(http.ListenAndServe(\"127.0.0.1:{port}\", nil))\n}\n"
        )
    };
}

/// Declares the programs, and two tests of each: what is expected of one that healthctl started, and of one that was
/// started by hand.
macro_rules! programs {
    ($($module:ident: $program:expr, started $started:literal, by hand $by_hand:literal;)+) => {
        $(mod $module {
            use super::*;

            static PROGRAM: Program = $program;

            #[test]
            #[ignore = "needs programs under target/gauntlet"]
            fn started_by_healthctl() {
                Course::new(&PROGRAM).started_by_healthctl($started);
            }

            #[test]
            #[ignore = "needs programs under target/gauntlet"]
            fn started_by_hand() {
                Course::new(&PROGRAM).started_by_hand($by_hand);
            }
        })+
    };
}

programs! {
    uvicorn: Program {
        name: "uvicorn",
        files: &[("app/app.py", asgi!("first"))],
        command: "[uvicorn, \"app:app\", --port, \"{port}\"]",
        keys: PYTHON_KEYS,
        by_hand: "uvicorn app:app --port {port}",
        edit: Some(("app/app.py", asgi!("edited"))),
        ..PLAIN
    },
    started "started; healthy; edited: healthy stale; restarted; keeper killed; healthy; restarted; service killed; unhealthy; started; stopped",
    by hand "healthy; edited: healthy stale; restarted; stopped; again by hand; service killed; stopped; started; stopped";

    uvicorn_reload: Program {
        name: "reloading",
        files: &[("app/app.py", asgi!("first"))],
        command: "[uvicorn, \"app:app\", --reload, --port, \"{port}\"]",
        keys: PYTHON_KEYS,
        by_hand: "uvicorn app:app --reload --port {port}",
        edit: Some(("app/app.py", asgi!("edited"))),
        reloads: true,
        ..PLAIN
    },
    started "started; healthy; edited: healthy; restarted; keeper killed; healthy; restarted; service killed; healthy; already-running; stopped",
    by hand "healthy; edited: healthy; restarted; stopped; again by hand; service killed; healthy; already-running; refused";

    uvicorn_workers: Program {
        name: "workers",
        files: &[("app/app.py", asgi!("first"))],
        command: "[uvicorn, \"app:app\", --workers, \"2\", --port, \"{port}\"]",
        keys: PYTHON_KEYS,
        by_hand: "uvicorn app:app --workers 2 --port {port}",
        edit: Some(("app/app.py", asgi!("edited"))),
        ..PLAIN
    },
    started "started; healthy; edited: healthy stale; restarted; keeper killed; healthy; restarted; service killed; healthy; already-running; stopped",
    by hand "healthy; edited: healthy stale; restarted; stopped; again by hand; service killed; healthy; already-running; refused";

    gunicorn: Program {
        name: "gunicorn",
        files: &[("app/wsgi.py", wsgi!("first"))],
        command: "[gunicorn, -b, \"127.0.0.1:{port}\", \"wsgi:app\"]",
        keys: PYTHON_KEYS,
        by_hand: "gunicorn -b 127.0.0.1:{port} wsgi:app",
        edit: Some(("app/wsgi.py", wsgi!("edited"))),
        workers_follow: true,
        ..PLAIN
    },
    started "started; healthy; edited: healthy stale; restarted; keeper killed; healthy; restarted; service killed; unhealthy; started; stopped",
    by hand "healthy; edited: healthy stale; restarted; stopped; again by hand; service killed; stopped; started; stopped";

    flask: Program {
        name: "flask",
        files: &[("app/app.py", flask!("first"))],
        command: "[flask, run, --port, \"{port}\"]",
        keys: PYTHON_KEYS,
        by_hand: "flask run --port {port}",
        edit: Some(("app/app.py", flask!("edited"))),
        ..PLAIN
    },
    started "started; healthy; edited: healthy stale; restarted; keeper killed; healthy; restarted; service killed; unhealthy; started; stopped",
    by hand "healthy; edited: healthy stale; restarted; stopped; again by hand; service killed; stopped; started; stopped";

    express: Program {
        name: "express",
        files: &[
            ("app/server.js", express!("first")),
            ("app/package.json", "{\"name\": \"shop\", \"scripts\": {\"start\": \"node server.js\"}}"),
        ],
        command: "[npm, start]",
        keys: NODE_KEYS,
        by_hand: "npm start",
        edit: Some(("app/server.js", express!("edited"))),
        ..PLAIN
    },
    started "started; healthy; edited: healthy stale; restarted; keeper killed; healthy; restarted; service killed; healthy; already-running; stopped",
    by hand "healthy; edited: healthy stale; restarted; stopped; again by hand; service killed; healthy; already-running; stopped";

    nodemon: Program {
        name: "nodemon",
        files: &[("app/server.js", express!("first"))],
        command: "[npx, nodemon, server.js]",
        keys: NODE_KEYS,
        by_hand: "npx nodemon server.js",
        edit: Some(("app/server.js", express!("edited"))),
        reloads: true,
        ..PLAIN
    },
    started "started; healthy; edited: healthy; restarted; keeper killed; healthy; restarted; service killed; healthy; already-running; stopped",
    by hand "healthy; edited: healthy; restarted; stopped; again by hand; service killed; healthy; already-running; stopped";

    honcho: Program {
        name: "honcho",
        files: &[("app/server.py", server!("first")), ("app/Procfile", "web: python server.py\n")],
        command: "[honcho, start]",
        keys: PYTHON_KEYS,
        by_hand: "honcho start",
        edit: Some(("app/server.py", server!("edited"))),
        ..PLAIN
    },
    started "started; healthy; edited: healthy stale; restarted; keeper killed; healthy; restarted; service killed; healthy; already-running; stopped",
    by hand "healthy; edited: healthy stale; restarted; stopped; again by hand; service killed; healthy; already-running; stopped";

    uv_run: Program {
        name: "uv",
        files: &[("app/server.py", server!("first"))],
        command: "[uv, run, --no-project, python, server.py]",
        keys: PYTHON_KEYS,
        by_hand: "uv run --no-project python server.py",
        edit: Some(("app/server.py", server!("edited"))),
        ..PLAIN
    },
    started "started; healthy; edited: healthy stale; restarted; keeper killed; healthy; restarted; service killed; healthy; already-running; stopped",
    by hand "healthy; edited: healthy stale; restarted; stopped; again by hand; service killed; healthy; already-running; stopped";

    go_run: Program {
        name: "go",
        files: &[("app/main.go", go!("first")), ("app/go.mod", "module shop\n\ngo 1.21\n")],
        command: "[go, run, .]",
        keys: "    url: http://127.0.0.1:{port}\n    probes: {live: {http: /health}}\n    sources: [\"app/*.go\"]\n",
        by_hand: "go run .",
        edit: Some(("app/main.go", go!("edited"))),
        // The compiler is not what is tested.
        prepare: Some("go build -o /dev/null ."),
        ..PLAIN
    },
    started "started; healthy; edited: healthy stale; restarted; keeper killed; healthy; restarted; service killed; healthy; already-running; stopped",
    by hand "healthy; edited: healthy stale; restarted; stopped; again by hand; service killed; healthy; already-running; refused";

    script_that_leaves_it_in_the_background: Program {
        name: "script",
        files: &[("app/server.py", server!("first")), ("app/run.sh", "python server.py &\n")],
        command: "[sh, run.sh]",
        keys: PYTHON_KEYS,
        by_hand: "sh run.sh",
        edit: Some(("app/server.py", server!("edited"))),
        ..PLAIN
    },
    started "started; healthy; edited: healthy stale; restarted; keeper killed; healthy; restarted; service killed; unhealthy; started; stopped",
    by hand "healthy; edited: healthy stale; refused; refused";

    daemon: Program {
        name: "daemon",
        files: &[("app/wsgi.py", wsgi!("first"))],
        command: "[gunicorn, --daemon, --pid, ../run/app.pid, -b, \"127.0.0.1:{port}\", \"wsgi:app\"]",
        keys: "    url: http://127.0.0.1:{port}\n    probes: {live: {http: /health}}\n    sources: [\"app/*.py\"]\n    pid_file: run/app.pid\n",
        by_hand: "gunicorn --daemon --pid ../run/app.pid -b 127.0.0.1:{port} wsgi:app",
        edit: Some(("app/wsgi.py", wsgi!("edited"))),
        pid_file: Some("run/app.pid"),
        workers_follow: true,
        ..PLAIN
    },
    started "started; healthy; edited: healthy stale; restarted; keeper killed; healthy; restarted; service killed; unhealthy; started; stopped",
    by hand "healthy; edited: healthy stale; restarted; stopped; again by hand; service killed; stopped; started; stopped";

    postgres: Program {
        name: "postgres",
        prepare: Some(
            "if [ $(id -u) = 0 ]; then chown postgres . && chmod 755 {here} && \
             setpriv --reuid=postgres --regid=postgres --clear-groups {postgres}/initdb -D data --auth=trust -U health --no-sync; \
             else {postgres}/initdb -D data --auth=trust -U health --no-sync; fi > /dev/null",
        ),
        files: &[
            ("app/.keep", ""),
            (
                "serve.sh",
                "if [ $(id -u) = 0 ]; then exec setpriv --reuid=postgres --regid=postgres --clear-groups \"$@\"; else exec \"$@\"; fi\n",
            ),
        ],
        command: "[sh, ../serve.sh, \"{postgres}/postgres\", -D, data, -k, \"\", -p, \"{port}\", -c, \"listen_addresses=127.0.0.1\"]",
        keys: "    pid_file: app/data/postmaster.pid\n    probes:\n      live: {tcp: \"127.0.0.1:{port}\"}\n      ready: {exec: [pg_isready, -h, 127.0.0.1, -p, \"{port}\"]}\n",
        by_hand: "sh ../serve.sh {postgres}/postgres -D data -k '' -p {port} -c listen_addresses=127.0.0.1",
        pid_file: Some("app/data/postmaster.pid"),
        workers_follow: true,
        ..PLAIN
    },
    started "started; healthy; restarted; keeper killed; healthy; restarted; service killed; unhealthy; started; stopped",
    by hand "healthy; restarted; stopped; again by hand; service killed; stopped; started; stopped";

    redis: Program {
        name: "redis",
        files: &[("app/.keep", "")],
        command: "[redis-server, --bind, 127.0.0.1, --port, \"{port}\", --save, \"\"]",
        keys: "    probes:\n      live: {tcp: \"127.0.0.1:{port}\"}\n      ready: {exec: [redis-cli, -e, -p, \"{port}\", ping]}\n",
        by_hand: "redis-server --bind 127.0.0.1 --port {port} --save ''",
        ..PLAIN
    },
    started "started; healthy; restarted; keeper killed; healthy; restarted; service killed; unhealthy; started; stopped",
    by hand "healthy; restarted; stopped; again by hand; service killed; stopped; started; stopped";

    nginx: Program {
        name: "nginx",
        files: &[(
            "app/nginx.conf",
            "pid ../run/nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n  access_log off;\n  client_body_temp_path ../run;\n  \
             proxy_temp_path ../run;\n  fastcgi_temp_path ../run;\n  uwsgi_temp_path ../run;\n  scgi_temp_path ../run;\n  \
             server {\n    listen 127.0.0.1:{port};\n    location /health { return 200 first; }\n  }\n}\n",
        )],
        command: "[nginx, -p, \"{here}/app\", -c, nginx.conf, -g, \"daemon off;\"]",
        keys: "    url: http://127.0.0.1:{port}\n    probes: {live: {http: /health}}\n    pid_file: run/nginx.pid\n",
        by_hand: "nginx -p {here}/app -c nginx.conf -g 'daemon off;'",
        ..PLAIN
    },
    started "started; healthy; restarted; keeper killed; healthy; restarted; service killed; healthy; already-running; stopped",
    by hand "healthy; restarted; stopped; again by hand; service killed; healthy; already-running; stopped";

    prometheus: Program {
        name: "prometheus",
        files: &[("app/prometheus.yml", "scrape_configs: []\n")],
        command: "[prometheus, --config.file=prometheus.yml, \"--web.listen-address=127.0.0.1:{port}\", --storage.tsdb.path=data]",
        keys: "    profile: prometheus\n    url: http://127.0.0.1:{port}\n",
        by_hand: "prometheus --config.file=prometheus.yml --web.listen-address=127.0.0.1:{port} --storage.tsdb.path=data",
        ..PLAIN
    },
    started "started; healthy; restarted; keeper killed; healthy; restarted; service killed; unhealthy; started; stopped",
    by hand "healthy; restarted; stopped; again by hand; service killed; stopped; started; stopped";

    spring_boot: Program {
        name: "boot",
        files: &[("app/.keep", "")],
        prepare: Some("cp {tools}/boot.jar boot.jar"),
        command: "[java, -jar, boot.jar, \"--server.port={port}\", --server.address=127.0.0.1]",
        keys: "    profile: spring-boot\n    url: http://127.0.0.1:{port}\n    sources: [app/boot.jar]\n",
        by_hand: "java -jar boot.jar --server.port={port} --server.address=127.0.0.1",
        ..PLAIN
    },
    started "started; healthy; restarted; keeper killed; healthy; restarted; service killed; unhealthy; started; stopped",
    by hand "healthy; restarted; stopped; again by hand; service killed; stopped; started; stopped";
}

mod supervisord {
    use super::*;

    static PROGRAM: Program = Program {
        name: "web",
        files: &[
            (
                "app/web.py",
                concat!(
                    "import os\n\nopen('../run/web.pid', 'w').write(str(os.getpid()))\n",
                    server!("first")
                ),
            ),
            (
                "app/supervisord.conf",
                "[unix_http_server]\nfile=../run/supervisor.sock\n\n[supervisord]\npidfile=../run/supervisord.pid\n\
                 logfile=../logs/supervisord.log\n\n[rpcinterface:supervisor]\n\
                 supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\n\
                 [supervisorctl]\nserverurl=unix://../run/supervisor.sock\n\n\
                 [program:web]\ncommand=python web.py\nautostart=false\nautorestart=true\nstartsecs=0\n",
            ),
        ],
        prepare: Some("supervisord -c supervisord.conf"),
        command: "[supervisorctl, -c, supervisord.conf, start, web]",
        keys: concat!(
            "    url: http://127.0.0.1:{port}\n    probes: {live: {http: /health}}\n    supervised: true\n    ",
            "actions:\n      shutdown: {exec: [supervisorctl, -c, supervisord.conf, stop, web], cwd: app}\n      ",
            "restart: {exec: [supervisorctl, -c, supervisord.conf, restart, web], cwd: app}\n"
        ),
        pid_file: Some("run/web.pid"),
        ..PLAIN
    };

    #[test]
    #[ignore = "needs programs under target/gauntlet"]
    fn supervised() {
        Course::new(&PROGRAM).supervised(
            "run/supervisord.pid",
            "started; healthy; restarted; service killed; healthy; stopped",
        );
    }
}
