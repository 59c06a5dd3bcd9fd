import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { USER_AGENT, VERSION } from '../../src/version.js';

test("the version in the code is the package's, and the user agent tells it", () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  expect(VERSION).toBe(version);
  expect(USER_AGENT).toBe(`authz-engine-grpc-client/${version}`);
});
