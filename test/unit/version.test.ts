import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PACKAGE_NAME, USER_AGENT, VERSION } from '../../src/version.js';

test("the name and the version in the code are the package's, and the user agent tells the version", () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { name, version } = JSON.parse(text) as { name: string; version: string };
  expect(PACKAGE_NAME).toBe(name);
  expect(VERSION).toBe(version);
  expect(USER_AGENT).toBe(`authz-engine-grpc-client/${version}`);
});
