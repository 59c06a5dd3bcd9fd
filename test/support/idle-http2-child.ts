/** As `idle-client-child.ts`, on the http2 transport. Arguments: address, `true` to stay referenced. */

import { systemClock } from '../../src/core/clock.js';
import { createHttp2Transport } from '../../src/transport/http2.js';

const [address = '', referenced = ''] = process.argv.slice(2);
// Holds the process until the echo is in: a transport never does so by itself.
const busy = setInterval(() => undefined, 1000);
const options = { connectTimeoutMs: 5000, maxMessageBytes: 1024, userAgent: 'idle', clock: systemClock };
const connection = createHttp2Transport().connect({ address }, options, {
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
