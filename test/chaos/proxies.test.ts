/** nginx and haproxy between the client and its engines, where one connection hides many servers and errors come as HTTP. */

import { describe, expect } from 'vitest';

import { GrpcCode } from '../../src/errors.js';
import { question } from '../support/fault-engine.js';
import { eventually } from '../support/recorder.js';
import { Callers, StreamLoad, type Load } from './support/load.js';
import { testWith } from '../support/needs.js';
import { haproxyBefore, nginxAnswering, nginxBefore, type Backend, type Proxy } from './support/proxies.js';
import { Yard } from './support/yard.js';

const yard = new Yard();

async function kept(proxy: Promise<Proxy>): Promise<Proxy> {
  const started = await proxy;
  yard.afterwards(() => started.close());
  return started;
}

const more = async (loads: readonly Load[]): Promise<void> => {
  await Promise.all(loads.map(({ tally }) => tally.more()));
};

describe.each([
  { program: 'nginx', before: nginxBefore, cancels: false },
  // It cancels the calls of a server that dies, and CANCELLED is not asked again.
  { program: 'haproxy', before: haproxyBefore, cancels: true },
])('$program', ({ program, before, cancels }) => {
  const proxyTest = testWith(program);
  const proxyTo = (backends: readonly Backend[]): Promise<Proxy> => kept(before(backends));

  proxyTest(
    'row 1: one of two engines behind it is killed under load: the other answers, and nothing is lost but what the proxy cancels',
    async () => {
      const [alpha, beta] = await yard.pair();
      const { client, events } = yard.client({ address: (await proxyTo([alpha, beta])).address });
      await client.connect();
      const loads = [new Callers(client, 64), new StreamLoad(client, 16)];
      await more(loads);
      for (const engine of [alpha, beta]) {
        await engine.kill();
        await more(loads);
        await engine.restart();
      }
      await Promise.all(loads.map((load) => load.stop()));
      for (const { tally } of loads) {
        if (cancels) tally.expectTyped('CancelledError');
        else tally.expectSpotless();
        // At most what each engine owed when it was killed.
        expect(tally.failed).toBeLessThanOrEqual(2 * 64);
      }
      expect(events.count('disconnected')).toBe(0);
      expect(events.of('error')).toEqual([]);
    },
  );

  proxyTest(
    'row 8: the only engine behind it is killed and comes back: errors are typed, and answers go on',
    async () => {
      const alpha = await yard.engine('alpha');
      const { client } = yard.client({ address: (await proxyTo([alpha])).address });
      await client.connect();
      const callers = new Callers(client, 64);
      await callers.tally.more();
      await alpha.kill();
      await eventually(() => callers.tally.failed >= 64, 'errors');
      await alpha.restart();
      await callers.tally.more();
      const tally = await callers.stop();
      tally.expectTyped('ConnectionError', ...(cancels ? ['CancelledError'] : []));
    },
  );

  proxyTest('it is reloaded under load, again and again: its connections move, and nothing is lost', async () => {
    const alpha = await yard.engine('alpha');
    const proxy = await proxyTo([alpha]);
    const { client, events } = yard.client({ address: proxy.address });
    await client.connect();
    const loads = [new Callers(client, 64), new StreamLoad(client, 16)];
    for (let round = 0; round < 3; round += 1) {
      await more(loads);
      await proxy.reload();
    }
    await more(loads);
    await Promise.all(loads.map((load) => load.stop()));
    for (const { tally } of loads) tally.expectSpotless();
    // The workers that had its connections are gone.
    expect(events.count('pool_reconnected') + events.count('pool_connection_created')).toBeGreaterThanOrEqual(4);
    expect(events.of('error')).toEqual([]);
  });

  proxyTest('rows 1 and 3: it is terminated or killed under load, and started again: nothing is lost', async () => {
    const alpha = await yard.engine('alpha');
    const proxy = await proxyTo([alpha]);
    const { client, events } = yard.client({ address: proxy.address });
    await client.connect();
    const loads = [new Callers(client, 64), new StreamLoad(client, 16)];
    for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
      await more(loads);
      await proxy.restart(signal);
    }
    await more(loads);
    await Promise.all(loads.map((load) => load.stop()));
    for (const { tally } of loads) tally.expectSpotless();
    expect(events.of('error')).toEqual([]);
  });
});

const ANSWERS = [
  ['return 401;', GrpcCode.UNAUTHENTICATED],
  ['return 403;', GrpcCode.PERMISSION_DENIED],
  ['return 429;', GrpcCode.UNAVAILABLE],
  ['return 503;', GrpcCode.UNAVAILABLE],
  ["return 200 '<h1>allow</h1>';", GrpcCode.UNKNOWN],
] as const;

testWith('nginx')(
  'row 31: nginx answers in the place of a server: the code its HTTP status has, and never an allow',
  async () => {
    for (const [directive, grpcCode] of ANSWERS) {
      const { client } = yard.client({ address: (await kept(nginxAnswering(directive))).address });
      const outcome: unknown = await client.check(question(1), { deadline: 5_000 }).catch((error: unknown) => error);
      expect(outcome).toMatchObject({ grpcCode, outcome: 'answered' });
    }
  },
);
