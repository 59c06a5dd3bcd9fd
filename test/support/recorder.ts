/** Listeners that record, and wait on what they recorded. */

import type { ConnectionListener, DownCause, StreamListener, WireStatus } from '../../src/transport/port.js';

/** Wakes waiters when something changed; nobody sleeps. */
export class Changes {
  #waiters = new Set<() => void>();

  changed(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  /** Calls back at every change, for good. */
  onChange(listener: () => void): void {
    this.#waiters.add(listener);
  }

  /** Resolves as soon as `condition` holds; rejects, saying `what`, after `timeoutMs`. */
  until(condition: () => boolean, what: string, timeoutMs = 10_000): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter = (): void => {
        if (!condition()) return;
        this.#waiters.delete(waiter);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(new Error(`waited ${timeoutMs} ms in vain for: ${what}`));
      }, timeoutMs);
      this.#waiters.add(waiter);
    });
  }
}

/** For conditions nobody announces, such as the kernel's socket table. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 10_000,
): Promise<void> {
  const until = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > until) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export class ConnectionRecorder extends Changes implements ConnectionListener {
  /** `up`, `goaway`, `down <kind>`, in order. */
  readonly events: string[] = [];
  readonly causes: DownCause[] = [];
  readonly goaways: Parameters<ConnectionListener['onGoaway']>[0][] = [];
  readonly streamLimits: number[] = [];
  /** When the last event came, as `performance.now()`. */
  at = 0;

  onUp(): void {
    this.#add('up');
  }

  onStreamLimit(maxStreams: number): void {
    this.streamLimits.push(maxStreams);
    this.changed();
  }

  onGoaway(detail: Parameters<ConnectionListener['onGoaway']>[0]): void {
    this.goaways.push(detail);
    this.#add('goaway');
  }

  onDown(cause: DownCause): void {
    this.causes.push(cause);
    this.#add(`down ${cause.kind}`);
  }

  #add(event: string): void {
    this.at = performance.now();
    this.events.push(event);
    this.changed();
  }

  async up(): Promise<void> {
    await this.until(() => this.events.length > 0, 'up');
    if (this.events[0] !== 'up') throw new Error(`not up: ${JSON.stringify(this.causes)}`);
  }

  async down(): Promise<DownCause> {
    await this.until(() => this.causes.length > 0, 'down');
    const [cause] = this.causes;
    if (cause === undefined) throw new Error('no cause');
    return cause;
  }
}

export class StreamRecorder extends Changes implements StreamListener {
  readonly messages: Buffer[] = [];
  readonly statuses: WireStatus[] = [];
  drains = 0;
  /** Anything that came after the status. */
  late = 0;

  onMessage(bytes: Uint8Array, start: number, end: number): void {
    if (this.statuses.length > 0) this.late += 1;
    this.messages.push(Buffer.from(bytes.subarray(start, end)));
    this.changed();
  }

  onDrain(): void {
    if (this.statuses.length > 0) this.late += 1;
    this.drains += 1;
    this.changed();
  }

  onStatus(status: WireStatus): void {
    if (this.statuses.length > 0) this.late += 1;
    this.statuses.push(status);
    this.changed();
  }

  get texts(): string[] {
    return this.messages.map((message) => message.toString());
  }

  async received(count: number): Promise<void> {
    await this.until(() => this.messages.length >= count, `${count} messages`);
  }

  async status(): Promise<WireStatus> {
    await this.until(() => this.statuses.length > 0, 'a status');
    const [status] = this.statuses;
    if (status === undefined) throw new Error('no status');
    return status;
  }
}
