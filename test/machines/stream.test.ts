import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PauseReason, StreamEvent, StreamInput } from '../../machines/contract.js';
import { streamMachine, type StreamContext } from '../../machines/stream.js';
import { describeChart, topOf, type Row, type Subject } from './support/chart.js';
import { BACKOFF } from './support/inputs.js';
import { runTimed, type Send } from './support/timed.js';
import { assertOnRuns, edges, expectEdge, expectWithinBackoff, Once } from './support/walk.js';

const MAX_ATTEMPTS = 3;

const input: StreamInput = {
  id: 's1',
  kind: 'handle',
  seed: 7,
  config: {
    connectTimeoutMs: 5_000,
    drainTimeoutMs: 30_000,
    reconnect: { ...BACKOFF, maxAttempts: MAX_ATTEMPTS },
  },
};

const subject: Subject<StreamEvent> = {
  machine: streamMachine,
  input,
  samples: {
    CONNECT: [{ type: 'CONNECT' }],
    CALL_OPENED: [{ type: 'CALL_OPENED', generation: 0, connectionId: 'c1' }],
    CALL_ANSWERED: [{ type: 'CALL_ANSWERED', generation: 0 }],
    CALL_ENDED: [{ type: 'CALL_ENDED', generation: 0 }],
    CALL_LOST: [{ type: 'CALL_LOST', generation: 0, reason: 'reset' }],
    CALL_RETIRING: [{ type: 'CALL_RETIRING', generation: 0 }],
    ROTATION_DUE: [{ type: 'ROTATION_DUE', generation: 0 }],
    ROUTE_MOVING: [{ type: 'ROUTE_MOVING', epoch: 1 }],
    ROUTE_READY: [{ type: 'ROUTE_READY' }],
    PAUSE: [{ type: 'PAUSE', reason: 'application' }],
    RESUME: [{ type: 'RESUME', reason: 'application' }],
    IDLE_TIMEOUT: [{ type: 'IDLE_TIMEOUT' }],
    END: [{ type: 'END' }],
    DRAINED: [{ type: 'DRAINED' }],
    CLOSE: [{ type: 'CLOSE', reason: 'disconnect' }],
  },
};

/** The generation under way in every row; the one before it is stale. */
const NOW = 3;
const NEXT = { generation: NOW + 1 };
const at = (given: Partial<StreamContext> = {}): Partial<StreamContext> => ({ generation: NOW, ...given });

const opened = (generation = NOW): StreamEvent => ({ type: 'CALL_OPENED', generation, connectionId: 'c1' });
const answered = (generation = NOW): StreamEvent => ({ type: 'CALL_ANSWERED', generation });
const ended = (generation = NOW): StreamEvent => ({ type: 'CALL_ENDED', generation });
const lost = (generation = NOW): StreamEvent => ({ type: 'CALL_LOST', generation, reason: 'reset' });
const lostAtOnce: StreamEvent = { type: 'CALL_LOST', generation: NOW, reason: 'refused', immediate: true };
const retiring = (generation = NOW): StreamEvent => ({ type: 'CALL_RETIRING', generation });
const rotation = (generation = NOW): StreamEvent => ({ type: 'ROTATION_DUE', generation });
const moving: StreamEvent = { type: 'ROUTE_MOVING', epoch: 9 };
const ready: StreamEvent = { type: 'ROUTE_READY' };
const pause = (reason: PauseReason): StreamEvent => ({ type: 'PAUSE', reason });
const resume = (reason: PauseReason): StreamEvent => ({ type: 'RESUME', reason });
const end: StreamEvent = { type: 'END' };
const close: StreamEvent = { type: 'CLOSE', reason: 'disconnect' };
const STALE = NOW - 1;

const ASKS = ['openCall', '+connectTimeout 5000'];
const WRITES = ['allowWrites', '+settled 1000'];
const CLOSES = ['releaseCall', 'reportClosed'];
const DRAINS = ['drain', '+drainTimeout 30000'];
const GAVE_UP = { reason: 'gave up after 3 attempts to reconnect' };
const reconnects = (delayMs: number): string[] => ['reportReconnecting', `+backoff ${String(delayMs)}`];

type StreamRow = Row<StreamContext, StreamEvent>;

/** The states that write, and what leaving each runs. */
const WRITING = [
  { in: 'open.steady', leaves: ['haltWrites', '-settled'] },
  { in: 'open.rotating', leaves: ['-connectTimeout', 'haltWrites', '-settled'] },
  { in: 'paused', leaves: ['haltWrites', '-settled'] },
] as const;

const LIVING = [
  { in: 'idle', leaves: [] },
  { in: 'connecting', leaves: ['-connectTimeout'] },
  ...WRITING,
  { in: 'reconnecting', leaves: ['-backoff'] },
  { in: 'failedOver', leaves: ['-connectTimeout'] },
  { in: 'draining.flushing', leaves: ['haltWrites', '-drainTimeout'] },
  { in: 'draining.reconnecting.waiting', leaves: ['-backoff', '-drainTimeout'] },
  { in: 'draining.reconnecting.opening', leaves: ['-connectTimeout', '-drainTimeout'] },
] as const;

const rows: readonly StreamRow[] = [
  ...LIVING.map(({ in: state, leaves }): StreamRow => ({
    in: state,
    when: close,
    to: 'closed',
    runs: [...leaves, ...CLOSES],
    sets: { reason: 'disconnect' },
  })),

  // Idle.
  { in: 'idle', given: at(), when: { type: 'CONNECT' }, to: 'connecting', runs: ASKS, sets: NEXT },
  { in: 'idle', when: end, to: 'draining.flushing', runs: [...DRAINS, 'allowWrites'] },

  // Connecting.
  { in: 'connecting', given: at(), when: ready, runs: ['openCall'] },
  {
    in: 'connecting',
    given: at(),
    when: opened(),
    to: 'open.steady',
    runs: ['-connectTimeout', 'reportReconnected', ...WRITES],
    sets: { connectionId: 'c1' },
  },
  {
    in: 'connecting',
    given: at({ pauses: ['application'] }),
    when: opened(),
    to: 'paused',
    runs: ['-connectTimeout', 'reportReconnected', ...WRITES],
    sets: { connectionId: 'c1' },
  },
  { in: 'connecting', given: at(), when: opened(STALE) },
  { in: 'connecting', given: at(), when: lost(STALE) },
  {
    in: 'connecting',
    given: at({ attempt: 1 }),
    when: lost(),
    to: 'reconnecting',
    runs: ['-connectTimeout', ...reconnects(200)],
    sets: { attempt: 2, delayMs: 200, reason: 'reset' },
  },
  {
    in: 'connecting',
    given: at({ attempt: MAX_ATTEMPTS }),
    when: lost(),
    to: 'closed',
    runs: ['-connectTimeout', ...CLOSES],
    sets: GAVE_UP,
  },
  {
    in: 'connecting',
    when: moving,
    to: 'failedOver',
    runs: ['-connectTimeout', 'retireCall', '+connectTimeout 5000'],
    sets: { epoch: 9 },
  },
  {
    in: 'connecting',
    given: at(),
    when: end,
    to: 'draining.reconnecting.opening',
    runs: ['-connectTimeout', ...DRAINS, ...ASKS],
    sets: NEXT,
  },

  // No call in time: connecting, rotating, failed over.
  ...[
    { in: 'connecting', leaves: ['-connectTimeout'] },
    { in: 'open.rotating', leaves: ['-connectTimeout', 'haltWrites', '-settled'] },
    { in: 'failedOver', leaves: ['-connectTimeout'] },
  ].flatMap(({ in: state, leaves }): StreamRow[] => [
    {
      in: state,
      when: { after: 'connectTimeout' },
      to: 'reconnecting',
      runs: [...leaves, ...reconnects(100)],
      sets: { attempt: 1, delayMs: 100 },
    },
    {
      in: state,
      given: { attempt: MAX_ATTEMPTS },
      when: { after: 'connectTimeout' },
      to: 'closed',
      runs: [...leaves, ...CLOSES],
      sets: GAVE_UP,
    },
  ]),

  // Writing: how the call goes.
  ...WRITING.flatMap(({ in: state, leaves }): StreamRow[] => [
    { in: state, given: at(), when: answered(STALE) },
    { in: state, given: at({ attempt: 2 }), when: answered(), sets: { answered: true, attempt: 0 } },
    { in: state, given: at({ attempt: 2 }), when: { after: 'settled' }, sets: { attempt: 0 } },
    { in: state, given: at(), when: lost(STALE) },
    {
      in: state,
      given: at(),
      when: lost(),
      to: 'reconnecting',
      runs: [...leaves, ...reconnects(100)],
      sets: { attempt: 1, delayMs: 100, reason: 'reset' },
    },
    {
      in: state,
      given: at({ answered: true, delayMs: 400 }),
      when: lost(),
      to: 'reconnecting',
      runs: [...leaves, ...reconnects(0)],
      sets: { attempt: 1, delayMs: 0, answered: false, reason: 'reset' },
    },
    {
      in: state,
      given: at({ delayMs: 400 }),
      when: lostAtOnce,
      to: 'reconnecting',
      runs: [...leaves, ...reconnects(0)],
      sets: { attempt: 1, delayMs: 0, reason: 'refused' },
    },
    {
      in: state,
      given: at({ attempt: 1 }),
      when: lostAtOnce,
      to: 'reconnecting',
      runs: [...leaves, ...reconnects(200)],
      sets: { attempt: 2, delayMs: 200, reason: 'refused' },
    },
    {
      in: state,
      given: at({ attempt: MAX_ATTEMPTS }),
      when: lost(),
      to: 'closed',
      runs: [...leaves, ...CLOSES],
      sets: GAVE_UP,
    },
    { in: state, given: at(), when: ended(STALE) },
    { in: state, given: at(), when: ended(), to: 'idle', runs: [...leaves, 'noteIdle'] },
    { in: state, given: at(), when: retiring(STALE) },
    {
      in: state,
      given: at({ answered: true }),
      when: retiring(),
      to: 'connecting',
      runs: [...leaves, 'retireCall', ...ASKS],
      sets: NEXT,
    },
    {
      in: state,
      when: moving,
      to: 'failedOver',
      runs: [...leaves, 'retireCall', '+connectTimeout 5000'],
      sets: { epoch: 9 },
    },
  ]),
  {
    in: ['open.steady', 'paused'],
    when: end,
    to: 'draining.flushing',
    runs: ['haltWrites', '-settled', ...DRAINS, 'allowWrites'],
  },
  {
    in: 'open.steady',
    when: { type: 'IDLE_TIMEOUT' },
    to: 'idle',
    runs: ['haltWrites', '-settled', 'releaseCall', 'noteIdle'],
  },

  // Rotation.
  { in: 'open.steady', given: at(), when: rotation(STALE) },
  {
    in: 'open.steady',
    given: at({ answered: true }),
    when: rotation(),
    to: 'open.rotating',
    runs: ['retireCall', ...ASKS],
    sets: NEXT,
  },
  { in: 'open.rotating', given: at(), when: ready, runs: ['openCall'] },
  {
    in: 'open.rotating',
    given: at(),
    when: opened(),
    to: 'open.steady',
    runs: ['-connectTimeout', 'allowWrites'],
    sets: { connectionId: 'c1' },
  },
  { in: 'open.rotating', given: at(), when: opened(STALE) },
  { in: 'open.rotating', when: pause('application'), runs: ['applyPauses'], sets: { pauses: ['application'] } },
  {
    in: 'open.rotating',
    given: at({ pauses: ['application'] }),
    when: opened(),
    to: 'paused',
    runs: ['-connectTimeout', 'haltWrites', '-settled', ...WRITES],
    sets: { connectionId: 'c1' },
  },
  {
    in: 'open.rotating',
    given: at(),
    when: end,
    to: 'draining.reconnecting.opening',
    runs: ['-connectTimeout', 'haltWrites', '-settled', ...DRAINS, ...ASKS],
    sets: NEXT,
  },
  {
    in: 'open.rotating',
    when: { type: 'IDLE_TIMEOUT' },
    to: 'idle',
    runs: ['-connectTimeout', 'haltWrites', '-settled', 'releaseCall', 'noteIdle'],
  },
  { in: 'paused', given: at(), when: rotation(STALE) },
  {
    in: 'paused',
    given: at({ pauses: ['application'] }),
    when: rotation(),
    to: 'connecting',
    runs: ['haltWrites', '-settled', 'retireCall', ...ASKS],
    sets: NEXT,
  },

  // Pauses: kept in every living state.
  {
    in: ['idle', 'connecting', 'reconnecting', 'failedOver', ...drainingLeaves()],
    given: { pauses: ['highWater'] },
    when: pause('application'),
    runs: ['applyPauses'],
    sets: { pauses: ['highWater', 'application'] },
  },
  { in: 'reconnecting', given: { pauses: ['application'] }, when: pause('application'), runs: ['applyPauses'] },
  {
    in: ['idle', 'connecting', 'open.rotating', 'reconnecting', 'failedOver', ...drainingLeaves()],
    given: { pauses: ['highWater', 'application'] },
    when: resume('application'),
    runs: ['applyPauses'],
    sets: { pauses: ['highWater'] },
  },
  { in: 'open.steady', when: resume('application'), runs: ['applyPauses'] },
  {
    in: 'open.steady',
    when: pause('transport'),
    to: 'paused',
    runs: ['haltWrites', '-settled', 'applyPauses', ...WRITES],
    sets: { pauses: ['transport'] },
  },
  {
    in: 'paused',
    given: { pauses: ['transport'] },
    when: pause('application'),
    runs: ['applyPauses'],
    sets: { pauses: ['transport', 'application'] },
  },
  {
    in: 'paused',
    given: { pauses: ['transport', 'application'] },
    when: resume('transport'),
    runs: ['applyPauses'],
    sets: { pauses: ['application'] },
  },
  {
    in: 'paused',
    given: { pauses: ['transport'] },
    when: resume('transport'),
    to: 'open.steady',
    runs: ['haltWrites', '-settled', 'applyPauses', ...WRITES],
    sets: { pauses: [] },
  },

  // Reconnecting, and waiting for the route to move.
  {
    in: 'reconnecting',
    given: at(),
    when: { after: 'backoff' },
    to: 'connecting',
    runs: ['-backoff', ...ASKS],
    sets: NEXT,
  },
  { in: 'reconnecting', given: at(), when: ready, to: 'connecting', runs: ['-backoff', ...ASKS], sets: NEXT },
  {
    in: 'reconnecting',
    when: moving,
    to: 'failedOver',
    runs: ['-backoff', 'retireCall', '+connectTimeout 5000'],
    sets: { epoch: 9 },
  },
  {
    in: 'reconnecting',
    given: { delayMs: 400 },
    when: end,
    to: 'draining.reconnecting.waiting',
    runs: ['-backoff', ...DRAINS, '+backoff 400'],
  },
  {
    in: 'failedOver',
    given: at({ answered: true }),
    when: ready,
    to: 'connecting',
    runs: ['-connectTimeout', ...ASKS],
    sets: NEXT,
  },
  { in: 'failedOver', when: moving, sets: { epoch: 9 } },
  {
    in: 'failedOver',
    given: at(),
    when: end,
    to: 'draining.reconnecting.opening',
    runs: ['-connectTimeout', ...DRAINS, ...ASKS],
    sets: NEXT,
  },

  // Draining: what was accepted is still owed an answer.
  { in: 'draining.flushing', given: at(), when: answered(STALE) },
  { in: 'draining.flushing', given: at({ attempt: 2 }), when: answered(), sets: { answered: true, attempt: 0 } },
  { in: 'draining.flushing', given: at(), when: lost(STALE) },
  {
    in: 'draining.flushing',
    given: at({ answered: true, delayMs: 400 }),
    when: lost(),
    to: 'draining.reconnecting.waiting',
    runs: ['haltWrites', '+backoff 0'],
    sets: { attempt: 1, delayMs: 0, answered: false, reason: 'reset' },
  },
  {
    in: 'draining.flushing',
    given: at({ attempt: MAX_ATTEMPTS }),
    when: lost(),
    to: 'closed',
    runs: ['haltWrites', '-drainTimeout', ...CLOSES],
    sets: GAVE_UP,
  },
  ...[
    { stale: ended(STALE), when: ended(), retires: [] },
    { stale: retiring(STALE), when: retiring(), retires: ['retireCall'] },
    { stale: rotation(STALE), when: rotation(), retires: ['retireCall'] },
  ].flatMap(({ stale, when, retires }): StreamRow[] => [
    { in: 'draining.flushing', given: at(), when: stale },
    {
      in: 'draining.flushing',
      given: at(),
      when,
      to: 'draining.reconnecting.opening',
      runs: ['haltWrites', ...retires, ...ASKS],
      sets: NEXT,
    },
  ]),
  {
    in: 'draining.flushing',
    given: at(),
    when: moving,
    to: 'draining.reconnecting.opening',
    runs: ['haltWrites', 'retireCall', ...ASKS],
    sets: { ...NEXT, epoch: 9 },
  },
  {
    in: 'draining.reconnecting.waiting',
    given: at(),
    when: { after: 'backoff' },
    to: 'draining.reconnecting.opening',
    runs: ['-backoff', ...ASKS],
    sets: NEXT,
  },
  {
    in: 'draining.reconnecting.waiting',
    given: at(),
    when: ready,
    to: 'draining.reconnecting.opening',
    runs: ['-backoff', ...ASKS],
    sets: NEXT,
  },
  { in: ['draining.reconnecting.waiting', 'draining.reconnecting.opening'], when: moving, sets: { epoch: 9 } },
  { in: 'draining.reconnecting.opening', given: at(), when: ready, runs: ['openCall'] },
  {
    in: 'draining.reconnecting.opening',
    given: at(),
    when: opened(),
    to: 'draining.flushing',
    runs: ['-connectTimeout', 'allowWrites'],
    sets: { connectionId: 'c1' },
  },
  { in: 'draining.reconnecting.opening', given: at(), when: opened(STALE) },
  { in: 'draining.reconnecting.opening', given: at(), when: lost(STALE) },
  {
    in: 'draining.reconnecting.opening',
    given: at({ attempt: 1 }),
    when: lost(),
    to: 'draining.reconnecting.waiting',
    runs: ['-connectTimeout', '+backoff 200'],
    sets: { attempt: 2, delayMs: 200, reason: 'reset' },
  },
  {
    in: 'draining.reconnecting.opening',
    given: at({ attempt: MAX_ATTEMPTS }),
    when: lost(),
    to: 'closed',
    runs: ['-connectTimeout', '-drainTimeout', ...CLOSES],
    sets: GAVE_UP,
  },
  {
    in: 'draining.reconnecting.opening',
    when: { after: 'connectTimeout' },
    to: 'draining.reconnecting.waiting',
    runs: ['-connectTimeout', '+backoff 100'],
    sets: { attempt: 1, delayMs: 100 },
  },
  {
    in: 'draining.reconnecting.opening',
    given: { attempt: MAX_ATTEMPTS },
    when: { after: 'connectTimeout' },
    to: 'closed',
    runs: ['-connectTimeout', '-drainTimeout', ...CLOSES],
    sets: GAVE_UP,
  },
  ...LIVING.filter(({ in: state }) => topOf(state) === 'draining').flatMap(({ in: state, leaves }): StreamRow[] => [
    { in: state, when: { type: 'DRAINED' }, to: 'closed', runs: [...leaves, ...CLOSES], sets: { reason: 'ended' } },
    {
      in: state,
      when: { after: 'drainTimeout' },
      to: 'closed',
      runs: [...leaves, ...CLOSES],
      sets: { reason: 'drain timeout' },
    },
  ]),
];

function drainingLeaves(): readonly string[] {
  return ['draining.flushing', 'draining.reconnecting.waiting', 'draining.reconnecting.opening'];
}

const ALLOWED = edges(
  'idle > connecting draining closed',
  'connecting > open paused reconnecting failedOver draining closed',
  // To connecting when the call retires, to idle when the server ended it or it was idle too long.
  'open > paused idle connecting reconnecting failedOver draining closed',
  'paused > open idle connecting reconnecting failedOver draining closed',
  'reconnecting > connecting failedOver draining closed',
  'failedOver > connecting reconnecting draining closed',
  'draining > closed',
);

/** A generation is told by its age, so that a run makes sense whatever came before. */
type Choice =
  | Exclude<StreamEvent, { generation: number }>
  | { readonly type: Extract<StreamEvent, { generation: number }>['type']; readonly ago: number };

const REASONS: readonly PauseReason[] = ['application', 'highWater', 'transport'];

const ofCalls = fc.record({
  type: fc.constantFrom(
    'CALL_OPENED',
    'CALL_OPENED',
    'CALL_OPENED',
    'CALL_ANSWERED',
    'CALL_ENDED',
    'CALL_LOST',
    'CALL_RETIRING',
    'ROTATION_DUE',
  ),
  ago: fc.constantFrom(0, 0, 0, 1, 2),
});

const choices: fc.Arbitrary<Choice> = fc.oneof(
  { weight: 20, arbitrary: ofCalls },
  { weight: 4, arbitrary: fc.constant({ type: 'CONNECT' as const }) },
  { weight: 4, arbitrary: fc.constant({ type: 'ROUTE_READY' as const }) },
  { weight: 2, arbitrary: fc.nat({ max: 9 }).map((epoch) => ({ type: 'ROUTE_MOVING' as const, epoch })) },
  { weight: 3, arbitrary: fc.constantFrom(...REASONS).map((reason) => ({ type: 'PAUSE' as const, reason })) },
  { weight: 4, arbitrary: fc.constantFrom(...REASONS).map((reason) => ({ type: 'RESUME' as const, reason })) },
  { weight: 1, arbitrary: fc.constantFrom({ type: 'IDLE_TIMEOUT' as const }, { type: 'END' as const }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ type: 'DRAINED' as const }, { type: 'CLOSE' as const, reason: 'disconnect' }),
  },
);

function toEvent(choice: Choice, { generation: now }: StreamContext): StreamEvent {
  if (!('ago' in choice)) return choice;
  const { type, ago } = choice;
  const generation = now - ago;
  if (type === 'CALL_OPENED') return { type, generation, connectionId: 'c1' };
  if (type === 'CALL_LOST') return { type, generation, reason: 'reset' };
  return { type, generation };
}

const OPENING = ['connecting', 'open.rotating', 'draining.reconnecting.opening'];
const WRITABLE = ['open.steady', 'open.rotating', 'paused', 'draining.flushing'];
const WAITING = ['reconnecting', 'draining.reconnecting.waiting'];

/** The delays that run in each state; `settled` runs out in its own. */
const DELAYS: Readonly<Record<string, readonly string[]>> = {
  connecting: ['connectTimeout'],
  'open.rotating': ['connectTimeout'],
  reconnecting: ['backoff'],
  failedOver: ['connectTimeout'],
  'draining.flushing': ['drainTimeout'],
  'draining.reconnecting.waiting': ['drainTimeout', 'backoff'],
  'draining.reconnecting.opening': ['drainTimeout', 'connectTimeout'],
};

function assertInvariants(given: Subject<StreamEvent>): void {
  assertOnRuns<StreamContext, StreamEvent, Choice>(given, choices, toEvent, (walk) => {
    const observers = [
      new Once('reportClosed'),
      new Once('drain'),
      new Once('+drainTimeout 30000'),
      new Once('haltWrites', 'allowWrites'),
      new Once('reportReconnected', 'openCall'),
    ];
    let mayWrite = false;
    let generationOpened = 0;
    let before = walk.context;
    return (move) => {
      const { generation, pauses, attempt, delayMs, config } = walk.context;
      const event = 'type' in move.event ? move.event : undefined;
      expectEdge(ALLOWED, move);
      for (const observer of observers) observer.see(move.runs);

      for (const effect of move.runs) {
        if (effect === 'allowWrites') mayWrite = true;
        if (effect === 'haltWrites') mayWrite = false;
      }
      expect(mayWrite).toBe(WRITABLE.includes(walk.path));

      // Each opening is a generation of its own; it is asked for again only while it has not opened and a route becomes ready.
      const openings = move.runs.filter((effect) => effect === 'openCall').length;
      expect(openings).toBeLessThanOrEqual(1);
      if (generation !== before.generation) {
        // A new call has not answered; that the one before it did is remembered until a call is lost.
        expect(walk.context.answered && !before.answered).toBe(false);
        expect({ generation, openings }).toEqual({ generation: before.generation + 1, openings: 1 });
      } else if (openings === 1) {
        expect({ said: event?.type, isOpen: generation === generationOpened }).toEqual({
          said: 'ROUTE_READY',
          isOpen: false,
        });
      }
      if (OPENING.includes(move.from) && event?.type === 'CALL_OPENED' && move.from !== move.to) {
        generationOpened = event.generation;
      }
      if (walk.path === 'open.steady' || walk.path === 'paused') expect(generationOpened).toBe(generation);

      if (event !== undefined && 'generation' in event && event.generation !== before.generation) {
        expect({ to: move.to, runs: move.runs, context: walk.context }).toEqual({
          to: move.from,
          runs: [],
          context: before,
        });
      }

      expect(new Set(pauses).size).toBe(pauses.length);
      if (walk.path === 'open.steady') expect(pauses).toEqual([]);
      if (walk.path === 'paused') expect(pauses).not.toEqual([]);
      if (event?.type === 'PAUSE' && walk.top !== 'closed') expect(pauses).toContain(event.reason);
      if (event?.type === 'RESUME' && walk.top !== 'closed') expect(pauses).not.toContain(event.reason);

      expect(attempt).toBeLessThanOrEqual(MAX_ATTEMPTS);
      if (WAITING.includes(walk.path) && !WAITING.includes(move.from) && !(attempt === 1 && delayMs === 0)) {
        expectWithinBackoff(config.reconnect, attempt, delayMs);
      }
      expect(walk.running.filter((name) => name !== 'settled')).toEqual(DELAYS[walk.path] ?? []);
      if (topOf(move.from) === 'closed') expect(move.runs).toEqual([]);
      before = walk.context;
    };
  });
}

describe('stream', () => {
  describeChart(subject, rows, ['closed']);

  describe('whatever happens', () => {
    it.each([true, false])('jitter %s: one call at a time, each generation opened once', (jitter) => {
      const reconnect = { ...input.config.reconnect, jitter };
      assertInvariants({ ...subject, input: { ...input, config: { ...input.config, reconnect } } });
    });
  });

  describe('in time', () => {
    /** `asked` answers each opening, at the end of its turn. */
    function stream(asked: (generation: number, send: Send<StreamEvent>) => void = () => undefined) {
      const openingsMs: number[] = [];
      const running = runTimed<StreamContext, StreamEvent>(input, (clock, send) =>
        streamMachine.provide({
          actions: {
            openCall: ({ context }) => {
              openingsMs.push(clock.now());
              clock.soon(() => asked(context.generation, send));
            },
          },
        }),
      );
      running.send({ type: 'CONNECT' });
      return { ...running, openingsMs };
    }

    it('connecting + no connection usable → asks again by a growing backoff, and gives up after maxAttempts', () => {
      const { clock, openingsMs, state, context } = stream();
      clock.advance(60_000);
      expect(openingsMs).toEqual([0, 5_100, 10_300, 15_700]);
      expect(state()).toBe('closed');
      expect(context().reason).toBe('gave up after 3 attempts to reconnect');
      expect(clock.pendingTimers).toBe(0);
    });

    it('open + lost before it answered, every time → waits double', () => {
      const { clock, openingsMs } = stream((generation, send) => {
        send(opened(generation));
        send(lost(generation));
      });
      clock.advance(60_000);
      expect(openingsMs).toEqual([0, 100, 300, 700]);
    });

    it('open + stood for maxDelay unanswered → its earlier failures are forgotten', () => {
      const { clock, send, context, state } = stream((generation, answer) => {
        if (generation === 1) answer(lost(generation));
        else answer(opened(generation));
      });
      clock.advance(100);
      expect(state()).toBe('open.steady');
      clock.advance(999);
      expect(context().attempt).toBe(1);
      clock.advance(1);
      expect(context().attempt).toBe(0);
      send(lost(2));
      expect(context().delayMs).toBe(100);
    });

    it('open.rotating + paused and no connection usable → the call opens when a route becomes ready', () => {
      const { clock, send, state } = stream((generation, answer) => {
        if (generation === 1) answer(opened(generation));
      });
      clock.advance(0);
      send(rotation(1));
      send(pause('application'));
      clock.advance(1_000);
      expect(state()).toBe('open.rotating');
      send(ready);
      send(opened(2));
      expect(state()).toBe('paused');
      send(resume('application'));
      expect(state()).toBe('open.steady');
    });

    it('draining + call lost → the next call has connectTimeout to open, and is not asked for twice', () => {
      const { clock, openingsMs, send, state } = stream((generation, answer) => {
        if (generation === 1) answer(opened(generation));
      });
      clock.advance(0);
      send(answered(1));
      send(end);
      send(lost(1));
      clock.advance(4_999);
      expect(openingsMs).toEqual([0, 0]);
      send(opened(2));
      expect(state()).toBe('draining.flushing');
    });

    it('draining + nothing drained → closed at the drain timeout, whatever it was doing', () => {
      const { clock, send, state, context } = stream((generation, answer) => {
        if (generation === 1) answer(opened(generation));
      });
      clock.advance(0);
      send(end);
      clock.advance(29_999);
      expect(state()).toBe('draining.flushing');
      clock.advance(1);
      expect(state()).toBe('closed');
      expect(context().reason).toBe('drain timeout');
      expect(clock.pendingTimers).toBe(0);
    });
  });
});
