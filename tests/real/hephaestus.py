"""A service of the hephaestus contract for the tests of healthctl: FastAPI and uvicorn, and nothing of healthctl's.

    hephaestus.py PORT DATABASE [--naive]

Its one dependency in use is the SQLite file DATABASE, looked at whenever somebody asks for the status. With --naive
its blocking shutdown calls exit inside the request, as a first sketch of such a handler does.
"""

import argparse
import asyncio
import contextlib
import signal
import sqlite3
import sys
import time
from datetime import datetime, timezone

import uvicorn
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import JSONResponse

DRAIN_LIMIT = 30.0
VERSION = "0.9.1"
SERVICE = "hephaestus-mcp"


class Dependency:
    """Counts what became of each use."""

    def __init__(self):
        self.successes = 0
        self.failures = 0
        self.succeeded_at = None
        self.failed_at = None
        self.error = None

    def record(self, error=None):
        if error is None:
            self.successes += 1
            self.succeeded_at = time.monotonic()
        else:
            self.failures += 1
            self.failed_at = time.monotonic()
        self.error = error

    def report(self, **details):
        return {
            "status": "working" if self.error is None else "error",
            **details,
            "error": self.error,
            "last_success_seconds": ago(self.succeeded_at),
            "last_failure_seconds": ago(self.failed_at),
            "success_count": self.successes,
            "failure_count": self.failures,
        }


def ago(moment):
    return -1 if moment is None else round(time.monotonic() - moment, 3)


class Service:
    def __init__(self, database):
        self.started = datetime.now(timezone.utc).replace(tzinfo=None)
        self.started_at = time.monotonic()
        self.path = database
        self.database = Dependency()
        self.should_shutdown = False
        self.in_flight = 0
        self.ending = None
        self.server = None

    def look_at_database(self):
        try:
            # Read and write, so that a file that is gone is not made anew.
            with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=rw", uri=True)) as connection:
                connection.execute("SELECT 1")
            self.database.record()
        except sqlite3.Error as error:
            self.database.record(str(error))

    def live(self):
        return {
            "status": "shutting_down" if self.should_shutdown else "healthy",
            "uptime_seconds": round(time.monotonic() - self.started_at, 2),
            "start_time": self.started.isoformat(),
            "version": VERSION,
            "service": SERVICE,
        }

    def status(self):
        self.look_at_database()
        return {
            **self.live(),
            "should_shutdown": self.should_shutdown,
            "dependencies": {
                "database": self.database.report(pool_size=5),
                "groq": {"status": "not_used"},
            },
            "resources": {"open_connections": self.in_flight, "background_tasks": 0},
        }

    async def end(self):
        """Drains and cleans up, once; gives how long the cleaning took."""
        if self.ending is None:
            self.should_shutdown = True
            self.ending = asyncio.ensure_future(self.drain_and_clean())
        return await asyncio.shield(self.ending)

    async def drain_and_clean(self):
        limit = time.monotonic() + DRAIN_LIMIT
        while self.in_flight > 0 and time.monotonic() < limit:
            await asyncio.sleep(0.02)
        began = time.monotonic()
        await asyncio.sleep(0.05)
        return round(time.monotonic() - began, 3)

    def exit(self):
        self.server.should_exit = True

    async def end_and_exit(self):
        await self.end()
        self.exit()


class InFlight:
    """Counts the requests that are no questions about health, and turns them away while the service drains.

    Plain ASGI: the framework's own middleware would run the handler in a task apart, where an exit ends the server.
    """

    def __init__(self, app, service):
        self.app = app
        self.service = service

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["path"].startswith("/health"):
            await self.app(scope, receive, send)
        elif self.service.should_shutdown:
            refusal = JSONResponse({"detail": "shutting down"}, 503, {"Connection": "close"})
            await refusal(scope, receive, send)
        else:
            self.service.in_flight += 1
            try:
                await self.app(scope, receive, send)
            finally:
                self.service.in_flight -= 1


def application(service, naive):
    app = FastAPI()

    app.add_middleware(InFlight, service=service)

    @app.get("/health/live")
    def live():
        return service.live()

    @app.get("/health/status")
    def status():
        return service.status()

    @app.get("/work")
    async def work(seconds: float = 0.0):
        await asyncio.sleep(seconds)
        return {"worked": seconds}

    if naive:

        @app.post("/health/shutdown")
        def shutdown():
            sys.exit(0)

    else:

        @app.post("/health/shutdown")
        async def shutdown(after: BackgroundTasks):
            took = await service.end()
            after.add_task(service.exit)
            return {"status": "shutdown_complete", "cleanup_duration_seconds": took, "mode": "immediate"}

    @app.post("/health/shutdown/schedule")
    async def schedule(after: BackgroundTasks):
        service.should_shutdown = True
        after.add_task(service.end_and_exit)
        return {
            "status": "shutdown_scheduled",
            "should_shutdown": True,
            "mode": "scheduled",
            "message": "draining, then exiting",
        }

    return app


class Server(uvicorn.Server):
    """Leaves signals to the service: uvicorn would close the port at once and end by the signal."""

    @contextlib.contextmanager
    def capture_signals(self):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: asyncio.ensure_future(self.service.end_and_exit()))
        yield


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("database")
    parser.add_argument("--naive", action="store_true")
    arguments = parser.parse_args()
    service = Service(arguments.database)
    app = application(service, arguments.naive)
    server = Server(uvicorn.Config(app, host="127.0.0.1", port=arguments.port, log_level="warning"))
    server.service = service
    service.server = server
    server.run()


if __name__ == "__main__":
    main()
