/** The measure of the split between the planes: checks cost no transitions. */

import { expect, test } from 'vitest';
import type { InspectionEvent } from 'xstate';
import { isAllowed } from '../../src/index.js';
import { question, questions, Recorder, useStage } from '../support/stage.js';

const stage = useStage();

function counter() {
  const seen: string[] = [];
  return {
    seen,
    inspect: (event: InspectionEvent): void => {
      if (event.type === '@xstate.microstep' || event.type === '@xstate.snapshot') seen.push(event.event.type);
    },
  };
}

const tally = (names: readonly string[]): string =>
  [...new Set(names)].map((name) => `${name} ${names.filter((one) => one === name).length}`).join(', ');

test('10,000 checks on an open client: at most 30 inspected steps', async () => {
  const { seen, inspect } = counter();
  const client = stage.client(await stage.engine(), { inspect, timeout: 20_000 });
  // The first burst opens the streams that checks are spread over.
  await Promise.all(questions(1_000).map((request) => client.check(request)));
  expect(seen.length).toBeGreaterThan(5);
  seen.length = 0;
  for (let round = 0; round < 10; round++) {
    const responses = await Promise.all(questions(1_000).map((request) => client.check(request)));
    expect(responses.every((response) => isAllowed(response))).toBe(true);
  }
  process.stdout.write(`10,000 checks: ${seen.length} steps (${tally(seen)})\n`);
  expect(seen.length).toBeLessThanOrEqual(30);
});

test('10,000 sends on an open handle: at most 60 inspected steps, the rotations included', async () => {
  const { seen, inspect } = counter();
  const client = stage.client(await stage.engine(), {
    inspect,
    timeout: 20_000,
    streams: { maxRequestsPerStream: 5_000 },
    backpressure: { lowWaterMark: 100, highWaterMark: 5_000, maxBufferSize: 20_000 },
  });
  const recorder = new Recorder();
  const handle = client.createBidirectionalStream(recorder);
  await handle.check(question());
  seen.length = 0;
  for (const request of questions(10_000)) expect(handle.send(request)).toBe(true);
  await recorder.answered(10_000);
  process.stdout.write(`10,000 sends: ${seen.length} steps (${tally(seen)})\n`);
  expect(seen.length).toBeLessThanOrEqual(60);
});
