// The mail room in Node, of the standard library alone: node mailroom.mjs [PORT]
//
// The class Service is what you copy: health, status and shutdown routes, draining, clean-up, exit. What
// follows it is the service itself, which takes letters into a folder.

import { randomUUID } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';

/** What the health routes tell, and the order of a shutdown: drain, clean up, reply, exit. */
class Service {
  dependencies = new Map();
  cleanUps = []; // [name, function]; the last one runs first
  inFlight = 0; // requests to the service's own routes
  shutdown = null; // a promise, from the first request for a shutdown on
  started = new Date();
  #idle = null; // what is called when a request is done, while it drains

  constructor(name, version, drainTimeout = 30_000) {
    Object.assign(this, { name, version, drainTimeout });
  }

  /** Calls the function now and then; it fails by throwing, and may return details. */
  check(name, run, every = 1000, limit = 5000) {
    const found = { successes: 0, failures: 0, error: 'not checked yet', details: {} };
    this.dependencies.set(name, found);
    const again = async () => {
      found.due = Date.now() + limit;
      try {
        found.details = (await run()) ?? {};
        Object.assign(found, { error: null, success: Date.now(), successes: found.successes + 1 });
      } catch (error) {
        // Some have no text, such as AggregateError.
        const why = error?.message || String(error);
        Object.assign(found, { error: why, failure: Date.now(), failures: found.failures + 1 });
      }
      found.due = Infinity;
      setTimeout(again, every).unref();
    };
    again();
  }

  /** Answers the health and shutdown routes, and all others by `work`, until a shutdown is done. */
  serve(port, work) {
    this.server = createServer((request, response) => {
      this.#answer(request, response, work).catch((error) => {
        console.error(error);
        if (response.headersSent) response.destroy();
        else reply(response, 500, 'internal error\n');
      });
    });
    for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => this.shutDown());
    this.server.listen(port, '127.0.0.1', () => console.log(`listening on ${port}`));
  }

  /** Begins the shutdown; a second call changes nothing. The promise is kept after the clean-up. */
  shutDown() {
    this.shutdown ??= this.#shutDown();
    return this.shutdown;
  }

  async #shutDown() {
    await this.#drained();
    const begin = Date.now();
    for (const [name, run] of this.cleanUps.toReversed()) {
      try {
        await run();
      } catch (error) {
        console.error(`clean-up of ${name} failed:`, error);
      }
    }
    this.#end();
    return (Date.now() - begin) / 1000;
  }

  /** Waits until nothing is in flight, or the time is up. */
  #drained() {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.drainTimeout);
      this.#idle = () => {
        if (this.inFlight > 0) return;
        clearTimeout(timer);
        resolve();
      };
      this.#idle();
    });
  }

  /** Closes the listener. Once every reply is sent the process ends, as nothing is left to do. */
  #end() {
    this.server.close();
    // What has outlasted the drain is cut. The timer alone does not keep the process.
    setTimeout(() => this.server.closeAllConnections(), 5000).unref();
  }

  /** Returns why a dependency does not work, or null; a check that hangs tells nothing good of it. */
  #error(found) {
    return Date.now() > found.due ? 'no answer in time' : found.error;
  }

  #live() {
    return {
      status: this.shutdown ? 'shutting_down' : 'healthy',
      service: this.name,
      version: this.version,
      uptime_seconds: (Date.now() - this.started) / 1000,
      start_time: this.started.toISOString().replace('Z', ''),
    };
  }

  #status() {
    const ago = (at) => (at === undefined ? -1 : (Date.now() - at) / 1000);
    const dependencies = {};
    for (const [name, found] of this.dependencies) {
      dependencies[name] = {
        status: this.#error(found) === null ? 'working' : 'error',
        error: this.#error(found),
        last_success_seconds: ago(found.success),
        success_count: found.successes,
        last_failure_seconds: ago(found.failure),
        failure_count: found.failures,
        ...found.details,
      };
    }
    const resources = { requests_in_flight: this.inFlight };
    return { ...this.#live(), should_shutdown: this.shutdown !== null, dependencies, resources };
  }

  get ready() {
    return !this.shutdown && [...this.dependencies.values()].every((found) => this.#error(found) === null);
  }

  async #answer(request, response, work) {
    const path = request.url.split('?')[0];
    // A connection that is kept would hold up the exit.
    if (this.shutdown || path.startsWith('/health/shutdown')) response.setHeader('Connection', 'close');
    switch (`${request.method} ${path}`) {
      case 'GET /health/live':
      case 'GET /healthz':
        return reply(response, 200, this.#live());
      case 'GET /health/status':
        return reply(response, 200, this.#status());
      case 'GET /readyz': // for Kubernetes, which reads the code alone
        return reply(response, this.ready ? 200 : 503, { ready: this.ready });
      case 'POST /health/shutdown/schedule':
        this.shutDown();
        return reply(response, 200, {
          status: 'shutdown_scheduled', should_shutdown: true, mode: 'scheduled', message: 'drains, cleans up and exits',
        });
      case 'POST /health/shutdown':
        return reply(response, 200, {
          status: 'shutdown_complete', mode: 'immediate', cleanup_duration_seconds: await this.shutDown(),
        });
    }
    if (this.shutdown) return reply(response, 503, 'shutting down\n');
    this.inFlight += 1;
    response.on('close', () => {
      this.inFlight -= 1;
      this.#idle?.();
    });
    await work(request, response, path);
  }
}

function reply(response, code, body) {
  const [type, text] = typeof body === 'string' ? ['text/plain', body] : ['application/json', JSON.stringify(body)];
  response.writeHead(code, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

// The service itself.

const inbox = 'inbox';
const service = new Service('mailroom', '0.1.0');
service.check('inbox', async () => ({ letters: (await readdir(inbox)).length }));
service.cleanUps.push(['inbox', async () => console.log('inbox closed')]);
service.serve(Number(process.argv[2] ?? 8000), async (request, response, path) => {
  if (path !== '/letters') return reply(response, 404, 'not found\n');
  try {
    const text = request.method === 'GET' ? `${(await readdir(inbox)).length} waiting\n` : await take(request);
    return reply(response, 200, text);
  } catch (error) {
    return reply(response, 503, `${error.message}\n`);
  }
});

async function take(request) {
  const letter = [];
  for await (const part of request) letter.push(part);
  await writeFile(join(inbox, `letter-${randomUUID()}.txt`), Buffer.concat(letter));
  return 'thank you\n';
}
