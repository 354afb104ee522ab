"""The mail room in Python, of the standard library alone: python3 mailroom.py [PORT]

The class Service is what you copy: health, status and shutdown routes, draining, clean-up, exit. What
follows it is the service itself, which takes letters into a folder.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Service:
    """What the health routes tell, and the order of a shutdown: drain, clean up, reply, exit."""

    def __init__(self, name, version, drain_timeout=30.0):
        self.name, self.version, self.drain_timeout = name, version, drain_timeout
        self.start_time, self.started = datetime.now(timezone.utc), time.monotonic()
        self.dependencies = {}
        self.clean_ups = []  # (name, function); the last one runs first
        self.changed = threading.Condition()  # guards what follows
        self.draining = False
        self.in_flight = 0  # requests to the service's own routes
        self.replies = 0  # shutdown requests that wait for their reply
        self.finished = threading.Event()
        self.clean_up_seconds = 0.0

    def check(self, name, function, every=1.0, limit=5.0):
        """Calls the function now and then in a thread; it fails by raising, and may return details."""
        found = self.dependencies[name] = {"successes": 0, "failures": 0, "success": None, "failure": None,
                                           "error": "not checked yet", "details": {}, "due": None}

        def run():
            while not self.finished.is_set():
                found["due"] = time.monotonic() + limit
                try:
                    details = function() or {}
                    found.update(details=details, error=None, success=time.monotonic(), successes=found["successes"] + 1)
                except Exception as error:  # some have no text, such as TimeoutError
                    found.update(error=str(error) or repr(error), failure=time.monotonic(), failures=found["failures"] + 1)
                found["due"] = None
                self.finished.wait(every)

        threading.Thread(target=run, daemon=True).start()

    @contextmanager
    def work(self):
        """Counts a request as in flight; gives False where it has to be refused."""
        with self.changed:
            accepted = not self.draining
            self.in_flight += accepted
        try:
            yield accepted
        finally:
            with self.changed:
                self.in_flight -= accepted
                self.changed.notify_all()

    def shut_down(self, server):
        """Begins the shutdown and returns at once; a second call changes nothing."""
        with self.changed:
            if self.draining:
                return
            self.draining = True
        # Not in the handler of a request or signal: it waits for requests, and serve_forever for it.
        threading.Thread(target=self._shut_down, args=(server,)).start()

    def _shut_down(self, server):
        with self.changed:
            self.changed.wait_for(lambda: self.in_flight == 0, self.drain_timeout)
        begin = time.monotonic()
        for name, function in reversed(self.clean_ups):
            try:
                function()
            except Exception:
                logging.exception("clean-up of %s failed", name)
        self.clean_up_seconds = time.monotonic() - begin
        self.finished.set()
        with self.changed:
            self.changed.wait_for(lambda: self.replies == 0, 5.0)
        server.shutdown()  # serve_forever returns, and with it main

    @staticmethod
    def error(found):
        """Returns why a dependency does not work, or None; a check that hangs tells nothing good of it."""
        due = found["due"]
        return "no answer in time" if due is not None and time.monotonic() > due else found["error"]

    def live(self):
        return {"status": "shutting_down" if self.draining else "healthy", "service": self.name,
                "version": self.version, "uptime_seconds": time.monotonic() - self.started,
                "start_time": self.start_time.strftime("%Y-%m-%dT%H:%M:%S.%f")}

    def status(self):
        def ago(at):
            return -1 if at is None else time.monotonic() - at

        dependencies = {name: {"status": "error" if self.error(found) else "working", "error": self.error(found),
                               "last_success_seconds": ago(found["success"]), "success_count": found["successes"],
                               "last_failure_seconds": ago(found["failure"]), "failure_count": found["failures"],
                               **found["details"]} for name, found in self.dependencies.items()}
        return {**self.live(), "should_shutdown": self.draining, "dependencies": dependencies,
                "resources": {"requests_in_flight": self.in_flight, "threads": threading.active_count()}}

    def is_ready(self):
        return not self.draining and not any(map(self.error, self.dependencies.values()))

    def answer(self, handler, method, path):
        """Answers a health or shutdown request; gives False where it is none."""
        if (method, path) == ("GET", "/health/live") or (method, path) == ("GET", "/healthz"):
            reply(handler, 200, self.live())
        elif (method, path) == ("GET", "/health/status"):
            reply(handler, 200, self.status())
        elif (method, path) == ("GET", "/readyz"):  # for Kubernetes, which reads the code alone
            reply(handler, 200 if self.is_ready() else 503, {"ready": self.is_ready()})
        elif (method, path) == ("POST", "/health/shutdown/schedule"):
            self.shut_down(handler.server)
            reply(handler, 200, {"status": "shutdown_scheduled", "should_shutdown": True, "mode": "scheduled",
                                 "message": "drains, cleans up and exits"})
        elif (method, path) == ("POST", "/health/shutdown"):
            with self.changed:
                self.replies += 1
            try:
                self.shut_down(handler.server)
                self.finished.wait()
                reply(handler, 200, {"status": "shutdown_complete", "mode": "immediate",
                                     "cleanup_duration_seconds": self.clean_up_seconds})
            finally:
                with self.changed:
                    self.replies -= 1
                    self.changed.notify_all()
        else:
            return False
        return True


def reply(handler, code, body):
    body = body if isinstance(body, str) else json.dumps(body)
    handler.send_response(code)
    handler.send_header("Content-Type", "application/json" if body.startswith("{") else "text/plain")
    handler.send_header("Content-Length", str(len(body.encode())))
    handler.end_headers()
    handler.wfile.write(body.encode())


# The service itself.

INBOX = "inbox"
service = Service("mailroom", "0.1.0")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.handle_request("GET")

    def do_POST(self):
        self.handle_request("POST")

    def handle_request(self, method):
        path = self.path.split("?")[0]
        if service.answer(self, method, path):
            return
        with service.work() as accepted:
            if not accepted:
                reply(self, 503, "shutting down\n")
            elif path != "/letters":
                reply(self, 404, "not found\n")
            else:
                try:
                    reply(self, 200, waiting() if method == "GET" else self.take())
                except OSError as error:
                    reply(self, 503, f"{error}\n")

    def take(self):
        letter = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with open(os.path.join(INBOX, f"letter-{time.time_ns()}.txt"), "wb") as file:
            file.write(letter)
        return "thank you\n"


def waiting():
    return f"{len(os.listdir(INBOX))} waiting\n"


def main():
    logging.basicConfig(level=logging.INFO)
    service.check("inbox", lambda: {"letters": len(os.listdir(INBOX))})
    service.clean_ups.append(("inbox", lambda: logging.info("inbox closed")))
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True  # a request that outlasts the drain does not hold up the exit
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.shut_down(server))
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
