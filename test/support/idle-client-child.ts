/** A client that opens a stream, gets an echo, and then has nothing left to do. Arguments: transport, address, `true` to stay referenced. */

import { systemClock } from '../../src/core/clock.js';
import { transportNamed } from './transports.js';

const [transport, address = '', referenced = ''] = process.argv.slice(2);
// Holds the process until the echo is in: a transport never does so by itself.
const busy = setInterval(() => undefined, 1000);
const options = { connectTimeoutMs: 5000, maxMessageBytes: 1024, userAgent: 'idle', clock: systemClock };
const connection = transportNamed(transport).connect({ address }, options, {
  onUp: () => {
    const stream = connection.openStream(
      '/test.Echo/Stream',
      {},
      {
        onMessage: () => {
          process.stdout.write('idle\n');
          connection.setReferenced(referenced === 'true');
          clearInterval(busy);
        },
        onDrain: () => undefined,
        onStatus: () => undefined,
      },
    );
    stream.write(Buffer.from('hello'));
  },
  onStreamLimit: () => undefined,
  onGoaway: () => undefined,
  onDown: (cause) => {
    process.stdout.write(`down ${cause.kind}\n`);
  },
});
