/** A service that is terminated in the middle of its work, as a deployment does it. */

import { describe, expect, test } from 'vitest';

import { ClientProcess } from './support/client-process.js';
import type { Engine } from './support/engine.js';
import { Yard } from './support/yard.js';

const yard = new Yard();

interface Report {
  readonly check: Readonly<Record<string, number>>;
  readonly send: Readonly<Record<string, number>>;
  readonly late: Readonly<Record<string, number>>;
  readonly ends: number;
}

/** At work, with nothing answered yet. */
async function service({ address }: Engine, transport: string, graceMs: number): Promise<ClientProcess> {
  const child = new ClientProcess('terminated', { address, transport, graceMs });
  yard.afterwards(() => child.close());
  await child.hear();
  await child.ask('connect');
  return child;
}

describe.each(['http2', 'grpc-js'])('over %s', (transport) => {
  test('row 49: SIGTERM with work under way, and a server that is slow: it is finished within the grace, new work is refused, and the process ends', async () => {
    const engine = await yard.engine('alpha', { latencyMs: 1_000 });
    const child = await service(engine, transport, 30_000);
    await child.ask('work');
    child.signal('SIGTERM');
    expect(await child.hear<Report>()).toEqual({
      check: { answered: 50 },
      send: { answered: 20 },
      late: { 'StreamClosedError notSent': 1 },
      ends: 1,
    });
    expect(await child.end()).toMatchObject({ code: 0 });
  });

  test('row 49: SIGTERM with work under way, and a server that is frozen: it is cancelled at the end of the grace, in doubt, and the process ends', async () => {
    const engine = await yard.engine('alpha');
    const child = await service(engine, transport, 500);
    engine.signal('SIGSTOP');
    await child.ask('work');
    child.signal('SIGTERM');
    expect(await child.hear<Report>()).toEqual({
      check: { 'CancelledError unknown': 50 },
      send: { 'CancelledError unknown': 20 },
      late: { 'StreamClosedError notSent': 1 },
      ends: 1,
    });
    expect(await child.end()).toMatchObject({ code: 0 });
    engine.signal('SIGCONT');
  });
});
