/** A client whose wall clock is set forth and back by days while it is asked: it measures by another clock. */

import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { describe, expect } from 'vitest';

import { eventually } from '../support/recorder.js';
import { ClientProcess } from './support/client-process.js';
import { testWith } from '../support/needs.js';
import { Yard } from './support/yard.js';

const yard = new Yard();
const HOUR_MS = 3_600_000;

interface Books {
  readonly asked: number;
  readonly allowed: number;
  readonly errors: readonly string[];
  readonly events: readonly string[];
}

/** Where Debian has it, whatever the machine: the `faketime` program sets one time for good, and here it is to change. */
function findLibrary(): string {
  const folder = readdirSync('/usr/lib').find((name) => name.endsWith('-linux-gnu'));
  return path.join('/usr/lib', folder ?? '', 'faketime', 'libfaketimeMT.so.1');
}

/** A clock that can be set under a running process. */
class WallClock {
  readonly #directory = mkdtempSync(path.join(tmpdir(), 'authz-chaos-clock-'));
  readonly #file = path.join(this.#directory, 'offset');

  constructor() {
    this.set(0);
  }

  get env(): Record<string, string> {
    return {
      LD_PRELOAD: findLibrary(),
      FAKETIME_TIMESTAMP_FILE: this.#file,
      // The file is read at every look at the clock.
      FAKETIME_NO_CACHE: '1',
      // What is faked is the clock on the wall; the one that only ever goes on is the kernel's to keep.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  set(hours: number): void {
    writeFileSync(`${this.#file}.next`, `${hours < 0 ? '-' : '+'}${Math.abs(hours)}h\n`);
    renameSync(`${this.#file}.next`, this.#file);
  }

  destroy(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** The child has seen the jump. */
async function isAt(child: ClientProcess, hours: number): Promise<boolean> {
  const { time } = await child.ask<{ time: number }>('time');
  return Math.abs(time - (Date.now() + hours * HOUR_MS)) < HOUR_MS / 2;
}

describe.each(['http2', 'grpc-js'])('over %s', (transport) => {
  testWith('faketime')(
    'row 41: the wall clock jumps by hours and days, forth and back, under load: nothing expires, moves or is forgotten, and deadlines still end',
    async () => {
      const clock = new WallClock();
      yard.afterwards(() => clock.destroy());
      // Slow, so that questions are under way whenever it jumps.
      const engines = await Promise.all(['alpha', 'beta'].map((name) => yard.engine(name, { latencyMs: 100 })));
      const settings = { addresses: engines.map(({ address }) => address), transport };
      const child = new ClientProcess('jumping-clock', settings, { env: clock.env });
      yard.afterwards(() => child.close());
      await child.hear();
      await child.ask('connect');
      const more = async (): Promise<void> => {
        const { allowed } = await child.ask<Books>('books');
        await eventually(async () => (await child.ask<Books>('books')).allowed >= allowed + 200, 'answers');
      };
      const jump = async (hours: number): Promise<void> => {
        clock.set(hours);
        await eventually(() => isAt(child, hours), `the clock to jump by ${hours} hours`);
      };
      expect(await child.ask('recall')).toEqual({ hits: 0 });
      await child.ask('start');
      await jump(24 * 30);
      expect(await child.ask('recall')).toEqual({ hits: 1 });
      for (const hours of [-3, -24 * 365, 24 * 3_650, 0]) {
        await jump(hours);
        await more();
      }
      const { asked, allowed, errors, events } = await child.ask<Books>('stop');
      expect({ allowed, errors, events }).toEqual({ allowed: asked, errors: [], events: ['connected'] });

      for (const hours of [-24, 24]) {
        for (const engine of engines) engine.signal('SIGSTOP');
        const late = child.ask('late');
        clock.set(hours);
        expect(await late).toEqual({ name: 'TimeoutError' });
        expect(await isAt(child, hours)).toBe(true);
        for (const engine of engines) engine.signal('SIGCONT');
        expect(await child.ask('late')).toEqual({ name: 'none' });
      }
      await child.ask('disconnect');
      expect((await child.end()).code).toBe(0);
    },
  );
});
