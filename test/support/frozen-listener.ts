/** A listener in a stopped process whose accept queue is full: further dials get no answer at all, as from a host that drops packets. */

import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';

import { firstLine } from './child.js';
import { eventually } from './recorder.js';

const LISTEN = `
const server = require('node:net').createServer();
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port));
`;

export interface FrozenListener {
  readonly port: number;
  close(): void;
}

export async function frozenListener(): Promise<FrozenListener> {
  const child = spawn(process.execPath, ['-e', LISTEN]);
  const port = Number(await firstLine(child));
  child.kill('SIGSTOP');
  const fillers: Socket[] = [];
  const close = (): void => {
    for (const filler of fillers) filler.destroy();
    child.kill('SIGKILL');
  };
  // The queue takes one or two more than its backlog; it is full when a dial is still pending while its predecessors are not.
  for (let index = 0; index < 8; index += 1) {
    const filler = connect({ port, host: '127.0.0.1' });
    filler.on('error', () => undefined);
    fillers.push(filler);
  }
  await eventually(() => fillers.some((filler) => !filler.connecting), 'the queue to fill');
  if (!fillers.some((filler) => filler.connecting)) {
    close();
    throw new Error('the accept queue did not fill');
  }
  return { port, close };
}
