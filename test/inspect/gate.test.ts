/** Who is served what, over real HTTP: the token, names and origins, methods, bounds, and what every answer bears. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startInspector } from '../../src/inspect/index.js';
import { type Inspector, serveClient } from '../../src/inspect/server.js';
import { ConfigurationError } from '../../src/index.js';
import { PageReader, request, tokenOf } from '../support/inspector-page.js';
import { eventually } from '../support/recorder.js';
import { rejection, useStage } from '../support/stage.js';

const stage = useStage();

let pageDirectory = '';
const FILES = {
  'index.html': '<!doctype html>',
  'page.js': 'export {};',
  'page.css': 'body {}',
  'charts.json': '{}',
} as const;
beforeAll(() => {
  pageDirectory = mkdtempSync(path.join(tmpdir(), 'authz-inspector-'));
  for (const [name, text] of Object.entries(FILES)) writeFileSync(path.join(pageDirectory, name), text);
  writeFileSync(path.join(pageDirectory, 'secret.txt'), 'not served');
});
afterAll(() => rmSync(pageDirectory, { recursive: true }));

async function started(): Promise<Inspector> {
  const inspector = await serveClient(stage.client({ address: '127.0.0.1:1' }), { pageDirectory });
  stage.onEnd(() => inspector.close());
  return inspector;
}

const bearer = (inspector: Inspector): { authorization: string } => ({ authorization: `Bearer ${tokenOf(inspector)}` });
const fieldOf = ({ json }: { json: unknown }): unknown => (json as { error?: { field?: unknown } }).error?.field;

describe('the files of the page', () => {
  test.each([
    ['/', 'text/html; charset=utf-8', FILES['index.html']],
    ['/index.html', 'text/html; charset=utf-8', FILES['index.html']],
    ['/page.js', 'text/javascript; charset=utf-8', FILES['page.js']],
    ['/page.js?v=1', 'text/javascript; charset=utf-8', FILES['page.js']],
    ['/page.css', 'text/css; charset=utf-8', FILES['page.css']],
    ['/charts.json', 'application/json; charset=utf-8', FILES['charts.json']],
  ])('%s without a token: is served as %s', async (url, type, text) => {
    const answer = await request(await started(), url);
    expect([answer.status, answer.headers['content-type'], answer.text]).toEqual([200, type, text]);
  });

  test.each(['/secret.txt', '/../package.json', '/%2e%2e/package.json', '//etc/passwd', '/page.js/', '/constructor'])(
    '%s: is none of them',
    async (url) => {
      const answer = await request(await started(), url);
      expect([answer.status, fieldOf(answer)]).toEqual([404, 'path']);
    },
  );

  test('a page that was not built: says how to build it', async () => {
    const inspector = await serveClient(stage.client({ address: '127.0.0.1:1' }), { pageDirectory: '/nowhere' });
    stage.onEnd(() => inspector.close());
    const answer = await request(inspector, '/');
    expect(answer.status).toBe(503);
    expect(answer.text).toContain('run npm run build');
  });
});

describe('the stream', () => {
  test('with the token of the URL: begins with a hello', async () => {
    const inspector = await started();
    expect(inspector.url).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:${inspector.port}/#token=[\\w-]{43}$`));
    const page = await PageReader.open(inspector, { origin: `http://127.0.0.1:${inspector.port}` });
    expect((await page.hello()).mode).toBe('live');
    page.leave();
  });

  test('without it, with another, or with it in the request line: tells nothing', async () => {
    const [inspector, other] = [await started(), await started()];
    const token = tokenOf(inspector);
    const answers = [
      await request(inspector, '/stream'),
      await request(inspector, '/stream', { headers: bearer(other) }),
      await request(inspector, '/stream', { headers: { authorization: `Bearer ${token}x` } }),
      await request(inspector, '/stream', { headers: { authorization: `Bearer ${token.slice(0, -1)}` } }),
      await request(inspector, '/stream', { headers: { authorization: 'Bearer ' } }),
      await request(inspector, '/stream', { headers: { authorization: `Basic ${token}` } }),
      await request(inspector, `/stream?token=${token}`),
      await request(inspector, `/stream`, { headers: { cookie: `token=${token}` } }),
    ];
    for (const answer of answers) {
      expect([answer.status, fieldOf(answer), answer.headers['www-authenticate']]).toEqual([
        401,
        'authorization',
        'Bearer',
      ]);
      expect(answer.text).not.toContain(token);
    }
  });

  test('eight pages that watch, and a ninth: is refused until one has gone', async () => {
    const inspector = await started();
    const pages = await Promise.all(Array.from({ length: 8 }, () => PageReader.open(inspector)));
    const refused = await request(inspector, '/stream', { headers: bearer(inspector) });
    expect([refused.status, fieldOf(refused), refused.headers['retry-after']]).toEqual([503, 'stream', '1']);
    expect(refused.text).toContain('8 pages');
    pages[0]?.leave();
    await eventually(async () => {
      try {
        pages.push(await PageReader.open(inspector));
        return true;
      } catch {
        return false;
      }
    }, 'a place for the ninth');
    await pages.at(-1)?.hello();
    for (const page of pages) page.leave();
  });
});

describe('every path', () => {
  const paths = ['/', '/charts.json', '/stream', '/engines/kill'];

  test.each(paths)('%s by a name that is not of this server: is refused', async (url) => {
    const inspector = await started();
    const { port } = inspector;
    const names = ['evil.example', `evil.example:${port}`, '127.0.0.1', 'localhost', `127.0.0.1:${port + 1}`];
    for (const host of [...names, `127.0.0.1.evil.example:${port}`, `[::1]:${port}`]) {
      const answer = await request(inspector, url, { headers: { ...bearer(inspector), host } });
      expect([host, answer.status, fieldOf(answer)]).toEqual([host, 403, 'host']);
    }
  });

  test.each(paths)('%s for a page of another origin: is refused', async (url) => {
    const inspector = await started();
    const { port } = inspector;
    const others = ['http://evil.example', 'null', `https://127.0.0.1:${port}`, `http://localhost:${port}`, ''];
    for (const origin of [...others, `http://127.0.0.1:${port + 1}`]) {
      const answer = await request(inspector, url, { headers: { ...bearer(inspector), origin } });
      expect([origin, answer.status, fieldOf(answer)]).toEqual([origin, 403, 'origin']);
    }
  });

  test('by no name at all, as HTTP/1.0 allows: is refused', async () => {
    const inspector = await started();
    const text = await new Promise<string>((resolve, reject) => {
      let got = '';
      connect({ host: '127.0.0.1', port: inspector.port })
        .setEncoding('utf8')
        .on('data', (chunk) => (got += String(chunk)))
        .once('error', reject)
        .once('end', () => resolve(got))
        .end('GET / HTTP/1.0\r\n\r\n');
    });
    expect(text).toMatch(/^HTTP\/1\.1 403 /);
    expect(text).toContain('"field":"host"');
  });

  test('by the name localhost, with its origin: is served', async () => {
    const inspector = await started();
    const host = `localhost:${inspector.port}`;
    const headers = { host, origin: `http://${host}` };
    expect((await request(inspector, '/', { headers })).status).toBe(200);
    const page = await PageReader.open(inspector, headers);
    await page.hello();
    page.leave();
  });

  test('asked by any method but GET: is refused, and says which may be used', async () => {
    const inspector = await started();
    const origin = `http://127.0.0.1:${inspector.port}`;
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      for (const url of paths) {
        const answer = await request(inspector, url, { method, headers: { ...bearer(inspector), origin } });
        expect([method, url, answer.status, answer.headers.allow]).toEqual([method, url, 405, 'GET']);
      }
    }
  });

  test('served or refused: forbids the browser to keep it, to show it elsewhere and to load anything else for it', async () => {
    const inspector = await started();
    const answers = [
      await request(inspector, '/'),
      await request(inspector, '/nothing'),
      await request(inspector, '/stream'),
      await request(inspector, '/', { headers: { host: 'evil.example' } }),
    ];
    for (const { headers } of answers) {
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
      });
      const rules = String(headers['content-security-policy']).split('; ');
      expect(Object.fromEntries(rules.map((rule) => [rule.split(' ')[0], rule.split(' ').slice(1)]))).toEqual({
        'default-src': ["'none'"],
        'script-src': ["'self'"],
        'style-src': ["'self'"],
        'img-src': ["'self'", 'data:'],
        'connect-src': ["'self'"],
        'base-uri': ["'none'"],
        'form-action': ["'none'"],
        'frame-ancestors': ["'none'"],
      });
      expect(headers['access-control-allow-origin']).toBeUndefined();
    }
  });
});

test('another address of this machine: nobody listens there', async () => {
  const inspector = await started();
  const error = await rejection(
    new Promise((resolve, reject) => {
      connect({ host: '127.0.0.2', port: inspector.port }).once('connect', resolve).once('error', reject);
    }),
  );
  expect(error).toMatchObject({ code: 'ECONNREFUSED' });
});

test('a hundred sockets that say nothing: no more than 64 are kept, and the page is served again once they are gone', async () => {
  const inspector = await started();
  const closed = new Set<Socket>();
  const sockets = await Promise.all(
    Array.from(
      { length: 100 },
      () =>
        new Promise<Socket>((resolve) => {
          const socket = connect({ host: '127.0.0.1', port: inspector.port });
          socket.once('connect', () => resolve(socket));
          socket.once('close', () => closed.add(socket)).on('error', () => undefined);
        }),
    ),
  );
  await eventually(() => closed.size === 36, '36 refused sockets');
  for (const socket of sockets) socket.destroy();
  await eventually(async () => (await request(inspector, '/').catch(() => undefined))?.status === 200, 'the page');
});

describe('startInspector', () => {
  const refusals: [string, unknown, unknown, RegExp][] = [
    ['a client that is none', {}, {}, /^client: must be a client made by createClient/],
    ['no client', undefined, {}, /^client: /],
    ['a port that is none', 'client', { port: 65_536 }, /^options\.port: must be a whole number ≥ 0 and ≤ 65535/],
    ['a port that is no number', 'client', { port: '80' }, /^options\.port: /],
    ['an option that there is not', 'client', { prot: 1 }, /^options\.prot: .*did you mean "port"/],
    ['controls, which are not for users', 'client', { controls: {} }, /^options\.controls: /],
    ['options that are none', 'client', 7, /^options: must be an object/],
  ];
  test.each(refusals)('%s: is refused', async (_what, client, options, message) => {
    const given = client === 'client' ? stage.client({ address: '127.0.0.1:1' }) : client;
    const error = await rejection(startInspector(given as never, options as never), ConfigurationError);
    expect(error.message).toMatch(message);
  });

  test('a port in use: is refused, and says what to do', async () => {
    const inspector = await started();
    const client = stage.client({ address: '127.0.0.1:1' });
    const error = await rejection(startInspector(client, { port: inspector.port }), ConfigurationError);
    expect(error.path).toBe('options.port');
    expect(error.message).toContain(`address in use: 127.0.0.1:${inspector.port}`);
    expect(error.message).toContain('leave it out for any free port');
  });
});
