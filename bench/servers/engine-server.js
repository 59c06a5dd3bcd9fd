/**
 * The embedded engine in a process of its own. Speaks like `fast-server.js`: `{"port":n}` on stdout, its CPU time on `usage`, gone when its
 * stdin closes; and on `drain` it leaves the way a server does that is told to: GOAWAY, the calls under way, the end. The first argument is the port.
 */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { loadEngine } from '../lib/built.js';

const { startEngine } = await loadEngine();
const engine = await startEngine({
  policies: fileURLToPath(new URL('policies', import.meta.url)),
  port: Number(process.argv[2] ?? 0),
});

/** @param {object} line */
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

print({ port: engine.port });
createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line === 'usage') {
      const { user, system } = process.cpuUsage();
      print({ cpuUs: user + system });
    } else if (line === 'drain') {
      // Told before it ends: what is measured begins here.
      print({ done: 1 });
      void engine.stop({ graceMs: 1_000 });
    }
  })
  .on('close', () => process.exit(0));
