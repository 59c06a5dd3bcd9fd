/** Secrets, and whom and what was asked about: none of it reaches a page, even where a server or a callback says it. */

import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { runtimeOf } from '../../src/client.js';
import { type Inspector, startInspector } from '../../src/inspect/index.js';
import type { TransitionView } from '../../src/inspect/protocol.js';
import {
  type AuthzClient,
  type CheckInput,
  createClient,
  GrpcCode,
  type PooledClientOptions,
} from '../../src/index.js';
import { PageReader } from '../support/inspector-page.js';
import { allow, type Script, ScriptedStatus } from '../support/scripted-server.js';
import { nextEvent, question, Recorder, rejection, useStage } from '../support/stage.js';

const stage = useStage();

/** Every secret has this in it. */
const CANARY = 'c4n4ry';
const TOKEN = `${CANARY}.of_the~token+1`;
const API_KEY = `${CANARY}-of-the-key-header`;
const CALL_TOKEN = `${CANARY}-of-one-call`;
const WHOM = `${CANARY}-alice (${CANARY}-of-the-principal), ${CANARY}-of-the-tenant-header`;
const ECHO = `token ${TOKEN} (Bearer ${TOKEN}), key <${API_KEY}> are not enough for ${WHOM}`;

const secretQuestion = (action = 'read'): CheckInput => ({
  requestId: `${CANARY}-request-${question().requestId}`,
  principal: { id: `${CANARY}-alice`, roles: [`${CANARY}-role`], attributes: { ssn: `${CANARY}-of-the-principal` } },
  resource: { kind: `${CANARY}-kind`, id: `${CANARY}-id`, attributes: { [`${CANARY}-as-a-key`]: [CANARY] } },
  actions: [`${CANARY}-${action}`],
  context: { deep: { er: `${CANARY}-of-the-context` } },
});

const isRead = ({ actions }: { readonly actions: readonly string[] }): boolean =>
  actions[0]?.endsWith('-read') === true;

/** Says what it was told. */
const careless: Script = {
  onStreamRequest: (request, stream) => {
    if (isRead(request)) stream.reply(allow(request));
    else stream.fail(GrpcCode.PERMISSION_DENIED, ECHO);
  },
  onCheck: (request) => {
    if (isRead(request)) return allow(request);
    throw new ScriptedStatus(GrpcCode.PERMISSION_DENIED, `${ECHO}, call <${CALL_TOKEN}> neither`);
  },
  onHealthCheck: () => {
    throw new ScriptedStatus(GrpcCode.INTERNAL, ECHO);
  },
};

async function inspected(client: AuthzClient): Promise<Inspector> {
  const inspector = await startInspector(client);
  stage.onEnd(() => inspector.close());
  return inspector;
}

describe.each([0, 256])('with a flight recorder of %i', (flightRecorderSize) => {
  test.each(['http2', 'grpc-js'] as const)(
    'on %s, checks, refusals, a failover and callbacks that throw: a page hears of all of them, and of no secret',
    async (transport) => {
      const [first, second] = [await stage.server(careless), await stage.server(careless)];
      const options: PooledClientOptions = {
        transport,
        flightRecorderSize,
        credentials: () => Promise.resolve(TOKEN),
        metadata: { 'x-api-key': API_KEY, 'x-tenant': `${CANARY}-of-the-tenant-header` },
        failover: { enabled: true },
      };
      const client = stage.pooled([first, second], options);
      const inspector = await inspected(client);
      const page = await PageReader.open(inspector);
      await page.hello();

      const call = { metadata: { 'x-access-token': CALL_TOKEN, 'x-note': `${CANARY}-of-a-call-header` } };
      await client.check(secretQuestion());
      await client.check(secretQuestion(), call);
      // The caller's own, and told in full.
      expect((await rejection(client.check(secretQuestion('write')))).message).toContain(WHOM);
      await rejection(client.check(secretQuestion('write'), call));
      const unhealthy = nextEvent(client, 'health_stream_error');
      const monitoring = client.createHealthMonitoringStream(100);
      await unhealthy;
      monitoring.unsubscribe();
      const recorder = new Recorder();
      const handle = client.createBidirectionalStream({
        onResponse: () => {
          throw new TypeError(`${CANARY} was thrown`);
        },
        onError: recorder.onError,
        onEnd: recorder.onEnd,
      });
      handle.send({ requestId: `${CANARY}-1`, ...secretQuestion() });
      handle.send({ requestId: `${CANARY}-2`, ...secretQuestion('write') });
      await recorder.until(() => recorder.failures.length > 0 && stage.errors().length > 0, 'what the callback threw');
      const moved = nextEvent(client, 'failover_completed');
      await first.stop();
      await moved;
      await client.check(secretQuestion());
      await second.stop();
      await client.disconnect({ force: true });
      await page.frame('the end', ({ actors }) => actors.some(({ active }) => active[0] === 'closed'));
      const late = await PageReader.open(inspector);
      await late.hello();

      const told = page.messages.flatMap(({ events }) => events);
      expect(told.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['connected', 'failover_completed', 'pool_connection_failed', 'error', 'disconnected']),
      );
      expect(told.find(({ name }) => name === 'error')?.detail).toEqual({
        error: { name: 'AuthzClientError', code: 'ERR_AUTHZ_CALLBACK' },
      });
      expect(told.find(({ name }) => name === 'health_stream_error')?.detail).toEqual({
        error: { name: 'HealthCheckError', code: 'ERR_AUTHZ_HEALTH_CHECK' },
      });
      const causes = page.messages.flatMap(({ transitions }) => transitions.map(({ cause }) => cause));
      expect(causes).toContain('PERMISSION_DENIED');
      expect(page.text).not.toContain(CANARY);
      expect(late.text).not.toContain(CANARY);
      expect(JSON.stringify(client.dump())).not.toContain(CANARY);
    },
  );
});

test('a server that turns checks away and says whom: is left for the other, and the reason repeats nothing of it', async () => {
  const turnsAway: Script = {
    onStreamRequest: (_, stream) => stream.fail(GrpcCode.UNAVAILABLE, WHOM),
    onCheck: () => {
      throw new ScriptedStatus(GrpcCode.UNAVAILABLE, WHOM);
    },
  };
  const [first, second] = [await stage.server(turnsAway), await stage.server()];
  const client = stage.pooled([first, second], { failover: { enabled: true } });
  await client.connect();
  const page = await PageReader.open(await inspected(client));
  const moving = nextEvent(client, 'failover_started');
  let moves = 0;
  void moving.then(() => moves++);
  while (moves === 0) await client.check(secretQuestion()).catch(() => undefined);
  const reason = 'checks fail one after the other: UNAVAILABLE';
  expect((await moving).reason).toBe(reason);
  await page.frame('the reason', ({ transitions }) => transitions.some(({ cause }) => cause === reason));
  expect(page.text).not.toContain(CANARY);
});

test('a reason that came past every other guard: is redacted on its way to the page', async () => {
  const client = stage.client(await stage.server());
  await client.connect();
  const page = await PageReader.open(await inspected(client));
  await page.hello();
  runtimeOf(client).actors.tell('connection-1', { type: 'GOAWAY', reason: `Bearer ${TOKEN}` });
  const isGoaway = ({ event }: TransitionView): boolean => event === 'GOAWAY';
  const { transitions } = await page.frame('the GOAWAY', (frame) => frame.transitions.some(isGoaway));
  expect(transitions.find(isGoaway)?.cause).toBe('Bearer [redacted]');
  expect(page.text).not.toContain(CANARY);
});

test('an error of another realm, thrown by a listener: its class is told, and nothing that it bears', async () => {
  const client = stage.client(await stage.server());
  const page = await PageReader.open(await inspected(client));
  await page.hello();
  client.on('connected', () => {
    throw runInNewContext(`Object.assign(new TypeError('${CANARY}'), { patient: { name: '${CANARY}' } })`);
  });
  await client.connect();
  const isError = ({ name }: { readonly name: string }): boolean => name === 'error';
  const { events } = await page.frame('the error', (frame) => frame.events.some(isError));
  expect(events.find(isError)?.detail).toEqual({ error: { name: 'TypeError' } });
  expect(page.text).not.toContain(CANARY);
  expect(stage.errors()).toHaveLength(1);
});

test.each<[string, () => object, object]>([
  [
    'bear secrets',
    () => ({ name: `Bearer ${CANARY}`, code: `password=${CANARY}` }),
    { name: 'Bearer [redacted]', code: 'password=[redacted]' },
  ],
  ['are no text', () => ({ name: 10n, code: 10n }), { name: '10' }],
  ['have no text', () => ({ name: Object.create(null) as object }), { name: 'Error' }],
])('an error whose name and code %s: is told all the same, and no secret', async (_, fields, told) => {
  const client = stage.client(await stage.server());
  const page = await PageReader.open(await inspected(client));
  await page.hello();
  client.on('connected', () => {
    throw Object.assign(new Error(CANARY), fields());
  });
  await client.connect();
  const isError = ({ name }: { readonly name: string }): boolean => name === 'error';
  const { events } = await page.frame('the error', (frame) => frame.events.some(isError));
  expect(events.find(isError)?.detail).toEqual({ error: told });
  expect(page.text).not.toContain(CANARY);
  expect(stage.errors()).toHaveLength(1);
});

test('an error event that a page alone hears: is logged, as one that nobody listens for', async () => {
  const logged: string[] = [];
  const note = (_details: object, message: string): void => void logged.push(message);
  const { address } = await stage.server();
  const client = createClient({
    address,
    logger: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: note },
  });
  stage.onEnd(() => client.disconnect({ force: true }));
  const page = await PageReader.open(await inspected(client));
  await page.hello();
  client.on('connected', () => {
    throw new Error('oh');
  });
  await client.connect();
  await page.frame('the error', ({ events }) => events.some(({ name }) => name === 'error'));
  expect(logged).toEqual(['an error that nobody listens for']);
});
