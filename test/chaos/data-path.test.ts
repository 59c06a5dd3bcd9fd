/** haproxy that answers for the health of a primary by one engine, and sends its checks to another, which fails. */

import { expect } from 'vitest';

import type { Engine } from './support/engine.js';
import { Callers, StreamLoad } from './support/load.js';
import { testWith } from '../support/needs.js';
import { haproxyBefore } from './support/proxies.js';
import { Yard, type Subject } from './support/yard.js';

const yard = new Yard();
const proxied = testWith('haproxy');

interface Scene extends Subject {
  readonly alpha: Engine;
  /** Of the primary: where haproxy is. */
  readonly address: string;
}

async function open(): Promise<Scene> {
  const [alpha, beta, healthy] = await yard.trio();
  const proxy = await haproxyBefore([alpha], [healthy]);
  yard.afterwards(() => proxy.close());
  const subject = yard.failoverClient([proxy, beta], { timeout: 6_000 });
  await subject.client.connect();
  return { ...subject, alpha, address: proxy.address };
}

proxied(
  'row 44: the checks of the primary go nowhere while its health is well: they fail by their types until the backup answers, and return later',
  async () => {
    const { alpha, address, client, events } = await open();
    const loads = [new Callers(client, 64), new StreamLoad(client, 16)] as const;
    await loads[0].tally.answeredBy('alpha');
    await alpha.kill();
    await Promise.all(loads.map(({ tally }) => tally.answeredBy('beta')));
    const reason = expect.stringContaining('checks fail one after the other') as string;
    expect(events.of('failover_started')[0]).toMatchObject({ from: address, reason });
    await alpha.restart();
    await Promise.all(loads.map(({ tally }) => tally.answeredBy('alpha')));
    for (const load of loads) (await load.stop()).expectTyped('ConnectionError', 'CancelledError');
    expect(events.count('disconnected')).toBe(0);
    expect(events.of('error')).toEqual([]);
  },
);

proxied(
  'row 44: the checks of the primary are swallowed while its health is well: the backup answers all of them, and they return later',
  async () => {
    const { alpha, address, client, events } = await open();
    const loads = [new Callers(client, 64), new StreamLoad(client, 16)] as const;
    await loads[0].tally.answeredBy('alpha');
    alpha.signal('SIGSTOP');
    await Promise.all(loads.map(({ tally }) => tally.answeredBy('beta')));
    expect(events.of('failover_started')[0]).toMatchObject({ from: address, reason: 'checks go unanswered' });
    alpha.signal('SIGCONT');
    await Promise.all(loads.map(({ tally }) => tally.answeredBy('alpha')));
    for (const load of loads) (await load.stop()).expectSpotless();
    expect(events.count('disconnected')).toBe(0);
    expect(events.of('error')).toEqual([]);
  },
);
