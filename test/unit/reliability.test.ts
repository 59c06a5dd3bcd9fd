import { spawnSync } from 'node:child_process';
import path from 'node:path';

import { expect, test } from 'vitest';

const ROOT = path.join(import.meta.dirname, '..', '..');

test('the page of faults, and the titles of the tests: every row is proven by a test, and the page says by which', () => {
  const check = spawnSync(process.execPath, ['scripts/reliability.js', '--check'], { cwd: ROOT, encoding: 'utf8' });
  expect(check.stderr).toBe('');
  expect(check.status).toBe(0);
});
