/** Who may not see the client, tried with a real browser: it sends what a browser sends, and keeps what a browser keeps. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished } from 'vitest';
import { createClient } from '../../src/index.js';
import { type Inspector, startInspector } from '../../src/inspect/index.js';
import { PageBrowser } from '../support/browser.js';
import { tokenOf } from '../support/inspector-page.js';
import { testWith } from '../support/needs.js';

/** A name of somebody else's that leads here, as after DNS rebinding. */
const REBOUND = 'rebound.test';

const browser = new PageBrowser(`--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`);
const browserTest = testWith('chromium');

async function inspected(): Promise<Inspector> {
  const client = createClient({ address: '127.0.0.1:1' });
  const inspector = await startInspector(client);
  onTestFinished(async () => {
    await inspector.close();
    await client.disconnect();
  });
  return inspector;
}

/** A web page of another origin: it runs as `script` says, and shows what came of it. */
async function foreignPage(script: string): Promise<string> {
  const server: Server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html')
      .end(`<!doctype html><link rel="icon" href="data:,"><p id="outcome"></p>
      <script type="module">
        const tell = (text) => { document.getElementById('outcome').textContent = text; };
        ${script}
      </script>`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe('an inspector, visited', () => {
  browserTest('by its URL: is seen, and the token is in no request line', async () => {
    const inspector = await inspected();
    const { page, requests } = await browser.open(inspector.url);
    await page.getByRole('treeitem', { name: 'client' }).waitFor();
    expect(requests.length).toBeGreaterThan(2);
    expect(requests.filter((url) => url.replace(/#.*/, '').includes(tokenOf(inspector)))).toEqual([]);
  });

  browserTest(
    'without the token: shows nothing of the client, asks for nothing, and says what is missing',
    async () => {
      const inspector = await inspected();
      const { page, requests } = await browser.open(`http://127.0.0.1:${inspector.port}/`);
      await page.getByRole('heading', { name: 'This address has no token' }).waitFor();
      expect(await page.getByRole('treeitem').count()).toBe(0);
      expect(requests.filter((url) => url.includes('/stream'))).toEqual([]);
    },
  );

  browserTest('with a wrong token: shows nothing of the client, and says what to do', async () => {
    const inspector = await inspected();
    const { page } = await browser.open(`http://127.0.0.1:${inspector.port}/#token=guessed`, { complains: true });
    await page.getByRole('heading', { name: 'The token is not this inspector’s' }).waitFor();
    expect(await page.getByRole('treeitem').count()).toBe(0);
  });

  browserTest('under a foreign name that leads to it: is refused, whatever is asked for', async () => {
    const inspector = await inspected();
    const { page } = await browser.open(`http://${REBOUND}:${inspector.port}/#token=${tokenOf(inspector)}`, {
      complains: true,
    });
    expect(await page.locator('body').innerText()).toContain('host: must be 127.0.0.1');
    const asked = await page.evaluate<number>(`
      fetch('/stream', { headers: { authorization: 'Bearer ${tokenOf(inspector)}' } }).then(({ status }) => status)`);
    expect(asked).toBe(403);
  });
});

describe('a web page of another origin, in the same browser', () => {
  browserTest('that knows the token and asks for the stream: may not send it, let alone read', async () => {
    const inspector = await inspected();
    const url = await foreignPage(`
      const headers = { authorization: 'Bearer ${tokenOf(inspector)}' };
      fetch('http://127.0.0.1:${inspector.port}/stream', { headers }).then(
        (response) => tell('answered ' + response.status), (error) => tell('refused: ' + error.message));`);
    const { page, complaints } = await browser.open(url, { complains: true });
    await page.getByText('refused: Failed to fetch').waitFor();
    expect(complaints.join('\n')).toMatch(/blocked by CORS policy/);
  });

  browserTest('that asks without reading (no-cors), the token left out: learns nothing', async () => {
    const inspector = await inspected();
    const url = await foreignPage(`
      fetch('http://127.0.0.1:${inspector.port}/charts.json', { mode: 'no-cors' }).then(
        (response) => tell('answered ' + response.status), (error) => tell('refused: ' + error.message));`);
    const { page } = await browser.open(url, { complains: true });
    await page.getByText('refused: Failed to fetch').waitFor();
  });

  browserTest('that frames it: gets an empty frame', async () => {
    const inspector = await inspected();
    const url = await foreignPage(`
      const frame = document.createElement('iframe');
      frame.onload = () => tell('loaded');
      frame.src = ${JSON.stringify(inspector.url)};
      document.body.append(frame);`);
    const { page, complaints } = await browser.open(url, { complains: true });
    await page.getByText('loaded').waitFor();
    expect(complaints.join('\n')).toMatch(/frame-ancestors|X-Frame-Options/);
    const [, framed] = page.frames();
    expect(await framed?.locator('#root').count()).toBe(0);
  });
});
