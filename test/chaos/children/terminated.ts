/**
 * A service that is told to go: on SIGTERM it disconnects its client, which may take as long as its grace, and asks once more. `work` asks many
 * questions at once; what became of them is told at the end, which comes by itself.
 */

import { createInterface } from 'node:readline';

import type * as Library from '../../../src/index.js';
import type { CheckInput } from '../../../src/index.js';

interface Settings {
  readonly library: string;
  readonly address: string;
  readonly graceMs: number;
  readonly transport: 'http2' | 'grpc-js';
}

const settings = JSON.parse(process.argv[2] ?? '{}') as Settings;
const { createClient, AuthzClientError } = (await import(settings.library)) as typeof Library;

const CHECKS = 50;
const SENDS = 20;

const client = createClient({ address: settings.address, transport: settings.transport, timeout: 60_000 });
const question = (index: number): CheckInput => ({
  principal: { id: `user-${index}`, roles: ['viewer'] },
  resource: { kind: 'doc', id: `doc-${index}` },
  actions: ['read'],
});

/** Of checks, of sends, and of what was asked when it was too late, by what they ended with. */
const outcomes = { check: {}, send: {}, late: {} } as Record<'check' | 'send' | 'late', Record<string, number>>;
let ends = 0;

function note(kind: keyof typeof outcomes, how: string): void {
  outcomes[kind][how] = (outcomes[kind][how] ?? 0) + 1;
}

const howOf = (error: unknown): string =>
  error instanceof AuthzClientError ? `${error.name} ${error.outcome}` : String(error);

function work(): object {
  const handle = client.createBidirectionalStream({
    onResponse: () => note('send', 'answered'),
    onError: (error) => note('send', howOf(error)),
    onEnd: () => {
      ends += 1;
    },
  });
  for (let index = 0; index < SENDS; index += 1) handle.send({ requestId: `s-${index}`, ...question(index) });
  for (let index = 0; index < CHECKS; index += 1) {
    client.check(question(index)).then(
      () => note('check', 'answered'),
      (error: unknown) => note('check', howOf(error)),
    );
  }
  return { asked: CHECKS + SENDS };
}

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

const commands = createInterface({ input: process.stdin }).on('line', (command) => {
  if (command === 'connect') void client.connect().then(() => say({ connected: true }));
  if (command === 'work') say(work());
});
process.once('SIGTERM', () => {
  const gone = client.disconnect({ timeoutMs: settings.graceMs });
  client.check(question(0)).then(
    () => note('late', 'answered'),
    (error: unknown) => note('late', howOf(error)),
  );
  void gone.then(() => {
    // Those who waited are told from microtasks.
    setImmediate(() => {
      say({ ...outcomes, ends });
      commands.close();
      process.stdin.destroy();
    });
  });
});
say({ ready: true });
