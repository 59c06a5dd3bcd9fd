/** What a socket can make the server hold, and for how long: bounds that need no token to be tried. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EngineControls } from '../../src/inspect/engine-controls.js';
import { SECURITY_HEADERS } from '../../src/inspect/gate.js';
import { RecordingSource } from '../../src/inspect/recording.js';
import { type Inspector, serveClient, serveRecording, type ServeOptions } from '../../src/inspect/server.js';
import { PageReader, request, tokenOf } from '../support/inspector-page.js';
import { eventually } from '../support/recorder.js';
import { servedBy } from '../support/served.js';
import { useStage } from '../support/stage.js';

const stage = useStage();

/** More than the kernel takes for a socket that does not read. */
const MUCH = 'x'.repeat(16 * 1_048_576);

let pageDirectory = '';
beforeAll(() => {
  pageDirectory = mkdtempSync(path.join(tmpdir(), 'authz-inspector-'));
  writeFileSync(path.join(pageDirectory, 'index.html'), '<!doctype html>');
  writeFileSync(path.join(pageDirectory, 'page.js'), MUCH);
});
afterAll(() => rmSync(pageDirectory, { recursive: true }));

async function started(options: ServeOptions = {}): Promise<Inspector> {
  const inspector = await serveClient(stage.client({ address: '127.0.0.1:1' }), { pageDirectory, ...options });
  stage.onEnd(() => inspector.close());
  return inspector;
}

/** A socket of which nothing is read until somebody does. */
function sent({ port }: Inspector, text: string): Socket {
  const socket = connect({ host: '127.0.0.1', port }).setEncoding('latin1');
  socket.on('error', () => undefined).write(text);
  stage.onEnd(() => void socket.destroy());
  return socket;
}

/** All that comes, until the server ends it. */
async function readToEnd(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => (text += String(chunk)));
  await eventually(() => socket.closed, 'the end of the socket');
  return text;
}

const get = ({ port }: Inspector, url: string): string => `GET ${url} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n`;

/** Of one answer, with what every answer bears, and nothing after it. */
function expectRefusal(text: string, status: number, field: string): void {
  const [head = '', body = '', ...rest] = text.split('\r\n\r\n');
  const [line, ...headers] = head.toLowerCase().split('\r\n');
  expect(line).toMatch(new RegExp(`^http/1\\.1 ${status} `));
  for (const [name, value] of Object.entries(SECURITY_HEADERS))
    expect(headers).toContain(`${name}: ${value.toLowerCase()}`);
  expect(headers).toContain(`content-length: ${Buffer.byteLength(body)}`);
  expect(JSON.parse(body)).toEqual({ error: { field, message: expect.stringMatching(`^${field}: `) as string } });
  expect(rest).toEqual([]);
}

/** A dump whose page has `text` in it. */
const recordingOf = (text: string): Parameters<typeof serveRecording>[0] => ({
  package: { version: '0.0.0' },
  dumpedAt: '2026-01-01T00:00:00.000Z',
  startedAtMs: 0,
  nowMs: 0,
  actors: [{ actor: 'client', machine: 'client', state: 'idle', status: 'active', context: { text } }],
  recorder: { dropped: 0 },
  transitions: [],
});

describe('requests', () => {
  test('sent before the answer to the first of them: end their socket', async () => {
    const inspector = await started();
    const text = await readToEnd(sent(inspector, `${get(inspector, '/')}\r\n`.repeat(100)));
    expect(text.match(/^HTTP\/1\.1/gm) ?? []).toHaveLength(0);
  });

  test('one after the other on a socket: are all answered', async () => {
    const inspector = await started();
    const socket = sent(inspector, '');
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk)));
    for (let count = 1; count <= 20; count++) {
      socket.write(`${get(inspector, '/')}\r\n`);
      await eventually(() => text.split('<!doctype html>').length > count, 'an answer');
    }
    expect(socket.closed).toBe(false);
  });
});

test('a file that was served: is held in memory, once for all who ask', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'authz-inspector-'));
  writeFileSync(path.join(directory, 'page.css'), 'body {}');
  const inspector = await started({ pageDirectory: directory });
  await request(inspector, '/page.css');
  rmSync(directory, { recursive: true });
  expect((await request(inspector, '/page.css')).text).toBe('body {}');
});

describe('an answer of which nothing is taken', () => {
  test('a file: ends with its socket', async () => {
    const inspector = await started({ deadlines: { silenceMs: 200 } });
    const served = servedBy(inspector);
    sent(inspector, `${get(inspector, '/page.js')}\r\n`);
    const answer = await served;
    await eventually(() => answer.destroyed, 'its end');
  });

  test('eight pages of a recording: make room', async () => {
    const inspector = await serveRecording(recordingOf(MUCH), { deadlines: { silenceMs: 200 } });
    stage.onEnd(() => inspector.close());
    const asked = `${get(inspector, '/stream')}authorization: Bearer ${tokenOf(inspector)}\r\n\r\n`;
    for (let page = 0; page < 8; page++) {
      const served = servedBy(inspector);
      sent(inspector, asked);
      await served;
    }
    await expect(PageReader.open(inspector)).rejects.toThrow('/stream answered 503');
    await eventually(async () => {
      const page = await PageReader.open(inspector).catch(() => undefined);
      page?.leave();
      return page !== undefined;
    }, 'a place for another');
  });

  test('many pages of a recording: wait for the same bytes', () => {
    const source = new RecordingSource(recordingOf('text'));
    expect(source.open().hello(null)).toBe(source.open().hello(null));
  });
});

describe('a request that does not come to its end', () => {
  const controls: EngineControls = {
    engines: () => [{ address: 'a:1', state: 'running' }],
    kill: () => Promise.reject(new Error('of no request that is whole')),
    freeze: () => Promise.reject(new Error('of no request that is whole')),
    revive: () => Promise.reject(new Error('of no request that is whole')),
  };

  test.each(['', 'GET / HTTP/1.1\r\nhost: loc'])('of which only %j has come: ends with its socket', async (text) => {
    const inspector = await started({ deadlines: { headersMs: 100 } });
    expectRefusal(await readToEnd(sent(inspector, text)), 408, 'request');
  });

  test('of which the body is missing: ends with its socket', async () => {
    const inspector = await started({ controls, deadlines: { headersMs: 100, requestMs: 100 } });
    const page = await PageReader.open(inspector);
    const { token = '' } = (await page.hello()).controls ?? {};
    page.leave();
    const command = [
      'POST /engines/kill HTTP/1.1',
      `host: 127.0.0.1:${inspector.port}`,
      `origin: http://127.0.0.1:${inspector.port}`,
      `authorization: Bearer ${token}`,
      'content-type: application/json',
      'content-length: 17',
    ].join('\r\n');
    expectRefusal(await readToEnd(sent(inspector, `${command}\r\n\r\n{`)), 408, 'request');
  });
});

test('headers of more than 8,192 bytes: are refused', async () => {
  const inspector = await started();
  const answerTo = (length: number): Promise<string> =>
    readToEnd(sent(inspector, `${get(inspector, '/')}connection: close\r\nx: ${'x'.repeat(length)}\r\n\r\n`));
  expect(await answerTo(8_000)).toMatch(/^HTTP\/1\.1 200 /);
  expectRefusal(await answerTo(8_192), 431, 'headers');
});

describe('what Node would answer by itself', () => {
  test.each([
    ['no HTTP', 'blah\r\n\r\n', 400, 'request'],
    ['of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'request'],
    ['without a host', 'GET / HTTP/1.1\r\nconnection: close\r\n\r\n', 403, 'host'],
    ['that expects what there is not', 'GET / HTTP/1.1\r\nexpect: more\r\nconnection: close\r\n\r\n', 403, 'host'],
    ['of two lengths', 'POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n', 400, 'request'],
  ])('a request %s: is refused as any other', async (_, text, status, field) => {
    expectRefusal(await readToEnd(sent(await started(), text)), status, field);
  });

  test('what is no request, after an answer that nobody has taken yet: ends the socket, and puts nothing into the answer', async () => {
    const inspector = await started();
    const served = servedBy(inspector);
    const socket = sent(inspector, `${get(inspector, '/page.js')}\r\n`);
    const answer = await served;
    await eventually(() => answer.headersSent, 'the beginning of the answer');
    socket.write('blah\r\n\r\n');
    const text = await readToEnd(socket);
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });
});
