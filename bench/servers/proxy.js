/**
 * A TCP proxy in front of a server, in a process of its own, for the faults that are the network's. `reset` answers every open connection with
 * RST and takes new ones; `blackhole` goes on taking connections and bytes and lets nothing through, in either direction. The first argument is
 * the server's port. Speaks like `fast-server.js`.
 */
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

const target = Number(process.argv[2]);
let isBlackhole = false;

/** @type {Set<import('node:net').Socket>} */
const clients = new Set();

const server = createServer({ noDelay: true }, (client) => {
  clients.add(client);
  client.on('error', () => undefined);
  if (isBlackhole) {
    client.resume();
    client.on('close', () => clients.delete(client));
    return;
  }
  const upstream = connect({ host: '127.0.0.1', port: target, noDelay: true });
  upstream.on('error', () => undefined);
  client.on('data', (bytes) => {
    if (!isBlackhole) upstream.write(bytes);
  });
  upstream.on('data', (bytes) => {
    if (!isBlackhole) client.write(bytes);
  });
  client.on('close', () => {
    clients.delete(client);
    upstream.destroy();
  });
  // A blackhole does not tell that the far side has gone.
  upstream.on('close', () => {
    if (!isBlackhole) client.destroy();
  });
});

/** @param {object} line */
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') print({ port: address.port });
});

createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line === 'reset') for (const client of clients) client.resetAndDestroy();
    if (line === 'blackhole') isBlackhole = true;
    print({ done: 1 });
  })
  .on('close', () => process.exit(0));
