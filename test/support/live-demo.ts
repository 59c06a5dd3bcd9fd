/** `authz demo --inspect` as a real process, and its page as a reader that is no browser. */

import { onTestFinished } from 'vitest';
import type { LiveReady, LiveReport } from '../../src/cli/demo/live-report.js';
import type { EngineCommand } from '../../src/inspect/engine-controls.js';
import type { CliProcess } from './cli.js';
import { type Ended, startCli } from './cli.js';
import { type Answered, PageReader, request } from './inspector-page.js';
import { eventually } from './recorder.js';

export class LiveDemo {
  readonly process: CliProcess;
  readonly ready: LiveReady;
  /** Of the page. */
  readonly port: number;
  /** Of the engines that it began with. */
  readonly engines: readonly number[];

  private constructor(process: CliProcess, ready: LiveReady) {
    this.process = process;
    this.ready = ready;
    this.port = Number(new URL(ready.url).port);
    this.engines = process.childPids();
  }

  /** Ends with the test, if not before. */
  static async start(...args: string[]): Promise<LiveDemo> {
    const process = await startCli(['demo', '--inspect', '--json', ...args]);
    onTestFinished(async () => {
      process.kill('SIGKILL');
      await process.ended;
    });
    const [line] = await process.prints(/^.*\n/);
    return new LiveDemo(process, JSON.parse(line) as LiveReady);
  }

  get url(): string {
    return this.ready.url;
  }

  /** What a button of the page sends. */
  async command(command: EngineCommand, address: string): Promise<Answered> {
    const page = await PageReader.open(this);
    const { controls } = await page.hello();
    page.leave();
    return request(this, `/engines/${command}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${controls?.token ?? ''}`,
        'content-type': 'application/json',
        origin: `http://127.0.0.1:${this.port}`,
      },
      body: JSON.stringify({ address }),
    });
  }

  /** Resolves once the failover chart is there: `open`, `failedOver`. */
  async failoverIs(state: string): Promise<void> {
    await eventually(async () => {
      const page = await PageReader.open(this);
      const { actors } = await page.hello();
      page.leave();
      const active = actors.find(({ id }) => id === 'failover')?.active ?? [];
      return active.some((path) => path.split('.')[0] === state);
    }, `failover is ${state}`);
  }

  /** Ends it as Ctrl-C does. */
  async end(): Promise<{ readonly ended: Ended; readonly report: LiveReport }> {
    this.process.kill('SIGINT');
    const ended = await this.process.ended;
    return { ended, report: JSON.parse(ended.stdout.trimEnd().split('\n').at(-1) ?? '') as LiveReport };
  }
}
