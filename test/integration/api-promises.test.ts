/** Promises that are easy to break from afar: each of these was once broken. */

import { describe, expect, test } from 'vitest';
import { Effect } from '../../src/index.js';
import { allow, deny, ScriptedStatus } from '../support/scripted-server.js';
import { question, Recorder, useStage } from '../support/stage.js';

const stage = useStage();

describe('an answer that the server repeats', () => {
  test('while the same id asks another question: does not answer it', async () => {
    const server = await stage.server({
      onStreamRequest: (request, stream) => {
        if (request.resource?.id !== 'secret') {
          stream.reply(allow(request));
          return;
        }
        // The first answer once more, under its own id, and only then the one that was asked for.
        stream.reply({ ...allow(request), requestId: 'same' });
        stream.reply(deny(request));
      },
    });
    const client = stage.client(server);
    const ask = (id: string) => client.check(question({ requestId: 'same', resource: { kind: 'document', id } }));
    expect([...(await ask('public')).results.values()].map(({ effect }) => effect)).toEqual([Effect.ALLOW]);
    expect([...(await ask('secret')).results.values()].map(({ effect }) => effect)).toEqual([Effect.DENY]);
  });
});

describe('a token that the server refuses', () => {
  test('again and again, each time it is rotated: a fresh one is read each time', async () => {
    let valid = 1;
    let reads = 0;
    const server = await stage.server({
      onCheck: (request, metadata) => {
        if (metadata.get('authorization')[0] !== `Bearer token-${valid}`) throw new ScriptedStatus(16);
        return allow(request);
      },
      unimplemented: ['CheckStream', 'CheckBatch'],
    });
    const client = stage.client(server, {
      credentials: () => {
        reads++;
        return Promise.resolve(`token-${valid}`);
      },
    });
    await client.check(question());
    valid = 2;
    const burst = await Promise.all(Array.from({ length: 20 }, () => client.check(question())));
    expect(burst.every(({ error }) => error === undefined)).toBe(true);
    expect(reads).toBeGreaterThanOrEqual(2);
  });
});

describe('a stream that ends with deduplication on', () => {
  test('after a send that the cache answers: the answer comes, then onEnd', async () => {
    const client = stage.client(await stage.server());
    client.enableDeduplication();
    await client.check(question({ requestId: 'known' }));
    const recorder = new Recorder();
    const handle = client.createBidirectionalStream(recorder);
    expect(handle.send(question({ requestId: 'known' }))).toBe(true);
    handle.end();
    await expect.poll(() => recorder.ends).toBe(1);
    expect(recorder.responses.map(({ requestId }) => requestId)).toEqual(['known']);
    expect(recorder.failures).toEqual([]);
  });
});

describe('a batch on a server without CheckBatch', () => {
  test('whose requests the caller changes meanwhile: asks what was asked', async () => {
    const server = await stage.server({ unimplemented: ['CheckBatch'] });
    const client = stage.client(server);
    const request = question({ resource: { kind: 'document', id: 'before' } });
    const answers = client.checkBatch([request]);
    request.resource.id = 'after';
    await answers;
    expect(server.streamed.map(({ resource }) => resource?.id)).toEqual(['before']);
  });
});

describe('an iterator that is left twice', () => {
  test('beside another: the other one still ends with the stream', async () => {
    const client = stage.client(await stage.server());
    const handle = client.createBidirectionalStream(new Recorder());
    const left = handle[Symbol.asyncIterator]();
    const other = handle[Symbol.asyncIterator]();
    await left.return?.();
    await left.return?.();
    const next = other.next();
    handle.end();
    expect(await next).toEqual({ done: true, value: undefined });
  });
});

describe('a pool of two endpoints scaled down', () => {
  test('when the youngest connection is its endpoint’s only one: that one stays', async () => {
    const servers = [await stage.server(), await stage.server()];
    const client = stage.pooled(servers);
    await client.scalePool(4);
    await client.scalePool(2);
    await expect.poll(() => client.getConnections().length).toBe(2);
    expect(new Set(client.getConnections().map(({ address }) => address)).size).toBe(2);
  });
});
