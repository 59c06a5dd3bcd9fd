/**
 * A server that sends headers without a status, and then breaks the protocol; the garbage collector runs when the client's session has let go
 * of its streams, and they are not freed yet. Prints `survived`. Arguments: the transport.
 */

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

import { systemClock } from '../../src/core/clock.js';
import { collectGarbage } from './gc.js';
import { FrameType, RawServer } from './raw-server.js';
import { ConnectionRecorder, StreamRecorder } from './recorder.js';
import { transportNamed } from './transports.js';

const ROUNDS = 20;

const transport = transportNamed(process.argv[2]);
const options = { connectTimeoutMs: 5_000, maxMessageBytes: 1_024, userAgent: 'headers/1', clock: systemClock };
const server = await RawServer.listen();

// Read after what the client reads in the same turn of the loop, as it is waited for only then.
const bell = createServer().listen(0, '127.0.0.1');
await once(bell, 'listening');
const hearing = connect((bell.address() as AddressInfo).port, '127.0.0.1').pause();
const [ringing] = (await once(bell, 'connection')) as [Socket];
hearing.on('data', () => {
  hearing.pause();
  collectGarbage();
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function round(): Promise<void> {
  const recorder = new ConnectionRecorder();
  const connection = transport.connect({ address: server.address }, options, recorder);
  const peer = await server.connection(server.connections.length);
  await recorder.up();
  const call = new StreamRecorder();
  connection.openStream('/test.Headers/Stream', {}, call).write(Buffer.from('question'));
  const id = await peer.call();
  await peer.frame(FrameType.DATA, id);
  // The client has read what the server sent before.
  await turn();
  await turn();
  peer.socket.setNoDelay(true).cork();
  peer.headers(id, { 'x-kept': 'by the stream, as these headers are not handed out' });
  peer.windowUpdate(0, 0);
  peer.socket.uncork();
  ringing.write('now');
  hearing.resume();
  await recorder.down();
  await call.status();
  server.connections.length = 0;
}

for (let count = 0; count < ROUNDS; count++) await round();
process.stdout.write('survived\n');
process.exit(0);
