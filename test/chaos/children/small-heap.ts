/**
 * A client in a process with a small heap, whose application heeds no hint: `flood` asks as fast as it can, in turns of the event loop, and
 * waits for no answer; `settle` waits until whatever was accepted has settled.
 */

import { createInterface } from 'node:readline';

import type * as Library from '../../../src/index.js';
import type { CheckInput } from '../../../src/index.js';

interface Settings {
  readonly library: string;
  readonly address: string;
  readonly how: 'check' | 'send';
  readonly options: Omit<Library.AuthzClientOptions, 'address'>;
}

const settings = JSON.parse(process.argv[2] ?? '{}') as Settings;
const { createClient, AuthzClientError } = (await import(settings.library)) as typeof Library;

const FLOOD = 200_000;
const PER_TURN = 500;
const NOTE = 'x'.repeat(900);

const client = createClient({ ...settings.options, address: settings.address });
const books = { asked: 0, answered: 0, refused: 0, errors: {} as Record<string, number> };
let peakExternalBytes = 0;

const question = (index: number): CheckInput => ({
  principal: { id: `user-${index}`, roles: ['viewer'] },
  resource: { kind: 'doc', id: `doc-${index}` },
  actions: ['read', 'write'],
  context: { note: NOTE },
});

function fail(error: unknown): void {
  const key = error instanceof AuthzClientError ? `${error.name} ${error.outcome}` : String(error);
  books.errors[key] = (books.errors[key] ?? 0) + 1;
}

function countAnswer(): void {
  books.answered += 1;
}

/** @returns what asks the nth question */
function asker(): (index: number) => void {
  if (settings.how === 'check') {
    return (index) => void client.check(question(index)).then(countAnswer, fail);
  }
  const handle = client.createBidirectionalStream({ onResponse: countAnswer, onError: fail, onEnd: () => undefined });
  return (index) => {
    if (!handle.send({ requestId: `r-${index}`, ...question(index) })) books.refused += 1;
  };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function flood(): Promise<object> {
  const ask = asker();
  for (const until = books.asked + FLOOD; books.asked < until; books.asked += 1) {
    ask(books.asked);
    if (books.asked % PER_TURN === 0) {
      const { external } = process.memoryUsage();
      peakExternalBytes = Math.max(peakExternalBytes, external);
      await nextTurn();
    }
  }
  return report();
}

const settled = (): number =>
  Object.values(books.errors).reduce((sum, count) => sum + count, books.answered + books.refused);

async function settle(): Promise<object> {
  while (settled() < books.asked) await nextTurn();
  return report();
}

const report = (): object => ({ ...books, settled: settled(), peakExternalBytes });

async function check(): Promise<object> {
  const { results } = await client.check(question(1));
  return { answered: results.size };
}

const COMMANDS: Readonly<Record<string, () => Promise<object>>> = {
  connect: () => client.connect().then(() => ({})),
  flood,
  settle,
  check,
  disconnect: () => client.disconnect().then(() => ({})),
};

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

createInterface({ input: process.stdin }).on('line', (command) => {
  void COMMANDS[command]?.().then(say, (error: unknown) => say({ error: String(error) }));
});
say({ ready: true });
