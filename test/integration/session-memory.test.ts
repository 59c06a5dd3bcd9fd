import { expect, test } from 'vitest';
import { exitOf, firstLine, spawnTypeScript } from '../support/child.js';

test.each(['http2', 'grpc-js'])(
  '%s: headers without a status, then a breach of HTTP/2 + a garbage collection before the streams are freed: the process lives',
  async (transport) => {
    const child = spawnTypeScript(new URL('../support/kept-headers-child.ts', import.meta.url), [transport]);
    expect(await firstLine(child)).toBe('survived');
    expect(await exitOf(child)).toBe(0);
  },
);
