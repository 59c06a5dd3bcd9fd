/** The page of the inspector: in a process of its own, where it reads what a browser would read. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { loadInspect } from '../lib/built.js';

/** Looked at for this many frames before the page is closed again: a second of them, if there is something to tell. */
const FRAMES = 8;

/**
 * Opens the page on a client, and leaves it open, or closes it and its inspector again.
 * @param {import('../../src/index.js').AuthzClient} client
 * @param {'open' | 'closed'} page
 */
export async function lookAt(client, page) {
  const { startInspector } = await loadInspect();
  const inspector = await startInspector(client);
  const reader = spawn(process.execPath, [fileURLToPath(import.meta.url), inspector.url], {
    // It leaves when we do: this pipe closes then.
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(reader.stdout, 'data');
  if (page === 'open') return;
  reader.kill();
  await once(reader, 'close');
  await inspector.close();
}

/** @param {string} url with the token in its fragment, as it is opened in a browser */
async function read(url) {
  const { origin, hash } = new URL(url);
  const response = await fetch(`${origin}/stream`, {
    headers: { authorization: `Bearer ${hash.slice('#token='.length)}` },
  });
  if (!response.ok || response.body === null) throw new Error(`the inspector answered ${response.status}`);
  let frames = 0;
  let rest = '';
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      /** @type {unknown} */
      const message = JSON.parse(line);
      if (/** @type {import('../../src/inspect/protocol.js').Message} */ (message).type === 'frame') frames++;
      if (frames === FRAMES) process.stdout.write('looked\n');
    }
  }
}

const [, script, url] = process.argv;
if (script === fileURLToPath(import.meta.url) && url !== undefined) {
  createInterface({ input: process.stdin }).on('close', () => process.exit(0));
  await read(url);
}
