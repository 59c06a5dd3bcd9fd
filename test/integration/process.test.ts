/** What a connection does to the process that it is in. */

import { afterEach, describe, expect, it } from 'vitest';

import { exitOf, firstLine, spawnTypeScript } from '../support/child.js';
import { EchoServer } from '../support/echo-server.js';
import { TRANSPORT_NAMES } from '../support/transports.js';

describe.each(TRANSPORT_NAMES)('%s', (transport) => {
  const cleanups: (() => unknown)[] = [];

  afterEach(() => {
    for (const cleanup of cleanups.splice(0)) cleanup();
  });

  const idleClient = async (referenced: boolean) => {
    const server = await EchoServer.listen();
    const module = new URL('../support/idle-client-child.ts', import.meta.url);
    const child = spawnTypeScript(module, [transport, server.address, String(referenced)]);
    cleanups.push(
      () => {
        server.close();
      },
      () => child.kill('SIGKILL'),
    );
    expect(await firstLine(child)).toBe('idle');
    return { server, child };
  };

  it('an idle stream, unreferenced: the process ends by itself, the stream still open', async () => {
    const { server, child } = await idleClient(false);
    expect(await exitOf(child)).toBe(0);
    await server.until(() => server.events.includes('cancelled'), 'the server to see the end');
    expect(server.events[0]).toBe('open');
  });

  it('an idle stream, referenced: the process lives until the connection is lost', async () => {
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

  it('headers without a status, then a breach of HTTP/2 + a garbage collection before the streams are freed: the process lives', async () => {
    const module = new URL('../support/kept-headers-child.ts', import.meta.url);
    const child = spawnTypeScript(module, [transport]);
    expect(await firstLine(child)).toBe('survived');
    expect(await exitOf(child)).toBe(0);
  });
});
