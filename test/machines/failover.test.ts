import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FailoverEvent, FailoverInput } from '../../machines/contract.js';
import { failoverMachine, type FailoverContext, type LevelStatus } from '../../machines/failover.js';
import { describeChart, topOf, type Row, type Subject } from './support/chart.js';
import { runTimed, type Timed } from './support/timed.js';
import { assertOnRuns, edges, expectEdge } from './support/walk.js';

const LEVELS = 3;
const input: FailoverInput = {
  levels: LEVELS,
  config: { failbackDelayMs: 10_000, preferenceMs: 500, moveTimeoutMs: 5_000 },
};

const served = (level: number): FailoverEvent => ({ type: 'LEVEL_SERVED', level });
const lost = (level: number): FailoverEvent => ({ type: 'LEVEL_LOST', level, reason: 'no connection' });
const ready = (epoch: number): FailoverEvent => ({ type: 'ROUTE_READY', epoch });
const drain: FailoverEvent = { type: 'DRAIN' };
const close: FailoverEvent = { type: 'CLOSE' };

const subject: Subject<FailoverEvent> = {
  machine: failoverMachine,
  input,
  samples: {
    LEVEL_SERVED: [
      { type: 'LEVEL_SERVED', level: 0 },
      { type: 'LEVEL_SERVED', level: 1 },
    ],
    LEVEL_LOST: [
      { type: 'LEVEL_LOST', level: 0, reason: 'no connection' },
      { type: 'LEVEL_LOST', level: 1, reason: 'no connection' },
    ],
    ROUTE_READY: [
      { type: 'ROUTE_READY', epoch: 0 },
      { type: 'ROUTE_READY', epoch: 1 },
    ],
    DRAIN: [{ type: 'DRAIN' }],
    CLOSE: [{ type: 'CLOSE' }],
  },
};

const STATUS: Readonly<Record<string, LevelStatus>> = { s: 'served', l: 'lost' };

/** `usl`: level 0 unknown, level 1 served, level 2 lost. */
const levels = (text: string): readonly LevelStatus[] => text.split('').map((letter) => STATUS[letter] ?? 'unknown');

const REASON = { reason: 'no connection' };
const MOVES = ['reportStarted', 'activate', '+moveTimeout 5000'];
const GIVES_UP = ['reportFailed', 'suspendRoute'];
const onFallback = { active: 1, epoch: 2, levels: levels('lss') } as const;

type FailoverRow = Row<FailoverContext, FailoverEvent>;

const endings = (state: string, ...leaves: string[]): FailoverRow[] => [
  { in: state, when: drain, to: 'draining', ...(leaves.length > 0 && { runs: leaves }) },
  { in: state, when: close, to: 'closed', ...(leaves.length > 0 && { runs: leaves }) },
];

const rows: readonly FailoverRow[] = [
  // Connecting: level 0 is preferred for a moment.
  {
    in: 'connecting.preferring',
    when: served(0),
    to: 'open',
    runs: ['-preference', 'activate', 'reportOpen'],
    sets: { levels: levels('suu'), epoch: 1, active: 0 },
  },
  { in: 'connecting.preferring', when: served(1), sets: { levels: levels('usu') } },
  {
    in: 'connecting.preferring',
    given: { levels: levels('luu') },
    when: served(1),
    to: 'failingOver',
    runs: ['-preference', ...MOVES],
    sets: { levels: levels('lsu'), epoch: 1, target: 1 },
  },
  {
    in: 'connecting.preferring',
    given: { levels: levels('usu') },
    when: { after: 'preference' },
    to: 'failingOver',
    runs: ['-preference', ...MOVES],
    sets: { epoch: 1, target: 1 },
  },
  {
    in: 'connecting.preferring',
    when: { after: 'preference' },
    to: 'connecting.waiting',
    runs: ['-preference'],
  },
  {
    in: 'connecting.waiting',
    when: served(0),
    to: 'open',
    runs: ['activate', 'reportOpen'],
    sets: { levels: levels('suu'), epoch: 1, active: 0 },
  },
  {
    in: 'connecting.waiting',
    when: served(2),
    to: 'failingOver',
    runs: MOVES,
    sets: { levels: levels('uus'), epoch: 1, target: 2 },
  },
  ...[
    { in: 'connecting.preferring', leaves: ['-preference'] },
    { in: 'connecting.waiting', leaves: [] },
  ].flatMap(({ in: state, leaves }): FailoverRow[] => [
    {
      in: state,
      given: { levels: levels('uus') },
      when: lost(0),
      to: 'failingOver',
      runs: [...leaves, ...MOVES],
      sets: { levels: levels('lus'), epoch: 1, target: 2, ...REASON },
    },
    {
      in: state,
      given: { levels: levels('llu') },
      when: lost(2),
      to: 'reconnecting',
      runs: [...leaves, ...GIVES_UP],
      sets: { levels: levels('lll'), ...REASON },
    },
    { in: state, when: lost(0), sets: { levels: levels('luu'), ...REASON } },
    ...endings(state, ...leaves),
  ]),

  // Open: level 0 carries traffic.
  { in: 'open', given: { active: 0, levels: levels('suu') }, when: served(1), sets: { levels: levels('ssu') } },
  {
    in: 'open',
    given: { active: 0, epoch: 1, levels: levels('sls') },
    when: lost(0),
    to: 'failingOver',
    runs: MOVES,
    sets: { levels: levels('lls'), epoch: 2, target: 2, ...REASON },
  },
  {
    in: 'open',
    given: { active: 0, epoch: 1, levels: levels('slu') },
    when: lost(0),
    to: 'reconnecting',
    runs: GIVES_UP,
    sets: { levels: levels('llu'), active: -1, previous: 0, ...REASON },
  },
  {
    in: 'open',
    given: { active: 0, levels: levels('sss') },
    when: lost(1),
    sets: { levels: levels('sls'), ...REASON },
  },
  ...endings('open'),

  // Failing over.
  {
    in: 'failingOver',
    given: { active: 1, target: 0, epoch: 3, levels: levels('sll') },
    when: ready(3),
    to: 'open',
    runs: ['-moveTimeout', 'reportOpen'],
    sets: { active: 0, target: -1, previous: 1 },
  },
  {
    in: 'failingOver',
    given: { active: 0, target: 1, epoch: 2, levels: levels('lsu') },
    when: ready(2),
    to: 'failedOver.steady',
    runs: ['-moveTimeout', 'reportFailedOver'],
    sets: { active: 1, target: -1, previous: 0 },
  },
  {
    in: 'failingOver',
    given: { active: 0, target: 1, epoch: 2, levels: levels('ssu') },
    when: ready(2),
    to: 'failedOver.waiting',
    runs: ['-moveTimeout', 'reportFailedOver', 'reportFailbackScheduled', '+failback 10000'],
    sets: { active: 1, target: -1, previous: 0 },
  },
  { in: 'failingOver', given: { target: 1, epoch: 2 }, when: ready(1) },
  { in: 'failingOver', given: { target: 1, levels: levels('lsu') }, when: served(0), sets: { levels: levels('ssu') } },
  {
    in: 'failingOver',
    given: { target: 1, epoch: 2, levels: levels('lss') },
    when: lost(1),
    runs: ['-moveTimeout', ...MOVES],
    sets: { levels: levels('lls'), epoch: 3, target: 2, ...REASON },
  },
  {
    in: 'failingOver',
    given: { active: 0, target: 1, epoch: 2, levels: levels('lsl') },
    when: lost(1),
    to: 'reconnecting',
    runs: ['-moveTimeout', ...GIVES_UP],
    sets: { levels: levels('lll'), active: -1, target: -1, previous: 0, ...REASON },
  },
  {
    in: 'failingOver',
    given: { target: 1, levels: levels('lss') },
    when: lost(2),
    sets: { levels: levels('lsl'), ...REASON },
  },
  {
    in: 'failingOver',
    given: { target: 1, epoch: 2, levels: levels('ssu') },
    when: { after: 'moveTimeout' },
    runs: ['-moveTimeout', ...MOVES],
    sets: { epoch: 3, target: 0 },
  },
  {
    in: 'failingOver',
    given: { target: 1, levels: levels('lll') },
    when: { after: 'moveTimeout' },
    to: 'reconnecting',
    runs: ['-moveTimeout', ...GIVES_UP],
    sets: { target: -1 },
  },
  ...endings('failingOver', '-moveTimeout'),

  // Failed over: a better level must stay served without a break.
  {
    in: 'failedOver.steady',
    given: onFallback,
    when: served(0),
    to: 'failedOver.waiting',
    runs: ['reportFailbackScheduled', '+failback 10000'],
    sets: { levels: levels('sss') },
  },
  {
    in: 'failedOver.steady',
    given: { active: 1, levels: levels('lsl') },
    when: served(2),
    sets: { levels: levels('lss') },
  },
  {
    in: 'failedOver.waiting',
    given: { active: 2, levels: levels('lss') },
    when: served(0),
    runs: ['-failback', 'reportFailbackScheduled', '+failback 10000'],
    sets: { levels: levels('sss') },
  },
  {
    in: 'failedOver.waiting',
    given: { active: 2, levels: levels('sls') },
    when: served(1),
    sets: { levels: levels('sss') },
  },
  {
    in: 'failedOver.waiting',
    given: { active: 2, levels: levels('sss') },
    when: lost(0),
    runs: ['-failback', 'reportFailbackScheduled', '+failback 10000'],
    sets: { levels: levels('lss'), ...REASON },
  },
  {
    in: 'failedOver.waiting',
    given: { active: 2, levels: levels('sls') },
    when: lost(0),
    to: 'failedOver.steady',
    runs: ['-failback'],
    sets: { levels: levels('lls'), ...REASON },
  },
  {
    in: 'failedOver.waiting',
    given: { active: 2, levels: levels('sss') },
    when: lost(1),
    sets: { levels: levels('sls'), ...REASON },
  },
  {
    in: 'failedOver.waiting',
    given: { active: 1, epoch: 2, levels: levels('ssl') },
    when: { after: 'failback' },
    to: 'failingBack',
    runs: ['-failback', 'activate', '+moveTimeout 5000'],
    sets: { epoch: 3, target: 0 },
  },
  ...[
    { in: 'failedOver.steady', leaves: [] },
    { in: 'failedOver.waiting', leaves: ['-failback'] },
  ].flatMap(({ in: state, leaves }): FailoverRow[] => [
    {
      in: state,
      given: onFallback,
      when: lost(1),
      to: 'failingOver',
      runs: [...leaves, ...MOVES],
      sets: { levels: levels('lls'), epoch: 3, target: 2, ...REASON },
    },
    {
      in: state,
      given: { active: 1, epoch: 2, levels: levels('lsl') },
      when: lost(1),
      to: 'reconnecting',
      runs: [...leaves, ...GIVES_UP],
      sets: { levels: levels('lll'), active: -1, previous: 1, ...REASON },
    },
    ...endings(state, ...leaves),
  ]),
  {
    in: 'failedOver.steady',
    given: { active: 1, levels: levels('lss') },
    when: lost(2),
    sets: { levels: levels('lsl'), ...REASON },
  },
  {
    // Not reachable: a level better than the active one, served, is waited for at once.
    in: 'failedOver.steady',
    given: { active: 2, levels: levels('sss') },
    when: lost(0),
    to: 'failedOver.waiting',
    runs: ['reportFailbackScheduled', '+failback 10000'],
    sets: { levels: levels('lss'), ...REASON },
  },

  // Failing back: make before break.
  {
    in: 'failingBack',
    given: { active: 1, target: 0, epoch: 3, levels: levels('ssl') },
    when: ready(3),
    to: 'open',
    runs: ['-moveTimeout', 'reportFailedBack', 'reportOpen'],
    sets: { active: 0, target: -1, previous: 1 },
  },
  {
    in: 'failingBack',
    given: { active: 2, target: 1, epoch: 3, levels: levels('lss') },
    when: ready(3),
    to: 'failedOver.steady',
    runs: ['-moveTimeout', 'reportFailedOver'],
    sets: { active: 1, target: -1, previous: 2 },
  },
  { in: 'failingBack', given: { target: 0, epoch: 3 }, when: ready(2) },
  {
    in: 'failingBack',
    given: { active: 2, target: 1, levels: levels('lss') },
    when: served(0),
    sets: { levels: levels('sss') },
  },
  {
    in: 'failingBack',
    given: { active: 1, target: 0, epoch: 3, levels: levels('ssl') },
    when: lost(0),
    to: 'failedOver.steady',
    runs: ['-moveTimeout', 'cancelMove'],
    sets: { levels: levels('lsl'), target: -1, epoch: 4, ...REASON },
  },
  {
    in: 'failingBack',
    given: { active: 1, target: 0, epoch: 3, levels: levels('sls') },
    when: lost(0),
    to: 'failingOver',
    runs: ['-moveTimeout', ...MOVES],
    sets: { levels: levels('lls'), target: 2, epoch: 4, ...REASON },
  },
  {
    in: 'failingBack',
    given: { active: 1, target: 0, epoch: 3, levels: levels('sll') },
    when: lost(0),
    to: 'reconnecting',
    runs: ['-moveTimeout', ...GIVES_UP],
    sets: { levels: levels('lll'), active: -1, target: -1, previous: 1, ...REASON },
  },
  {
    in: 'failingBack',
    given: { active: 1, target: 0, levels: levels('ssl') },
    when: lost(1),
    sets: { levels: levels('sll'), ...REASON },
  },
  {
    in: 'failingBack',
    given: { active: 1, target: 0, epoch: 3, levels: levels('ssl') },
    when: { after: 'moveTimeout' },
    to: 'failedOver.waiting',
    runs: ['-moveTimeout', 'cancelMove', 'reportFailbackScheduled', '+failback 10000'],
    sets: { target: -1, epoch: 4 },
  },
  {
    in: 'failingBack',
    given: { active: 1, target: 0, epoch: 3, levels: levels('sll') },
    when: { after: 'moveTimeout' },
    to: 'failingOver',
    runs: ['-moveTimeout', ...MOVES],
    sets: { epoch: 4 },
  },
  {
    // Not reachable: losing the last served level ends the move before its time is up.
    in: 'failingBack',
    given: { active: 1, target: 0, levels: levels('lll') },
    when: { after: 'moveTimeout' },
    to: 'reconnecting',
    runs: ['-moveTimeout', ...GIVES_UP],
    sets: { active: -1, target: -1, previous: 1 },
  },
  ...endings('failingBack', '-moveTimeout'),

  // Reconnecting: the first level served is taken at once.
  {
    in: 'reconnecting',
    given: { epoch: 3, levels: levels('lll') },
    when: served(0),
    to: 'open',
    runs: ['activate', 'reportOpen'],
    sets: { levels: levels('sll'), epoch: 4, active: 0 },
  },
  {
    in: 'reconnecting',
    given: { epoch: 3, previous: 0, levels: levels('lll') },
    when: served(2),
    to: 'failedOver.steady',
    runs: ['activate', 'reportFailedOver'],
    sets: { levels: levels('lls'), epoch: 4, active: 2 },
  },
  { in: 'reconnecting', given: { levels: levels('llu') }, when: lost(2), sets: { levels: levels('lll'), ...REASON } },
  ...endings('reconnecting'),

  // Draining: what is known goes on being noted, and moves nothing.
  { in: 'draining', given: { active: 0, levels: levels('sll') }, when: served(1), sets: { levels: levels('ssl') } },
  {
    in: 'draining',
    given: { active: 0, levels: levels('ssl') },
    when: lost(0),
    sets: { levels: levels('lsl'), ...REASON },
  },
  { in: 'draining', when: close, to: 'closed' },
];

const ALLOWED = edges(
  'connecting > open failingOver reconnecting draining closed',
  'open > failingOver reconnecting draining closed',
  'failingOver > failedOver open reconnecting draining closed',
  'failedOver > failingOver failingBack reconnecting draining closed',
  // To failingOver when the target and the level traffic came from are both lost.
  'failingBack > open failedOver failingOver reconnecting draining closed',
  'reconnecting > open failedOver draining closed',
  'draining > closed',
);

const MOVING = ['failingOver', 'failingBack'];
const CARRYING = ['open', 'failedOver', 'failingBack'];

/** An epoch is told by its age, so that a run makes sense whatever came before. */
type Choice = FailoverEvent | { readonly type: 'ROUTE_READY'; readonly ago: number };

const choices = (count: number): fc.Arbitrary<Choice> => {
  const level = fc.nat({ max: count - 1 });
  return fc.oneof(
    { weight: 6, arbitrary: level.map(served) },
    { weight: 6, arbitrary: level.map(lost) },
    { weight: 6, arbitrary: fc.constantFrom(0, 0, 0, 1, 2).map((ago) => ({ type: 'ROUTE_READY' as const, ago })) },
    { weight: 1, arbitrary: fc.constantFrom(drain, close) },
  );
};

function assertInvariants(count: number): void {
  assertOnRuns<FailoverContext, FailoverEvent, Choice>(
    { ...subject, input: { ...input, levels: count } },
    choices(count),
    (choice, { epoch }) => ('ago' in choice ? ready(epoch - choice.ago) : choice),
    (walk) => {
      let epochOfMove = 0;
      let before = walk.context;
      /** The levels that have been served since the failback delay began to run. */
      let unbroken = new Set<number>();
      return (move) => {
        const { epoch, active, target, levels: known } = walk.context;
        expectEdge(ALLOWED, move);

        expect(active).toBeGreaterThanOrEqual(-1);
        expect(active).toBeLessThan(count);
        expect(known).toHaveLength(count);
        if (walk.top === 'open') expect(active).toBe(0);
        if (walk.top === 'failedOver') expect(active).toBeGreaterThan(0);
        if (walk.top === 'open' || walk.top === 'failedOver') expect(known[active]).toBe('served');
        if (walk.top === 'reconnecting')
          expect({ active, served: known.includes('served') }).toEqual({ active: -1, served: false });
        if (CARRYING.includes(walk.top)) expect(active).not.toBe(-1);
        if (walk.top === 'failingBack') expect(target).toBeLessThan(active);

        // One move at a time, each under an epoch of its own.
        const activations = move.runs.filter((effect) => effect === 'activate').length;
        expect(activations).toBeLessThanOrEqual(1);
        expect(epoch).toBeGreaterThanOrEqual(before.epoch);
        if (activations === 1) {
          expect(epoch).toBeGreaterThan(epochOfMove);
          epochOfMove = epoch;
        }
        if (MOVING.includes(walk.top))
          expect({ epoch, served: known[target] }).toEqual({ epoch: epochOfMove, served: 'served' });
        else if (!['draining', 'closed'].includes(walk.top)) expect(target).toBe(-1);

        if ('ago' in move.event || ('epoch' in move.event && move.event.epoch !== before.epoch)) {
          expect({ to: move.to, runs: move.runs }).toEqual({ to: move.from, runs: [] });
        }

        // Traffic goes back only to a level whose health did not break while the delay ran.
        if (move.runs.some((effect) => effect.startsWith('+failback'))) {
          unbroken = new Set(known.keys());
        }
        for (const [level, status] of known.entries()) if (status !== 'served') unbroken.delete(level);
        if (topOf(move.from) === 'failedOver' && walk.top === 'failingBack') expect(unbroken).toContain(target);

        expect(walk.running).toEqual(DELAYS[walk.path] ?? []);
        before = walk.context;
      };
    },
  );
}

const DELAYS: Readonly<Record<string, readonly string[]>> = {
  'connecting.preferring': ['preference'],
  failingOver: ['moveTimeout'],
  'failedOver.waiting': ['failback'],
  failingBack: ['moveTimeout'],
};

describe('failover', () => {
  describeChart(subject, rows, ['closed']);

  describe('whatever happens', () => {
    it.each([1, 2, 3, 5])('%i levels: one route, one move, an epoch for each', (count) => {
      assertInvariants(count);
    });
  });

  describe('in time', () => {
    function controller(): Timed<FailoverContext, FailoverEvent> {
      return runTimed(input, () => failoverMachine);
    }

    /** Level 2 carries traffic; levels 0 and 1 are lost. */
    function failedOver(): ReturnType<typeof controller> {
      const running = controller();
      running.send(served(0), served(2), lost(1), lost(0), ready(2));
      expect(running.state()).toBe('failedOver.steady');
      return running;
    }

    it('connecting + only a fallback served → taken once level 0 has had its moment', () => {
      const { clock, send, state } = controller();
      send(served(1));
      clock.advance(499);
      expect(state()).toBe('connecting.preferring');
      clock.advance(1);
      expect(state()).toBe('failingOver');
    });

    it('failedOver + level 0 served for failbackDelay → failing back, not a millisecond sooner', () => {
      const { clock, send, state, context } = failedOver();
      send(served(0));
      clock.advance(9_999);
      expect(state()).toBe('failedOver.waiting');
      clock.advance(1);
      expect(state()).toBe('failingBack');
      send(ready(context().epoch));
      expect(state()).toBe('open');
      expect(clock.pendingTimers).toBe(0);
    });

    it('failedOver + health that breaks → the delay starts again from nothing', () => {
      const { clock, send, state } = failedOver();
      send(served(0));
      clock.advance(9_000);
      send(lost(0));
      clock.advance(5_000);
      send(served(0));
      clock.advance(9_999);
      expect(state()).toBe('failedOver.waiting');
      clock.advance(1);
      expect(state()).toBe('failingBack');
    });

    it('failedOver + a better level flapping beside a steady one → its health counts from its return', () => {
      const { clock, send, state, context } = failedOver();
      send(served(1));
      clock.advance(9_999);
      send(served(0));
      clock.advance(9_999);
      expect(state()).toBe('failedOver.waiting');
      clock.advance(1);
      expect(state()).toBe('failingBack');
      expect(context().target).toBe(0);
    });

    it('failingBack + no connection for moveTimeout → stays failed over, and waits again', () => {
      const { clock, send, state, context } = failedOver();
      send(served(0));
      clock.advance(10_000);
      const { epoch } = context();
      clock.advance(5_000);
      expect(state()).toBe('failedOver.waiting');
      expect(context().active).toBe(2);
      send(ready(epoch));
      expect(state()).toBe('failedOver.waiting');
    });
  });
});
