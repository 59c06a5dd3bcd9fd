/** `disconnect()` leaves nothing behind, and a client holds the process open for as long as something is outstanding, and no longer. */

import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ChildProgram } from '../support/engine-process.js';
import { allow, type Script } from '../support/scripted-server.js';
import { clientSocketsTo } from '../support/sockets.js';
import { useStage } from '../support/stage.js';

const stage = useStage();

function start(program: string, ...args: string[]): ChildProgram {
  const child = new ChildProgram(program, args);
  stage.onEnd(() => child.kill());
  return child;
}

interface Gone {
  readonly tookMs: number;
  readonly left: readonly string[];
  readonly settled: readonly string[];
  readonly state: string;
}

async function disconnected(child: ChildProgram, line: 'force' | 'gently'): Promise<Gone> {
  child.say(line);
  return JSON.parse((await child.line('gone')).slice('gone '.length)) as Gone;
}

/** Answers all but what is called `hold`. */
const HOLDING: Script = {
  onStreamRequest: (request, stream) => {
    if (!request.requestId.startsWith('hold')) stream.reply(allow(request));
  },
  onCheck: () => new Promise(() => undefined),
};

async function silentPort(): Promise<number> {
  const silent = createServer((socket) => socket.resume().on('error', () => undefined));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  stage.onEnd(() => silent.close());
  return (silent.address() as AddressInfo).port;
}

/** Brings the child into its state, and says which ports it may have sockets to. */
const ARRANGE: Readonly<Record<string, () => Promise<{ child: ChildProgram; ports: number[]; state: string }>>> = {
  idle: () => simple('idle', 'idle'),
  connecting: async () => {
    const port = await silentPort();
    return {
      child: start('disconnect-child', 'connecting', `127.0.0.1:${port}`),
      ports: [port],
      state: 'connecting',
    };
  },
  open: () => simple('open', 'open'),
  busy: () => simple('busy', 'open'),
  paused: () => simple('paused', 'open'),
  draining: () => simple('draining', 'open'),
  reconnecting: async () => {
    const server = await stage.server();
    const child = start('disconnect-child', 'reconnecting', server.address);
    await child.line('ready');
    await server.stop();
    return { child, ports: [server.port], state: 'reconnecting' };
  },
  failedOver: async () => {
    const primary = await stage.server();
    const backup = await stage.server();
    const child = start('disconnect-child', 'failedOver', primary.address, backup.address);
    await child.line('ready');
    await backup.until(() => backup.openConnections > 0, 'the warm connection');
    await primary.stop();
    return { child, ports: [primary.port, backup.port], state: 'failedOver' };
  },
};

async function simple(name: string, state: string): Promise<{ child: ChildProgram; ports: number[]; state: string }> {
  const server = await stage.server(HOLDING);
  return { child: start('disconnect-child', name, server.address), ports: [server.port], state };
}

describe.each(Object.keys(ARRANGE))('a client that is %s', (name) => {
  test.each(['gently', 'force'] as const)(
    'disconnected %s: leaves no socket, no timer and nothing pending, and the process ends',
    async (how) => {
      const arranged = await ARRANGE[name]?.();
      if (arranged === undefined) throw new Error(`no state ${name}`);
      const { child, ports, state } = arranged;
      expect(await child.line('state')).toBe(`state ${state}`);
      const gone = await disconnected(child, how);
      expect(gone.left).toEqual([]);
      expect(gone.state).toBe('closed');
      expect(gone.tookMs).toBeLessThan(how === 'force' ? 250 : 1_000);
      for (const port of ports) expect(clientSocketsTo(port, child.pid)).toBe(0);
      const pending: Readonly<Record<string, number>> = {
        connecting: 2,
        busy: 4,
        paused: 2,
        draining: 2,
        reconnecting: 3,
      };
      expect(gone.settled.length).toBeGreaterThanOrEqual(pending[name] ?? 0);
      child.say('end');
      expect(await child.exited).toBe(0);
      expect(child.errors).toBe('');
    },
  );
});

describe('a process with nothing else to do exits with a client', () => {
  test.each([
    ['made and never used', ['done']],
    ['connected and idle', ['done']],
    ['with an idle open stream', ['done']],
    ['with a parked call', ['done', 'end']],
    ['with a health monitor', ['done']],
    ['with an un-awaited send', ['done', 'response r']],
    ['with an un-awaited disconnect', ['done', 'disconnected']],
    ['with a pending next()', ['response r', 'next', 'done']],
  ])('%s, having done what is outstanding', async (what, lines) => {
    const server = await stage.server();
    const child = start('exit-child', what, server.address);
    expect(await child.exited).toBe(0);
    expect(child.errors).toBe('');
    expect([...child.lines].sort()).toEqual([...lines].sort());
    await expect.poll(() => server.openConnections).toBe(0);
  });

  test('with a check in the middle of a backoff, after it has settled and not before', async () => {
    const server = await stage.server();
    await server.stop();
    const child = start('exit-child', 'with a check in the middle of a backoff', server.address);
    expect(await child.exited).toBe(0);
    expect(child.lines).toEqual(['connect ConnectionError', 'check ConnectionError', 'done']);
  });
});
