import { afterEach, describe, expect, it } from 'vitest';

import { createGrpcJsTransport } from '../../src/transport/grpc-js.js';
import { exitOf, firstLine, spawnTypeScript } from '../support/child.js';
import { EchoServer } from '../support/echo-server.js';
import { describeTransportContract } from './transport-contract.js';

describeTransportContract('grpc-js', createGrpcJsTransport, {
  goawayDetail: true,
  ping: true,
  streamLimitChanges: false,
});

describe('grpc-js: whether an idle stream holds the process', () => {
  const cleanups: (() => unknown)[] = [];

  afterEach(() => {
    for (const cleanup of cleanups.splice(0)) cleanup();
  });

  const idleClient = async (referenced: boolean) => {
    const server = await EchoServer.listen();
    const module = new URL('../support/idle-client-child.ts', import.meta.url);
    const child = spawnTypeScript(module, [server.address, String(referenced)]);
    cleanups.push(
      () => {
        server.close();
      },
      () => child.kill('SIGKILL'),
    );
    expect(await firstLine(child)).toBe('idle');
    return { server, child };
  };

  it('unreferenced: the process ends by itself, the stream still open', async () => {
    const { server, child } = await idleClient(false);
    expect(await exitOf(child)).toBe(0);
    await server.until(() => server.events.includes('cancelled'), 'the server to see the end');
    expect(server.events[0]).toBe('open');
  });

  it('referenced: the process lives until the connection is lost', async () => {
    const { server, child } = await idleClient(true);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    // A turn of the child's loop that an unreferenced one would not survive: another echo needs it alive.
    const [call] = server.calls;
    call?.write(Buffer.from('still there?'));
    await server.until(() => server.calls.length === 1, 'the call');
    expect(child.exitCode).toBeNull();
    server.close();
    expect(await exitOf(child)).toBe(0);
    expect(output).toContain('down lost');
  });
});
