/** A client with a heap of 64 MB and all defaults, whose application asks without waiting, and a server that has stopped reading. */

import { expect, test } from 'vitest';

import { ClientProcess } from './support/client-process.js';
import { Yard } from './support/yard.js';

const yard = new Yard();
const HEAP_MB = 64;
/** Encoded requests lie outside of the heap: no more than half of it, and what the process has anyway. */
const EXTERNAL_BYTES = 48 * 1024 * 1024;

interface Report {
  readonly asked: number;
  readonly answered: number;
  /** `send` was false. */
  readonly refused: number;
  readonly settled: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly peakExternalBytes: number;
}

test.each([
  { how: 'check', transport: 'http2' },
  { how: 'send', transport: 'http2' },
  { how: 'check', transport: 'grpc-js' },
])(
  'row 48: the server is frozen and the application floods $how() over $transport: refused before the heap is full, settled at the deadlines, answered again',
  async ({ how, transport }) => {
    const engine = await yard.engine('alpha');
    const settings = { address: engine.address, how, options: { transport } };
    const child = new ClientProcess('small-heap', settings, { flags: [`--max-old-space-size=${HEAP_MB}`] });
    yard.afterwards(() => child.close());
    await child.hear();
    await child.ask('connect');
    engine.signal('SIGSTOP');
    const flooded = await child.ask<Report>('flood');
    const refusals = how === 'send' ? flooded.refused : flooded.errors['BackpressureError notSent'];
    expect(refusals).toBeGreaterThan(flooded.asked / 2);
    expect(flooded.peakExternalBytes).toBeLessThan(EXTERNAL_BYTES);

    const { asked, answered, settled, errors } = await child.ask<Report>('settle');
    expect({ answered, settled }).toEqual({ answered: 0, settled: asked });
    const kinds = ['BackpressureError notSent', 'TimeoutError notSent', 'TimeoutError unknown'];
    expect(Object.keys(errors).filter((kind) => !kinds.includes(kind))).toEqual([]);

    engine.signal('SIGCONT');
    expect(await child.ask('check')).toEqual({ answered: 2 });
    await child.ask('disconnect');
    expect((await child.end()).code).toBe(0);
  },
);
