/** How checks are spread over the streams of a connection. */

import { describe, expect, it } from 'vitest';
import { eventually } from '../support/recorder.js';
import { allow, type ScriptedStream, type WireRequest } from '../support/scripted-server.js';
import { question, useStage } from '../support/stage.js';

const stage = useStage();

/** It answers on every stream but those that were opened first. */
const stuckOn = (streams: number) => (request: WireRequest, stream: ScriptedStream) => {
  if (stream.index >= streams) stream.reply(allow(request));
};

describe('check() on a server that answers each stream in sequence', () => {
  it('one check that takes long: those that follow go past it on a second stream', async () => {
    const server = await stage.server({ onStreamRequest: stuckOn(1) });
    const client = stage.client(server);
    const asked = [client.check(question())];
    let answered = 0;
    await eventually(() => {
      const check = client.check(question());
      asked.push(check);
      check.then(
        () => (answered += 1),
        () => undefined,
      );
      return answered > 0;
    }, 'an answer past the one that takes long');
    expect(server.streams).toHaveLength(2);
    await client.disconnect({ force: true });
    await Promise.allSettled(asked);
  });

  it('checks that all take long: four streams are opened, and no more', async () => {
    const server = await stage.server({ onStreamRequest: stuckOn(100) });
    const client = stage.client(server);
    const asked: Promise<unknown>[] = [];
    const askMore = (): void => {
      for (let count = 0; count < 32; count += 1) asked.push(client.check(question()));
    };
    await eventually(() => {
      askMore();
      return server.streams.length === 4;
    }, 'four streams');
    for (let round = 0; round < 8; round += 1) askMore();
    await eventually(
      () => server.streams.reduce((sum, { requests }) => sum + requests.length, 0) === asked.length,
      'all requests',
    );
    expect(server.streams).toHaveLength(4);
    await client.disconnect({ force: true });
    await Promise.allSettled(asked);
  });
});
