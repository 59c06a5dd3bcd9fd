/**
 * An embedded engine as a process of its own, to be killed, frozen and restarted. Commands come one a line on stdin; each is answered by a
 * line on stdout. SIGTERM is a deployment's: the engine says NOT_SERVING, drains and exits.
 */

import { createInterface } from 'node:readline';

import { startEngine, type Engine, type EngineOptions, type ServingStatus } from '../../src/engine/index.js';

export type EngineCommand =
  | { readonly type: 'start'; readonly options: EngineOptions }
  | { readonly type: 'health'; readonly status: ServingStatus }
  | { readonly type: 'stats' };

/** Longer than any test: an engine that is not let go of is seen. */
const GRACE_MS = 60_000;

let engine: Engine | undefined;

const say = (answer: object): void => {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
};

async function obey(command: EngineCommand): Promise<void> {
  if (command.type === 'start') {
    engine = await startEngine(command.options);
    say({ port: engine.port });
  } else if (engine === undefined) {
    throw new Error('not started');
  } else if (command.type === 'health') {
    engine.setHealth(command.status);
    say({ health: command.status });
  } else {
    say(engine.stats);
  }
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  void obey(JSON.parse(line) as EngineCommand);
});
// A parent that died leaves no engine behind.
lines.on('close', () => process.exit(0));

process.on('SIGTERM', () => {
  void engine?.stop({ graceMs: GRACE_MS }).then(() => process.exit(0));
});

say({ ready: true });
