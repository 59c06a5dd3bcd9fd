/**
 * A client whose wall clock is somebody else's: callers ask all through, and `time` tells what the clock says. `late` asks one question with
 * a deadline of its own; `recall` asks with one id, which is remembered.
 */

import { createInterface } from 'node:readline';

import type * as Library from '../../../src/index.js';
import type { CheckInput } from '../../../src/index.js';

interface Settings {
  readonly library: string;
  readonly addresses: readonly string[];
  readonly transport: 'http2' | 'grpc-js';
}

const settings = JSON.parse(process.argv[2] ?? '{}') as Settings;
const { AuthzClientError, createPooledClient, isAllowed } = (await import(settings.library)) as typeof Library;

const CALLERS = 64;
const LATE_MS = 1_000;
const REMEMBERED = 'remembered';

const client = createPooledClient([...settings.addresses], {
  transport: settings.transport,
  timeout: 20_000,
  deduplication: { cacheSize: 100_000 },
  failover: { enabled: true, failbackDelay: 100 },
  healthCheck: { interval: 200, timeout: 1_000 },
  reconnect: { initialDelay: 20, maxDelay: 100 },
});
const books = { asked: 0, allowed: 0, errors: [] as string[] };
const events: string[] = [];
for (const name of ['connected', 'disconnected', 'failover_completed', 'failback_completed', 'error'] as const) {
  client.on(name, () => {
    events.push(name);
  });
}

const question = (index: number): CheckInput => ({
  principal: { id: `user-${index}`, roles: ['viewer'] },
  resource: { kind: 'doc', id: `doc-${index}` },
  actions: ['read'],
});

const describe = (error: unknown): string =>
  error instanceof AuthzClientError ? `${error.name}: ${error.message}` : String(error);

async function call(): Promise<void> {
  while (running) {
    const index = books.asked;
    books.asked += 1;
    try {
      if (isAllowed(await client.check(question(index)))) books.allowed += 1;
      else books.errors.push(`question ${index} was not allowed`);
    } catch (error) {
      books.errors.push(describe(error));
      // A refusal comes at once: without this the loop would starve everything else.
      await new Promise(setImmediate);
    }
  }
}

let running = false;
let callers: Promise<void>[] = [];

async function recall(): Promise<object> {
  await client.check({ requestId: REMEMBERED, ...question(0) });
  return { hits: client.getDeduplicationCacheStats().hits };
}

const COMMANDS: Readonly<Record<string, () => Promise<object>>> = {
  connect: () => client.connect().then(() => ({})),
  start: () => {
    running = true;
    callers = Array.from({ length: CALLERS }, () => call());
    return Promise.resolve({});
  },
  stop: async () => {
    running = false;
    await Promise.all(callers);
    return { ...books, events };
  },
  books: () => Promise.resolve({ ...books, events }),
  time: () => Promise.resolve({ time: Date.now() }),
  late: () =>
    client.check(question(0), { deadline: LATE_MS }).then(
      () => ({ name: 'none' }),
      (error: unknown) => ({ name: error instanceof AuthzClientError ? error.name : String(error) }),
    ),
  recall,
  disconnect: () => client.disconnect().then(() => ({})),
};

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

createInterface({ input: process.stdin }).on('line', (command) => {
  void COMMANDS[command]?.().then(say, (error: unknown) => say({ error: describe(error) }));
});
say({ ready: true });
