/**
 * A client whose process has few file descriptors. `exhaust` takes all that are left, and those that become free
 * later, until `release` gives them back; `taken` tells how many; `check` asks one question,
 * `burst` a hundred at once.
 */

import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';

import type * as Library from '../../../src/index.js';
import type { AuthzClientError, CheckInput } from '../../../src/index.js';

interface Settings {
  readonly library: string;
  readonly address: string;
  readonly transport: 'http2' | 'grpc-js';
}

const settings = JSON.parse(process.argv[2] ?? '{}') as Settings;
const { createClient } = (await import(settings.library)) as typeof Library;

const DEADLINE_MS = 1_000;
const BURST = 100;
/** More often than the client dials. */
const TAKE_EVERY_MS = 5;
const QUESTION: CheckInput = {
  principal: { id: 'alice', roles: ['viewer'] },
  resource: { kind: 'doc', id: 'doc-1' },
  actions: ['read'],
};

const taken: number[] = [];
let dials = 0;
const client = createClient({
  address: settings.address,
  transport: settings.transport,
  timeout: 20_000,
  connectTimeout: 500,
  reconnect: { initialDelay: 100, maxDelay: 100, maxAttempts: 1_000 },
});
client.on('pool_connection_failed', () => {
  dials += 1;
});

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

/** @returns why it took no more */
function takeAll(): string {
  for (;;) {
    try {
      taken.push(openSync('/dev/null', 'r'));
    } catch (error) {
      return String((error as NodeJS.ErrnoException).code);
    }
  }
}

let taking: NodeJS.Timeout | undefined;

function release(): void {
  clearInterval(taking);
  for (const descriptor of taken.splice(0)) closeSync(descriptor);
}

async function outcomeOf(work: () => Promise<unknown>): Promise<object> {
  try {
    await work();
    return { name: 'none' };
  } catch (error) {
    const { name, grpcCode, outcome, message } = error as AuthzClientError;
    return { name, grpcCode, outcome, message };
  }
}

async function burst(): Promise<object> {
  const before = dials;
  const outcomes = await Promise.all(
    Array.from({ length: BURST }, () => outcomeOf(() => client.check(QUESTION, { deadline: DEADLINE_MS }))),
  );
  return { outcomes, dials: dials - before };
}

const COMMANDS: Readonly<Record<string, () => object | Promise<object>>> = {
  exhaust: () => {
    taking = setInterval(takeAll, TAKE_EVERY_MS);
    return { code: takeAll() };
  },
  taken: () => ({ taken: taken.length }),
  release: () => {
    release();
    return { taken: taken.length };
  },
  connect: () => outcomeOf(() => client.connect()),
  check: () => outcomeOf(() => client.check(QUESTION)),
  burst,
  disconnect: () => outcomeOf(() => client.disconnect()),
};

createInterface({ input: process.stdin }).on('line', (command) => {
  void Promise.resolve(COMMANDS[command]?.() ?? { unknown: command }).then(say);
});
say({ ready: true });
