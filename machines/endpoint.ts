import { assign, setup } from 'xstate';
import { nextBackoff } from './backoff.js';
import type { EndpointConfig, EndpointEvent, EndpointInput } from './contract.js';

export interface EndpointContext {
  readonly id: string;
  readonly address: string;
  readonly level: number;
  readonly config: EndpointConfig;
  readonly seed: number;
  /** Open connections. */
  readonly connections: number;
  /** Consecutive failed periodic probes, or missed probes of a suspect. */
  readonly failures: number;
  /** Consecutive good probes on probation. */
  readonly successes: number;
  /** Consecutive looks at it while it was down. */
  readonly rechecks: number;
  readonly delayMs: number;
  readonly reason: string;
  /** Its checks failed while its health was well; none has been answered since. */
  readonly failing: boolean;
}

/** Effects; the runtime provides them. On their own they do nothing, so that the chart can be run and tested alone. */
const noEffect = (): void => undefined;

/** Connections are counted, and answers to checks believed, in every state. */
const COUNTS = {
  CONNECTION_OPENED: { actions: 'countConnection' },
  CONNECTION_LOST: { actions: 'noteRemaining' },
  CHECK_ANSWERED: { actions: 'clearFailing' },
} as const;

/** The answers to checks count for more than those to probes, which somebody else may give. */
const FAILS_CHECKS = {
  CHECKS_FAILING: { guard: 'hasOthers', target: 'notServing', actions: 'noteFailing' },
  CHECK_ANSWERED: { actions: ['clearFailing', 'clearRechecks'] },
} as const;

/** Hard evidence moves traffic at once: no connection and a failed dial, or the server's own word. */
const GOES_DOWN = {
  DIAL_FAILED: [
    { guard: 'isDisconnected', target: 'notServing', actions: ['noteRemaining', 'noteDialFailed'] },
    { actions: 'noteRemaining' },
  ],
  HEALTH_REPORTED: { guard: 'reportsNotServing', target: 'notServing', actions: 'noteNotServing' },
} as const;

/** Said once on becoming served, not on every return from suspicion: a suspect is still served and watched. */
const COMES_UP = { target: '#endpoint.serving', actions: ['reportServed', 'openWatch'] } as const;
const COMES_UP_CONNECTED = {
  target: '#endpoint.serving',
  actions: ['countConnection', 'reportServed', 'openWatch'],
} as const;

/**
 * The health of one address, from every kind of evidence.
 *
 * - `unknown`: nothing is known yet.
 * - `serving`: carries traffic when its level is active.
 * - `suspect`: answers are overdue; probed fast. Its connections are cordoned unless, and until, it is the only one served.
 * - `notServing`: out of the route. Redialled by backoff; looked at again by backoff while connected.
 * - `probing`: half-open: connected again, must answer `healthyThreshold` probes (one, if nothing else is served).
 */
export const endpointMachine = setup({
  types: {
    context: {} as EndpointContext,
    events: {} as EndpointEvent,
    input: {} as EndpointInput,
  },
  actions: {
    /** A periodic look at a served endpoint; answered as a probe is. */
    check: noEffect,
    /** One fast probe, answered by PROBE_ANSWERED, PROBE_MISSED or HEALTH_REPORTED. */
    probe: noEffect,
    /** Follow the server's health by Watch where it is served. */
    openWatch: noEffect,
    /** A Watch left open keeps a server from exiting. */
    releaseWatch: noEffect,
    cordon: noEffect,
    uncordon: noEffect,
    /** Nothing else is served: its connections are used again, suspect as it is. */
    readmit: noEffect,
    reportServed: noEffect,
    reportLost: noEffect,
    countConnection: assign({ connections: ({ context }) => context.connections + 1 }),
    noteRemaining: assign({
      connections: ({ context, event }) => ('remaining' in event ? event.remaining : context.connections),
    }),
    countFailure: assign({ failures: ({ context }) => context.failures + 1 }),
    countSuccess: assign({ successes: ({ context }) => context.successes + 1 }),
    clearCounts: assign({ failures: 0, successes: 0 }),
    /** One whose checks fail is looked at ever more seldom, however often its health lets it come back. */
    clearRechecks: assign(({ context }) => (context.failing ? {} : { rechecks: 0 })),
    clearFailing: assign({ failing: false }),
    planRecheck: assign(({ context }) => {
      const rechecks = context.rechecks + 1;
      return { rechecks, ...nextBackoff(context.config.recheck, rechecks, context.seed) };
    }),
    noteDialFailed: assign({ reason: 'no connection' }),
    noteNotServing: assign({ reason: 'the server reports NOT_SERVING' }),
    noteProbesMissed: assign({ reason: 'health probes missed' }),
    noteFailing: assign(({ context, event }) => ({
      failing: true,
      reason: 'reason' in event ? event.reason : context.reason,
    })),
    noteOverdue: assign({ reason: 'answers overdue and probes missed' }),
  },
  guards: {
    isDisconnected: ({ event }) => 'remaining' in event && event.remaining === 0,
    isConnected: ({ context }) => context.connections > 0,
    reportsNotServing: ({ event }) => event.type === 'HEALTH_REPORTED' && !event.serving,
    isUnprobed: ({ context }) => !context.config.healthEnabled,
    provesNothing: ({ event }) => event.type === 'PROBE_MISSED' && event.stalled,
    /** The last served endpoint is never ejected on suspicion. */
    mayEjectUnhealthy: ({ context, event }) =>
      'sole' in event && !event.sole && context.failures + 1 >= context.config.unhealthyThreshold,
    mayEjectSuspect: ({ context, event }) =>
      'sole' in event && !event.sole && context.failures + 1 >= context.config.failoverThreshold,
    hasOthers: ({ event }) => 'sole' in event && !event.sole,
    isFailing: ({ context }) => context.failing,
    isSole: ({ event }) => 'sole' in event && event.sole,
    isRecovered: ({ context, event }) =>
      'sole' in event && (event.sole || context.successes + 1 >= context.config.healthyThreshold),
  },
  delays: {
    healthInterval: ({ context }) => context.config.healthIntervalMs,
    probeInterval: ({ context }) => context.config.probeIntervalMs,
    recheck: ({ context }) => context.delayMs,
  },
}).createMachine({
  id: 'endpoint',
  context: ({ input }) => ({
    id: input.id,
    address: input.address,
    level: input.level,
    config: input.config,
    seed: input.seed,
    connections: 0,
    failures: 0,
    successes: 0,
    rechecks: 0,
    delayMs: 0,
    reason: '',
    failing: false,
  }),
  initial: 'unknown',
  states: {
    unknown: {
      on: {
        ...COUNTS,
        ...GOES_DOWN,
        CONNECTION_OPENED: COMES_UP_CONNECTED,
      },
    },
    serving: {
      entry: ['clearCounts', 'clearRechecks'],
      initial: 'watched',
      states: {
        watched: { after: { healthInterval: [{ guard: 'isUnprobed' }, { target: 'checked' }] } },
        checked: { entry: 'check', after: { healthInterval: { target: 'checked', reenter: true } } },
      },
      on: {
        ...COUNTS,
        ...GOES_DOWN,
        ...FAILS_CHECKS,
        PROBE_ANSWERED: { actions: 'clearCounts' },
        PROBE_MISSED: [
          { guard: 'provesNothing' },
          { guard: 'mayEjectUnhealthy', target: 'notServing', actions: 'noteProbesMissed' },
          { actions: 'countFailure' },
        ],
        ANSWERS_OVERDUE: [
          { guard: 'isSole', target: 'suspect' },
          { target: 'suspect', actions: 'cordon' },
        ],
      },
    },
    suspect: {
      entry: 'clearCounts',
      exit: 'uncordon',
      initial: 'checked',
      states: {
        checked: { entry: 'probe', after: { probeInterval: { target: 'checked', reenter: true } } },
      },
      on: {
        ...COUNTS,
        ...GOES_DOWN,
        ...FAILS_CHECKS,
        PROBE_ANSWERED: 'serving',
        ANSWER_ARRIVED: 'serving',
        PROBE_MISSED: [
          { guard: 'provesNothing' },
          { guard: 'mayEjectSuspect', target: 'notServing', actions: 'noteOverdue' },
          { guard: 'isSole', actions: ['countFailure', 'readmit'] },
          { actions: 'countFailure' },
        ],
      },
    },
    notServing: {
      entry: ['clearCounts', 'releaseWatch', 'reportLost'],
      initial: 'waiting',
      states: {
        waiting: {
          entry: 'planRecheck',
          after: {
            recheck: [
              { guard: 'isConnected', target: '#endpoint.probing' },
              { target: 'waiting', reenter: true },
            ],
          },
        },
      },
      on: {
        ...COUNTS,
        DIAL_FAILED: { actions: 'noteRemaining' },
        CONNECTION_OPENED: [
          { guard: 'isFailing', actions: 'countConnection' },
          { guard: 'isUnprobed', ...COMES_UP_CONNECTED },
          { target: 'probing', actions: 'countConnection' },
        ],
      },
    },
    probing: {
      entry: 'clearCounts',
      initial: 'checked',
      states: {
        checked: { entry: 'probe', after: { probeInterval: { target: 'checked', reenter: true } } },
      },
      on: {
        ...COUNTS,
        ...GOES_DOWN,
        CONNECTION_LOST: [
          { guard: 'isDisconnected', target: 'notServing', actions: ['noteRemaining', 'noteDialFailed'] },
          { actions: 'noteRemaining' },
        ],
        PROBE_ANSWERED: [{ guard: 'isRecovered', ...COMES_UP }, { actions: 'countSuccess' }],
        PROBE_MISSED: [{ guard: 'provesNothing' }, { target: 'notServing', actions: 'noteProbesMissed' }],
      },
    },
  },
});
