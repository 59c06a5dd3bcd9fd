/** The page's stream: read, lost, asked for again. */

import { describe, expect, test } from 'vitest';
import { Feed, type FeedState, retryDelayMs, SILENCE_LIMIT_MS } from '../../src/inspect/page/feed.js';
import { LineSplitter } from '../../src/inspect/page/lines.js';
import type { Message } from '../../src/inspect/protocol.js';
import { Changes, eventually } from '../support/recorder.js';
import { InspectedWorld } from '../support/inspected-world.js';

const hello = (mode: 'live' | 'recording' = 'live'): string =>
  `${JSON.stringify(new InspectedWorld({ mode }).hello())}\n`;
const frame = (): string => `${JSON.stringify(new InspectedWorld().tick(1))}\n`;

/** A stream of the server's, written to by the test. */
class Connection {
  readonly authorization: string;
  readonly signal: AbortSignal;
  readonly #pipe = new TransformStream<Uint8Array, Uint8Array>();
  readonly #writer = this.#pipe.writable.getWriter();
  readonly #answer: (response: Response) => void;

  constructor(init: RequestInit, answer: (response: Response) => void) {
    this.authorization = new Headers(init.headers).get('authorization') ?? '';
    if (init.signal === null || init.signal === undefined) throw new Error('cannot be called off');
    this.signal = init.signal;
    this.#answer = answer;
    this.signal.addEventListener('abort', () => void this.#writer.abort(this.signal.reason).catch(() => undefined));
    this.#writer.closed.catch(() => undefined);
  }

  answer(status = 200, body?: string): void {
    this.#answer(new Response(body ?? this.#pipe.readable, { status }));
  }

  write(text: string): void {
    void this.#writer.write(new TextEncoder().encode(text)).catch(() => undefined);
  }

  end(): void {
    void this.#writer.close().catch(() => undefined);
  }
}

/** A page's feed, on a clock that stands until it is moved. */
class Bench extends Changes {
  now = 0;
  readonly states: FeedState[] = [];
  readonly messages: Message[] = [];
  readonly connections: Connection[] = [];
  readonly feed: Feed;
  #timers: { at: number; run: () => void }[] = [];

  constructor(token: string | null = 'secret') {
    super();
    this.feed = new Feed({
      token,
      onMessage: (message) => {
        this.messages.push(message);
        this.changed();
      },
      onState: (state) => {
        this.states.push(state);
        this.changed();
      },
      ports: {
        fetch: (_url, init) =>
          new Promise((resolve, reject) => {
            const connection = new Connection(init, resolve);
            connection.signal.addEventListener('abort', () => reject(new Error('aborted')));
            this.connections.push(connection);
            this.changed();
          }),
        now: () => this.now,
        after: (delayMs, run) => {
          const timer = { at: this.now + delayMs, run };
          this.#timers.push(timer);
          return () => (this.#timers = this.#timers.filter((each) => each !== timer));
        },
        random: () => 1,
      },
    });
    this.feed.start();
  }

  get state(): FeedState {
    const state = this.states.at(-1);
    if (state === undefined) throw new Error('no state');
    return state;
  }

  get connection(): Connection {
    const connection = this.connections.at(-1);
    if (connection === undefined) throw new Error('no connection');
    return connection;
  }

  get timers(): number {
    return this.#timers.length;
  }

  pass(ms: number): void {
    this.now += ms;
    const due = this.#timers.filter(({ at }) => at <= this.now);
    this.#timers = this.#timers.filter(({ at }) => at > this.now);
    for (const { run } of due) run();
  }

  reaches(kind: FeedState['kind']): Promise<void> {
    return this.until(() => this.states.at(-1)?.kind === kind, kind);
  }

  async live(): Promise<void> {
    this.connection.answer();
    this.connection.write(hello());
    await this.reaches('live');
  }

  receives(count: number): Promise<void> {
    return this.until(() => this.messages.length >= count, `${count} messages`);
  }
}

describe('the feed', () => {
  test('with a token: asks with it, and is live from the greeting on', async () => {
    const bench = new Bench();
    expect(bench.connection.authorization).toBe('Bearer secret');
    bench.connection.answer();
    expect(bench.state.kind).toBe('connecting');
    bench.connection.write(hello());
    await bench.reaches('live');
    bench.connection.write(frame());
    await bench.receives(2);
    expect(bench.messages.map(({ type }) => type)).toEqual(['hello', 'frame']);
  });

  test('a message that arrives in pieces, through the middle of a letter: is one', async () => {
    const bench = new Bench();
    bench.connection.answer();
    const text = hello().replace('0.1.0', '0.1.0-größe');
    for (const letter of text) bench.connection.write(letter);
    await bench.receives(1);
    const [message] = bench.messages;
    expect(message?.type === 'hello' && message.version).toBe('0.1.0-größe');
  });

  test('without a token: asks for nothing', () => {
    const bench = new Bench(null);
    expect(bench.state.kind).toBe('no-token');
    bench.feed.retryNow();
    expect(bench.connections).toEqual([]);
  });

  test('refused for its token: says so, and does not ask again by itself', async () => {
    const bench = new Bench();
    bench.connection.answer(401, '{}');
    await bench.reaches('wrong-token');
    expect(bench.timers).toBe(0);
    bench.feed.retryNow();
    expect(bench.connections).toHaveLength(2);
  });

  test('refused for another reason: tells it, and tries again', async () => {
    const bench = new Bench();
    bench.connection.answer(503, JSON.stringify({ error: { message: 'stream: 8 pages watch already; close one' } }));
    await bench.reaches('disconnected');
    expect(bench.state).toMatchObject({
      reason: 'the server answered 503 (stream: 8 pages watch already; close one)',
      retryAt: 500,
    });
  });

  test('lost: tries again, each time later, and at once anew after it was live', async () => {
    const bench = new Bench();
    await bench.live();
    const waits: number[] = [];
    for (let attempt = 0; attempt < 7; attempt += 1) {
      if (attempt === 0) bench.connection.end();
      else bench.connection.answer(500, '');
      await bench.reaches('disconnected');
      if (bench.state.kind !== 'disconnected') throw new Error('connected');
      const waitMs = bench.state.retryAt - bench.now;
      waits.push(waitMs);
      bench.pass(waitMs - 1);
      expect(bench.connections).toHaveLength(attempt + 1);
      bench.pass(1);
      expect(bench.connections).toHaveLength(attempt + 2);
    }
    expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
    await bench.live();
    bench.connection.end();
    await bench.reaches('disconnected');
    expect(bench.state).toMatchObject({ reason: 'the server ended the stream', retryAt: bench.now + 500 });
  });

  test('waiting to try again, asked now: does not wait, and tries once', async () => {
    const bench = new Bench();
    await bench.live();
    bench.connection.end();
    await bench.reaches('disconnected');
    bench.feed.retryNow();
    expect(bench.connections).toHaveLength(2);
    bench.pass(500);
    expect(bench.connections).toHaveLength(2);
    expect(bench.connection.signal.aborted).toBe(false);
  });

  test('nothing heard for longer than the limit: is disconnected, and the stream is given up', async () => {
    const bench = new Bench();
    await bench.live();
    bench.pass(SILENCE_LIMIT_MS - 1);
    bench.connection.write(frame());
    await bench.receives(2);
    bench.pass(SILENCE_LIMIT_MS - 1);
    expect(bench.state.kind).toBe('live');
    bench.pass(1);
    await bench.reaches('disconnected');
    expect(bench.state).toMatchObject({ reason: 'nothing was heard for 5 s' });
    expect(bench.connections[0]?.signal.aborted).toBe(true);
  });

  test('a recording read to its end: stays, and asks for nothing more', async () => {
    const bench = new Bench();
    bench.connection.answer();
    bench.connection.write(hello('recording'));
    await bench.reaches('recording');
    bench.connection.end();
    await eventually(() => bench.timers === 0, 'no timer');
    expect(bench.state.kind).toBe('recording');
    bench.pass(60_000);
    expect(bench.connections).toHaveLength(1);
  });

  test('what is no JSON: is disconnected, with a reason that says whose fault it is', async () => {
    const bench = new Bench();
    bench.connection.answer();
    bench.connection.write('<html>\n');
    await bench.reaches('disconnected');
    expect(bench.state).toMatchObject({ reason: 'the server sent what this page cannot read' });
  });

  test('a frame before the greeting: is left out', async () => {
    const bench = new Bench();
    bench.connection.answer();
    bench.connection.write(frame() + hello());
    await bench.reaches('live');
    expect(bench.messages.map(({ type }) => type)).toEqual(['hello']);
  });

  test('stopped: nothing more happens', async () => {
    const bench = new Bench();
    await bench.live();
    bench.feed.stop();
    expect(bench.connection.signal.aborted).toBe(true);
    await eventually(() => bench.timers === 0, 'no timer');
    bench.feed.retryNow();
    expect(bench.connections).toHaveLength(1);
  });
});

describe('the wait before a retry', () => {
  test('is spread over its upper half, and bounded whatever the attempt', () => {
    expect(retryDelayMs(1, 0)).toBe(250);
    expect(retryDelayMs(1, 1)).toBe(500);
    expect(retryDelayMs(1_000, 1)).toBe(8_000);
  });
});

describe('lines', () => {
  test('cut anywhere: are whole, and empty ones are left out', () => {
    const splitter = new LineSplitter();
    const lines = ['a', 'b\n', '\ncd', 'e\nf\n', 'g'].flatMap((piece) => splitter.push(piece));
    expect(lines).toEqual(['ab', 'cde', 'f']);
  });

  test('one without an end: is refused at the limit', () => {
    const splitter = new LineSplitter(10);
    splitter.push('12345');
    splitter.push('67890\nabc');
    expect(() => splitter.push('defghijk')).toThrow(RangeError);
  });
});
