/** Only an ALLOW that the server gave for the asked action is an allow, on whatever way the question went. */

import { describe, expect, test } from 'vitest';
import { type AuthzClient, type CheckResponse, Effect, isAllowed } from '../../src/index.js';
import { allow, type ScriptedServer, type WireRequest, type WireResponse } from '../support/scripted-server.js';
import { question, Recorder, useStage } from '../support/stage.js';

const stage = useStage();

const ALLOW = { effect: 1, policy: 'scripted', matched: true };
type Results = NonNullable<WireResponse['results']>;

/** Answers to "read and write?" that are no allow of both. */
const BAD_ANSWERS: readonly (readonly [string, Results])[] = [
  ['other actions than asked', { delete: ALLOW, 'read ': ALLOW, READ: ALLOW, 'read,write': ALLOW }],
  ['one action missing', { read: ALLOW }],
  ['one action missing and one more in its place', { read: ALLOW, delete: ALLOW }],
  ['no results', {}],
  ['UNSPECIFIED', { read: ALLOW, write: { effect: 0, matched: true } }],
  ['a result without an effect', { read: ALLOW, write: { policy: 'allow', rule: 'ALLOW', matched: true } }],
  ['effect 99', { read: ALLOW, write: { effect: 99, matched: true } }],
  ['effect -1', { read: ALLOW, write: { effect: -1, matched: true } }],
  ['one DENY', { read: ALLOW, write: { effect: 2, matched: true } }],
  ['wildcards', { '*': ALLOW, 'r*': ALLOW, '': ALLOW, 'wri*': ALLOW }],
  ['names of the prototype', { constructor: ALLOW, toString: ALLOW, hasOwnProperty: ALLOW }],
];

const asked = () => question({ actions: ['read', 'write'] });

/** Every way that a question can go. */
const WAYS: readonly (readonly [string, (client: AuthzClient) => Promise<CheckResponse>])[] = [
  ['check()', (client) => client.check(asked())],
  ['check() as a call of its own', (client) => client.check(asked(), { metadata: { 'x-a': 'b' } })],
  [
    'checkBatch()',
    async (client) => {
      const [first] = await client.checkBatch([asked(), asked()]);
      if (first === undefined) throw new Error('no response');
      return first;
    },
  ],
  ['check() of a stream', (client) => client.createBidirectionalStream(new Recorder()).check(asked())],
  [
    'send() of a stream',
    async (client) => {
      const recorder = new Recorder();
      client.createBidirectionalStream(recorder).send(asked());
      await recorder.answered(1);
      return recorder.responses[0] as CheckResponse;
    },
  ],
  [
    'check() answered from the cache',
    async (client) => {
      client.enableDeduplication();
      const one = { ...asked(), requestId: 'the same' };
      await client.check(one);
      const again = await client.check(one);
      expect(client.getDeduplicationCacheStats().hits).toBe(1);
      return again;
    },
  ],
];

function serve(results: (request: WireRequest) => Results): Promise<ScriptedServer> {
  const answer = (request: WireRequest): WireResponse => ({ requestId: request.requestId, results: results(request) });
  return stage.server({
    onStreamRequest: (request, stream) => stream.reply(answer(request)),
    onCheck: answer,
    onBatch: (requests) => ({ responses: requests.map(answer) }),
  });
}

describe.each(WAYS)('%s', (_way, ask) => {
  test.each(BAD_ANSWERS)(
    'answered with %s: is no allow, and has the asked actions and no other',
    async (_, results) => {
      const response = await ask(stage.client(await serve(() => results)));
      expect([...response.results.keys()]).toEqual(['read', 'write']);
      expect(isAllowed(response)).toBe(false);
      expect(isAllowed(response, 'write')).toBe(false);
      for (const other of ['delete', '*', '', '__proto__', 'constructor', 'toString', 'READ']) {
        expect(isAllowed(response, other)).toBe(false);
      }
    },
  );

  test('answered with ALLOW for what was asked: is an allow, so that the others are no accident', async () => {
    const response = await ask(stage.client(await serve((request) => allow(request).results ?? {})));
    expect(isAllowed(response)).toBe(true);
    expect(isAllowed(response, 'delete')).toBe(false);
  });
});

test('an allow of another question than the one that was asked: is not taken for its answer', async () => {
  const server = await stage.server({
    // For one that nobody asked, then for an earlier one again; and a denial at last.
    onStreamRequest: (request, stream) => {
      stream.reply({ ...allow(request), requestId: `${request.requestId}0` });
      for (const earlier of stream.requests.slice(0, -1)) stream.reply(allow(earlier));
      stream.reply({ requestId: request.requestId, results: { read: { effect: 2, matched: true } } });
      stream.reply(allow(request));
    },
  });
  const client = stage.client(server);
  for (let count = 0; count < 5; count++) {
    const response = await client.check(question());
    expect(response.results.get('read')?.effect).toBe(Effect.DENY);
  }
});

test('errors, timeouts and items that failed: no allow', async () => {
  const server = await stage.server({
    onStreamRequest: () => undefined,
    onBatch: ([first]) => ({ responses: first === undefined ? [] : [allow(first)] }),
  });
  const client = stage.client(server);
  await expect(client.check(question(), { deadline: 50 })).rejects.toMatchObject({ name: 'TimeoutError' });
  const responses = await client.checkBatch([question(), question()]);
  expect(responses.map((response) => isAllowed(response))).toEqual([true, false]);
  expect(responses[1]?.error).toBeInstanceOf(Error);
  expect(() => isAllowed(client.check(question()).catch(() => undefined) as never)).toThrow('was it awaited?');
});
