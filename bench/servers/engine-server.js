/**
 * The embedded engine in a process of its own, to be killed. Speaks like `fast-server.js`: `{"port":n}` on stdout, gone when its stdin closes.
 */
import { fileURLToPath } from 'node:url';
import { loadEngine } from '../lib/built.js';

const { startEngine } = await loadEngine();
const engine = await startEngine({ policies: fileURLToPath(new URL('policies', import.meta.url)) });
process.stdout.write(`${JSON.stringify({ port: engine.port })}\n`);
process.stdin.on('end', () => process.exit(0)).resume();
