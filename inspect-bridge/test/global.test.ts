/** `inspect()` of @xstate/inspect leaves its registry on `globalThis`. Apart from the other tests, since it is called once in a process. */

import { expect, test } from 'vitest';
import { useStage } from '../../test/support/stage.js';
import { openBridge } from './opened.js';

const stage = useStage();

test('a bridge in a program that has a registry of its own there: leaves that as it is', async () => {
  const registry = { of: 'the program' };
  Reflect.set(globalThis, '__xstate__', registry);
  stage.onEnd(() => Reflect.deleteProperty(globalThis, '__xstate__'));
  await openBridge(stage);
  expect(Reflect.get(globalThis, '__xstate__')).toBe(registry);
});
