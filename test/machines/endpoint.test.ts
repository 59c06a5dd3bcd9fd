import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EndpointEvent, EndpointInput } from '../../machines/contract.js';
import { endpointMachine, type EndpointContext } from '../../machines/endpoint.js';
import { describeChart, topOf, type Row, type Subject } from './support/chart.js';
import { ENDPOINT_CONFIG } from './support/inputs.js';
import { runTimed, type Send } from './support/timed.js';
import { assertOnRuns, edges, expectEdge, expectWithinBackoff, Once } from './support/walk.js';

const config = ENDPOINT_CONFIG;
const input: EndpointInput = { id: 'e1', address: 'authz.example:443', level: 0, seed: 7, config };

const opened: EndpointEvent = { type: 'CONNECTION_OPENED' };
const lost = (remaining: number): EndpointEvent => ({ type: 'CONNECTION_LOST', remaining });
const dialFailed = (remaining: number): EndpointEvent => ({ type: 'DIAL_FAILED', remaining });
const reported = (serving: boolean): EndpointEvent => ({ type: 'HEALTH_REPORTED', serving });
const answered = (sole: boolean): EndpointEvent => ({ type: 'PROBE_ANSWERED', sole });
const missed = (sole: boolean, stalled = false): EndpointEvent => ({ type: 'PROBE_MISSED', sole, stalled });
const overdue = (sole: boolean): EndpointEvent => ({ type: 'ANSWERS_OVERDUE', sole });
const checksFailing = (sole: boolean): EndpointEvent => ({
  type: 'CHECKS_FAILING',
  sole,
  reason: 'checks go unanswered',
});
const checkAnswered: EndpointEvent = { type: 'CHECK_ANSWERED' };
const arrived: EndpointEvent = { type: 'ANSWER_ARRIVED' };

const subject: Subject<EndpointEvent> = {
  machine: endpointMachine,
  input,
  samples: {
    CONNECTION_OPENED: [{ type: 'CONNECTION_OPENED' }],
    CONNECTION_LOST: [
      { type: 'CONNECTION_LOST', remaining: 0 },
      { type: 'CONNECTION_LOST', remaining: 1 },
    ],
    DIAL_FAILED: [
      { type: 'DIAL_FAILED', remaining: 0 },
      { type: 'DIAL_FAILED', remaining: 1 },
    ],
    HEALTH_REPORTED: [
      { type: 'HEALTH_REPORTED', serving: false },
      { type: 'HEALTH_REPORTED', serving: true },
    ],
    PROBE_ANSWERED: [
      { type: 'PROBE_ANSWERED', sole: false },
      { type: 'PROBE_ANSWERED', sole: true },
    ],
    PROBE_MISSED: [
      { type: 'PROBE_MISSED', sole: false, stalled: false },
      { type: 'PROBE_MISSED', sole: true, stalled: false },
      { type: 'PROBE_MISSED', sole: false, stalled: true },
    ],
    ANSWERS_OVERDUE: [
      { type: 'ANSWERS_OVERDUE', sole: false },
      { type: 'ANSWERS_OVERDUE', sole: true },
    ],
    CHECKS_FAILING: [
      { type: 'CHECKS_FAILING', sole: false, reason: 'checks go unanswered' },
      { type: 'CHECKS_FAILING', sole: true, reason: 'checks go unanswered' },
    ],
    CHECK_ANSWERED: [{ type: 'CHECK_ANSWERED' }],
    ANSWER_ARRIVED: [{ type: 'ANSWER_ARRIVED' }],
  },
};

const GOES_DOWN = ['releaseWatch', 'reportLost', '+recheck 100'];
const PLANS_FIRST = { rechecks: 1, delayMs: 100 };
const COMES_UP = ['reportServed', 'openWatch', '+healthInterval 10000'];

/** What leaving each state of an endpoint that is not down runs. */
const UP = [
  { in: 'unknown', leaves: [] },
  { in: 'serving.watched', leaves: ['-healthInterval'] },
  { in: 'serving.checked', leaves: ['-healthInterval'] },
  { in: 'suspect.checked', leaves: ['-probeInterval', 'uncordon'] },
  { in: 'probing.checked', leaves: ['-probeInterval'] },
] as const;

type EndpointRow = Row<EndpointContext, EndpointEvent>;

const rows: readonly EndpointRow[] = [
  // Connections are counted.
  {
    in: ['serving.watched', 'serving.checked', 'suspect.checked', 'probing.checked'],
    given: { connections: 1 },
    when: opened,
    sets: { connections: 2 },
  },
  {
    in: ['unknown', 'serving.watched', 'serving.checked', 'suspect.checked', 'notServing.waiting'],
    given: { connections: 1 },
    when: lost(0),
    sets: { connections: 0 },
  },
  { in: 'probing.checked', given: { connections: 2 }, when: lost(1), sets: { connections: 1 } },

  // Hard evidence.
  ...UP.flatMap(({ in: state, leaves }): EndpointRow[] => [
    {
      in: state,
      given: { connections: 1, failures: 1, successes: 1 },
      when: dialFailed(0),
      to: 'notServing.waiting',
      runs: [...leaves, ...GOES_DOWN],
      sets: { connections: 0, failures: 0, successes: 0, reason: 'no connection', ...PLANS_FIRST },
    },
    { in: state, given: { connections: 3 }, when: dialFailed(2), sets: { connections: 2 } },
    {
      in: state,
      given: { connections: 1 },
      when: reported(false),
      to: 'notServing.waiting',
      runs: [...leaves, ...GOES_DOWN],
      sets: { reason: 'the server reports NOT_SERVING', ...PLANS_FIRST },
    },
    { in: state, when: reported(true) },
  ]),

  // First contact.
  {
    in: 'unknown',
    when: opened,
    to: 'serving.watched',
    runs: COMES_UP,
    sets: { connections: 1 },
  },

  // Serving: the periodic probes.
  {
    in: 'serving.watched',
    when: { after: 'healthInterval' },
    to: 'serving.checked',
    runs: ['-healthInterval', 'check', '+healthInterval 10000'],
  },
  { in: 'serving.watched', given: { config: { ...config, healthEnabled: false } }, when: { after: 'healthInterval' } },
  {
    in: 'serving.checked',
    when: { after: 'healthInterval' },
    runs: ['-healthInterval', 'check', '+healthInterval 10000'],
  },
  {
    in: ['serving.watched', 'serving.checked'],
    given: { failures: 2 },
    when: answered(false),
    sets: { failures: 0 },
  },
  { in: ['serving.watched', 'serving.checked'], given: { failures: 2 }, when: missed(false, true) },
  { in: ['serving.watched', 'serving.checked'], given: { failures: 1 }, when: missed(false), sets: { failures: 2 } },
  { in: ['serving.watched', 'serving.checked'], given: { failures: 2 }, when: missed(true), sets: { failures: 3 } },
  {
    in: ['serving.watched', 'serving.checked'],
    given: { failures: 2 },
    when: missed(false),
    to: 'notServing.waiting',
    runs: ['-healthInterval', ...GOES_DOWN],
    sets: { failures: 0, reason: 'health probes missed', ...PLANS_FIRST },
  },

  // Suspicion.
  {
    in: ['serving.watched', 'serving.checked'],
    given: { failures: 2 },
    when: overdue(false),
    to: 'suspect.checked',
    runs: ['-healthInterval', 'cordon', 'probe', '+probeInterval 250'],
    sets: { failures: 0 },
  },
  {
    in: ['serving.watched', 'serving.checked'],
    when: overdue(true),
    to: 'suspect.checked',
    runs: ['-healthInterval', 'probe', '+probeInterval 250'],
  },
  { in: 'suspect.checked', when: { after: 'probeInterval' }, runs: ['-probeInterval', 'probe', '+probeInterval 250'] },
  {
    in: 'suspect.checked',
    given: { failures: 1 },
    when: answered(false),
    to: 'serving.watched',
    runs: ['-probeInterval', 'uncordon', '+healthInterval 10000'],
    sets: { failures: 0 },
  },
  {
    in: 'suspect.checked',
    given: { failures: 1 },
    when: arrived,
    to: 'serving.watched',
    runs: ['-probeInterval', 'uncordon', '+healthInterval 10000'],
    sets: { failures: 0 },
  },
  { in: 'suspect.checked', given: { failures: 1 }, when: missed(false, true) },
  { in: 'suspect.checked', when: missed(false), sets: { failures: 1 } },
  { in: 'suspect.checked', given: { failures: 5 }, when: missed(true), runs: ['readmit'], sets: { failures: 6 } },
  {
    in: 'suspect.checked',
    given: { failures: 1 },
    when: missed(false),
    to: 'notServing.waiting',
    runs: ['-probeInterval', 'uncordon', ...GOES_DOWN],
    sets: { failures: 0, reason: 'answers overdue and probes missed', ...PLANS_FIRST },
  },

  // Checks that fail while probes are answered.
  {
    in: ['serving.watched', 'serving.checked'],
    when: checksFailing(false),
    to: 'notServing.waiting',
    runs: ['-healthInterval', ...GOES_DOWN],
    sets: { failing: true, reason: 'checks go unanswered', ...PLANS_FIRST },
  },
  {
    in: 'suspect.checked',
    given: { failures: 1 },
    when: checksFailing(false),
    to: 'notServing.waiting',
    runs: ['-probeInterval', 'uncordon', ...GOES_DOWN],
    sets: { failing: true, failures: 0, reason: 'checks go unanswered', ...PLANS_FIRST },
  },
  { in: ['serving.watched', 'serving.checked', 'suspect.checked'], when: checksFailing(true) },
  {
    in: ['serving.watched', 'serving.checked', 'suspect.checked'],
    given: { failing: true, rechecks: 3 },
    when: checkAnswered,
    sets: { failing: false, rechecks: 0 },
  },
  {
    in: ['unknown', 'notServing.waiting', 'probing.checked'],
    given: { failing: true, rechecks: 3 },
    when: checkAnswered,
    sets: { failing: false },
  },
  {
    in: 'notServing.waiting',
    given: { failing: true, rechecks: 2 },
    when: opened,
    sets: { connections: 1 },
  },
  {
    in: 'notServing.waiting',
    given: { failing: true, rechecks: 2, connections: 1 },
    when: { after: 'recheck' },
    to: 'probing.checked',
    runs: ['-recheck', 'probe', '+probeInterval 250'],
  },
  {
    in: 'probing.checked',
    given: { failing: true, successes: 1, rechecks: 2 },
    when: answered(false),
    to: 'serving.watched',
    runs: ['-probeInterval', ...COMES_UP],
    sets: { successes: 0 },
  },
  {
    in: 'serving.watched',
    given: { failing: true, rechecks: 2 },
    when: checksFailing(false),
    to: 'notServing.waiting',
    runs: ['-healthInterval', 'releaseWatch', 'reportLost', '+recheck 400'],
    sets: { reason: 'checks go unanswered', rechecks: 3, delayMs: 400 },
  },

  // Down.
  { in: 'notServing.waiting', given: { connections: 1 }, when: dialFailed(0), sets: { connections: 0 } },
  {
    in: 'notServing.waiting',
    when: opened,
    to: 'probing.checked',
    runs: ['-recheck', 'probe', '+probeInterval 250'],
    sets: { connections: 1 },
  },
  {
    in: 'notServing.waiting',
    given: { rechecks: 4, config: { ...config, healthEnabled: false } },
    when: opened,
    to: 'serving.watched',
    runs: ['-recheck', ...COMES_UP],
    sets: { connections: 1, rechecks: 0 },
  },
  {
    in: 'notServing.waiting',
    given: { connections: 1 },
    when: { after: 'recheck' },
    to: 'probing.checked',
    runs: ['-recheck', 'probe', '+probeInterval 250'],
  },
  {
    in: 'notServing.waiting',
    given: { rechecks: 1 },
    when: { after: 'recheck' },
    runs: ['-recheck', '+recheck 200'],
    sets: { rechecks: 2, delayMs: 200 },
  },

  // Half open.
  { in: 'probing.checked', when: { after: 'probeInterval' }, runs: ['-probeInterval', 'probe', '+probeInterval 250'] },
  {
    in: 'probing.checked',
    given: { connections: 1 },
    when: lost(0),
    to: 'notServing.waiting',
    runs: ['-probeInterval', ...GOES_DOWN],
    sets: { connections: 0, reason: 'no connection', ...PLANS_FIRST },
  },
  { in: 'probing.checked', when: answered(false), sets: { successes: 1 } },
  {
    in: 'probing.checked',
    given: { successes: 1, rechecks: 3 },
    when: answered(false),
    to: 'serving.watched',
    runs: ['-probeInterval', ...COMES_UP],
    sets: { successes: 0, rechecks: 0 },
  },
  {
    in: 'probing.checked',
    given: { rechecks: 3 },
    when: answered(true),
    to: 'serving.watched',
    runs: ['-probeInterval', ...COMES_UP],
    sets: { rechecks: 0 },
  },
  { in: 'probing.checked', given: { successes: 1 }, when: missed(true, true) },
  {
    in: 'probing.checked',
    given: { successes: 1, rechecks: 1 },
    when: missed(true),
    to: 'notServing.waiting',
    runs: ['-probeInterval', 'releaseWatch', 'reportLost', '+recheck 200'],
    sets: { successes: 0, reason: 'health probes missed', rechecks: 2, delayMs: 200 },
  },
];

const ALLOWED = edges(
  'unknown > serving notServing',
  'serving > suspect notServing',
  'suspect > serving notServing',
  // Straight back to serving where health is not probed.
  'notServing > probing serving',
  'probing > serving notServing',
);

const HARD_EVIDENCE = ['HEALTH_REPORTED', 'DIAL_FAILED'];

function assertInvariants(given: Subject<EndpointEvent>): void {
  assertOnRuns<EndpointContext, EndpointEvent, EndpointEvent>(
    given,
    fc.constantFrom(...Object.values(given.samples).flat()),
    (event) => event,
    (walk) => {
      const observers = [
        new Once('reportServed', 'reportLost'),
        new Once('reportLost', 'reportServed', 'probe'),
        new Once('openWatch', 'releaseWatch'),
        new Once('cordon', 'uncordon'),
      ];
      let isWatched = false;
      return (move) => {
        expectEdge(ALLOWED, move);
        for (const observer of observers) observer.see(move.runs);
        if (move.runs.includes('openWatch')) isWatched = true;
        if (move.runs.includes('releaseWatch')) isWatched = false;
        expect(isWatched).toBe(['serving', 'suspect'].includes(walk.top));

        const wasServed = ['serving', 'suspect'].includes(topOf(move.from));
        if (wasServed && walk.top === 'notServing' && 'type' in move.event && 'sole' in move.event) {
          expect(move.event.sole, 'the only endpoint served was ejected on suspicion').toBe(false);
          expect('stalled' in move.event && move.event.stalled).toBe(false);
        }
        if (wasServed && walk.top === 'notServing' && 'type' in move.event && !('sole' in move.event)) {
          expect(HARD_EVIDENCE).toContain(move.event.type);
        }

        const { connections, failures, successes, rechecks, delayMs } = walk.context;
        expect(connections).toBeGreaterThanOrEqual(0);
        if (walk.top !== 'probing') expect(successes).toBe(0);
        if (walk.top === 'notServing' || walk.top === 'probing') expect(failures).toBe(0);
        if (walk.top === 'notServing') {
          expect(rechecks).toBeGreaterThan(0);
          expectWithinBackoff(walk.context.config.recheck, rechecks, delayMs);
        }
        expect(walk.running.filter((name) => name !== 'healthInterval')).toEqual(DELAYS[walk.top] ?? []);
      };
    },
  );
}

/** The delays that run in each state, but for the health interval, which does not start again where health is not probed. */
const DELAYS: Readonly<Record<string, readonly string[]>> = {
  suspect: ['probeInterval'],
  notServing: ['recheck'],
  probing: ['probeInterval'],
};

describe('endpoint', () => {
  describeChart(subject, rows, []);

  describe('whatever happens', () => {
    it.each([
      { name: 'a probed endpoint', healthEnabled: true, jitter: true },
      { name: 'one that is not probed', healthEnabled: false, jitter: true },
      { name: 'one without jitter', healthEnabled: true, jitter: false },
    ])('$name keeps its promises', ({ healthEnabled, jitter }) => {
      const recheck = { ...config.recheck, jitter };
      assertInvariants({ ...subject, input: { ...input, config: { ...config, healthEnabled, recheck } } });
    });
  });

  describe('in time', () => {
    function endpoint(probed: (send: Send<EndpointEvent>) => void = () => undefined) {
      const checksMs: number[] = [];
      const probesMs: number[] = [];
      const reports: string[] = [];
      const running = runTimed<EndpointContext, EndpointEvent>(input, (clock, send) =>
        endpointMachine.provide({
          actions: {
            check: () => void checksMs.push(clock.now()),
            probe: () => {
              probesMs.push(clock.now());
              clock.soon(() => probed(send));
            },
            reportServed: () => void reports.push('served'),
            reportLost: () => void reports.push('lost'),
          },
        }),
      );
      return { ...running, checksMs, probesMs, reports };
    }

    it('serving + one health interval after another → checked at each', () => {
      const { clock, checksMs, send } = endpoint();
      send(opened);
      clock.advance(30_000);
      expect(checksMs).toEqual([10_000, 20_000, 30_000]);
    });

    it('suspect + nothing heard → probed every 250 ms until it answers', () => {
      const { clock, probesMs, send, state } = endpoint();
      send(opened);
      send(overdue(true));
      clock.advance(600);
      expect(probesMs).toEqual([0, 250, 500]);
      send(arrived);
      clock.advance(600);
      expect(probesMs).toHaveLength(3);
      expect(state()).toBe('serving.watched');
    });

    it('notServing + unconnected through many rechecks → reported lost once', () => {
      const { clock, reports, send, state } = endpoint();
      send(opened);
      send(lost(0));
      send(dialFailed(0));
      clock.advance(60_000);
      expect(reports).toEqual(['served', 'lost']);
      expect(state()).toBe('notServing.waiting');
    });

    it('notServing + connected → looked at again by a growing backoff, never faster', () => {
      const { clock, probesMs, send } = endpoint((hear) => {
        hear(missed(true));
      });
      send(opened);
      send(reported(false));
      clock.advance(3_500);
      expect(probesMs).toEqual([100, 300, 700, 1_500, 2_500, 3_500]);
    });
  });
});
