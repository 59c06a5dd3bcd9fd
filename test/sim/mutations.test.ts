import { readFileSync } from 'node:fs';
import path from 'node:path';

import { expect, test } from 'vitest';
import { MUTATIONS } from './mutations.js';

const ROOT = path.join(import.meta.dirname, '..', '..');

test.each(MUTATIONS)('planted bug "$name", the sources as they are: its text stands there once', ({ file, find }) => {
  const found = readFileSync(path.join(ROOT, file), 'utf8').split(find).length - 1;
  expect(found).toBe(1);
});
