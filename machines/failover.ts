import { assign, setup } from 'xstate';
import type { FailoverConfig, FailoverEvent, FailoverInput } from './contract.js';

/** What is known of one priority level: `unknown` until one of its endpoints, or all of them, have spoken. */
export type LevelStatus = 'unknown' | 'served' | 'lost';

export interface FailoverContext {
  readonly config: FailoverConfig;
  /** Counts the changes of route. Commands carry it, and a late success of an older one counts for nothing. */
  readonly epoch: number;
  /** The level that carries traffic, or -1. */
  readonly active: number;
  /** The level traffic is moving to, or -1. */
  readonly target: number;
  /** The level that carried traffic before, or -1. */
  readonly previous: number;
  readonly levels: readonly LevelStatus[];
  readonly reason: string;
}

/** Effects; the runtime provides them. On their own they do nothing, so that the chart can be run and tested alone. */
const noEffect = (): void => undefined;

const bestServed = (levels: readonly LevelStatus[]): number => levels.indexOf('served');

/** The levels as they are once the event is taken in. */
function levelsAfter(context: FailoverContext, event: FailoverEvent): readonly LevelStatus[] {
  if (event.type !== 'LEVEL_SERVED' && event.type !== 'LEVEL_LOST') return context.levels;
  const status = event.type === 'LEVEL_SERVED' ? 'served' : 'lost';
  return context.levels.map((known, level) => (level === event.level ? status : known));
}

const ENDS = {
  DRAIN: '#failover.draining',
  CLOSE: '#failover.closed',
} as const;

/**
 * The failover controller: which priority level carries traffic. Level 0 is the address (or addresses), each fallback a level of its own.
 *
 * - `connecting`: no route yet. `connecting.preferring` gives level 0 a moment before another level is taken.
 * - `open`: level 0 carries traffic.
 * - `failingOver`: moving to the best served level; waits for its connection.
 * - `failedOver`: a fallback carries traffic. `failedOver.waiting` counts out a better level's unbroken health.
 * - `failingBack`: moving to a better level, make before break.
 * - `reconnecting`: no level is served.
 * - `draining`: the client finishes what it owes; the route stays as it is.
 * - `closed`: terminal.
 */
export const failoverMachine = setup({
  types: {
    context: {} as FailoverContext,
    events: {} as FailoverEvent,
    input: {} as FailoverInput,
  },
  actions: {
    /** Route the context's target level under the context's epoch; answered by ROUTE_READY once it has a usable connection. */
    activate: noEffect,
    /** The target is not to be routed after all: what carries traffic goes on carrying it. */
    cancelMove: noEffect,
    /** Nothing carries traffic. */
    suspendRoute: noEffect,
    reportOpen: noEffect,
    reportStarted: noEffect,
    reportFailedOver: noEffect,
    reportFailed: noEffect,
    reportFailbackScheduled: noEffect,
    reportFailedBack: noEffect,
    noteLevel: assign({
      levels: ({ context, event }) => levelsAfter(context, event),
      reason: ({ context, event }) => (event.type === 'LEVEL_LOST' ? event.reason : context.reason),
    }),
    beginMove: assign({
      epoch: ({ context }) => context.epoch + 1,
      target: ({ context }) => bestServed(context.levels),
    }),
    completeMove: assign({
      previous: ({ context }) => (context.active === -1 ? context.previous : context.active),
      active: ({ context }) => context.target,
      target: -1,
    }),
    abandonMove: assign({ target: -1, epoch: ({ context }) => context.epoch + 1 }),
    clearRoute: assign({
      previous: ({ context }) => (context.active === -1 ? context.previous : context.active),
      active: -1,
      target: -1,
    }),
  },
  guards: {
    isLevelZero: ({ event }) => event.type === 'LEVEL_SERVED' && event.level === 0,
    isActive: ({ context, event }) => event.type === 'LEVEL_LOST' && event.level === context.active,
    isTarget: ({ context, event }) => event.type === 'LEVEL_LOST' && event.level === context.target,
    isCurrent: ({ context, event }) => event.type === 'ROUTE_READY' && event.epoch === context.epoch,
    isCurrentToZero: ({ context, event }) =>
      event.type === 'ROUTE_READY' && event.epoch === context.epoch && context.target === 0,
    /** The active level is lost and another is served. */
    losesActiveAlone: ({ context, event }) =>
      event.type === 'LEVEL_LOST' && event.level === context.active && levelsAfter(context, event).includes('served'),
    losesTargetAlone: ({ context, event }) =>
      event.type === 'LEVEL_LOST' && event.level === context.target && levelsAfter(context, event).includes('served'),
    losesTargetToActive: ({ context, event }) =>
      event.type === 'LEVEL_LOST' &&
      event.level === context.target &&
      levelsAfter(context, event)[context.active] === 'served',
    leavesPreferredLost: ({ context, event }) => {
      const levels = levelsAfter(context, event);
      return levels[0] === 'lost' && levels.includes('served');
    },
    leavesAllLost: ({ context, event }) => levelsAfter(context, event).every((status) => status === 'lost'),
    /** Another level is the best now, and its unbroken health begins only here. */
    changesBest: ({ context, event }) => bestServed(levelsAfter(context, event)) !== bestServed(context.levels),
    isAnyServed: ({ context }) => context.levels.includes('served'),
    isBetterServed: ({ context }) => {
      const best = bestServed(context.levels);
      return best !== -1 && best < context.active;
    },
    isActiveServed: ({ context }) => context.levels[context.active] === 'served',
  },
  delays: {
    failback: ({ context }) => context.config.failbackDelayMs,
    preference: ({ context }) => context.config.preferenceMs,
    moveTimeout: ({ context }) => context.config.moveTimeoutMs,
  },
}).createMachine({
  id: 'failover',
  options: { maxIterations: 8 },
  context: ({ input }) => ({
    config: input.config,
    epoch: 0,
    active: -1,
    target: -1,
    previous: -1,
    levels: Array.from({ length: input.levels }, () => 'unknown' as const),
    reason: '',
  }),
  initial: 'connecting',
  states: {
    connecting: {
      initial: 'preferring',
      states: {
        preferring: {
          on: {
            LEVEL_SERVED: [
              {
                guard: 'isLevelZero',
                target: '#failover.open',
                actions: ['noteLevel', 'beginMove', 'activate', 'completeMove'],
              },
              { guard: 'leavesPreferredLost', target: '#failover.failingOver', actions: 'noteLevel' },
              { actions: 'noteLevel' },
            ],
          },
          after: {
            preference: [{ guard: 'isAnyServed', target: '#failover.failingOver' }, { target: 'waiting' }],
          },
        },
        waiting: {
          on: {
            LEVEL_SERVED: [
              {
                guard: 'isLevelZero',
                target: '#failover.open',
                actions: ['noteLevel', 'beginMove', 'activate', 'completeMove'],
              },
              { target: '#failover.failingOver', actions: 'noteLevel' },
            ],
          },
        },
      },
      on: {
        LEVEL_LOST: [
          { guard: 'leavesPreferredLost', target: 'failingOver', actions: 'noteLevel' },
          { guard: 'leavesAllLost', target: 'reconnecting', actions: 'noteLevel' },
          { actions: 'noteLevel' },
        ],
        ...ENDS,
      },
    },
    open: {
      entry: 'reportOpen',
      on: {
        LEVEL_SERVED: { actions: 'noteLevel' },
        LEVEL_LOST: [
          { guard: 'losesActiveAlone', target: 'failingOver', actions: 'noteLevel' },
          { guard: 'isActive', target: 'reconnecting', actions: 'noteLevel' },
          { actions: 'noteLevel' },
        ],
        ...ENDS,
      },
    },
    failingOver: {
      entry: ['beginMove', 'reportStarted', 'activate'],
      on: {
        ROUTE_READY: [
          { guard: 'isCurrentToZero', target: 'open', actions: 'completeMove' },
          { guard: 'isCurrent', target: 'failedOver', actions: ['completeMove', 'reportFailedOver'] },
        ],
        LEVEL_SERVED: { actions: 'noteLevel' },
        LEVEL_LOST: [
          { guard: 'losesTargetAlone', target: 'failingOver', reenter: true, actions: 'noteLevel' },
          { guard: 'isTarget', target: 'reconnecting', actions: 'noteLevel' },
          { actions: 'noteLevel' },
        ],
        ...ENDS,
      },
      after: {
        moveTimeout: [{ guard: 'isAnyServed', target: 'failingOver', reenter: true }, { target: 'reconnecting' }],
      },
    },
    failedOver: {
      initial: 'steady',
      states: {
        steady: { always: { guard: 'isBetterServed', target: 'waiting' } },
        waiting: {
          entry: 'reportFailbackScheduled',
          after: { failback: '#failover.failingBack' },
        },
      },
      on: {
        LEVEL_SERVED: [{ guard: 'changesBest', target: '.steady', actions: 'noteLevel' }, { actions: 'noteLevel' }],
        LEVEL_LOST: [
          { guard: 'losesActiveAlone', target: 'failingOver', actions: 'noteLevel' },
          { guard: 'isActive', target: 'reconnecting', actions: 'noteLevel' },
          { guard: 'changesBest', target: '.steady', actions: 'noteLevel' },
          { actions: 'noteLevel' },
        ],
        ...ENDS,
      },
    },
    failingBack: {
      entry: ['beginMove', 'activate'],
      on: {
        ROUTE_READY: [
          { guard: 'isCurrentToZero', target: 'open', actions: ['completeMove', 'reportFailedBack'] },
          { guard: 'isCurrent', target: 'failedOver', actions: ['completeMove', 'reportFailedOver'] },
        ],
        LEVEL_SERVED: { actions: 'noteLevel' },
        LEVEL_LOST: [
          { guard: 'losesTargetToActive', target: 'failedOver', actions: ['noteLevel', 'abandonMove', 'cancelMove'] },
          { guard: 'losesTargetAlone', target: 'failingOver', actions: 'noteLevel' },
          { guard: 'isTarget', target: 'reconnecting', actions: 'noteLevel' },
          { actions: 'noteLevel' },
        ],
        ...ENDS,
      },
      after: {
        moveTimeout: [
          { guard: 'isActiveServed', target: 'failedOver', actions: ['abandonMove', 'cancelMove'] },
          { guard: 'isAnyServed', target: 'failingOver' },
          { target: 'reconnecting' },
        ],
      },
    },
    reconnecting: {
      entry: ['reportFailed', 'clearRoute', 'suspendRoute'],
      on: {
        LEVEL_SERVED: [
          { guard: 'isLevelZero', target: 'open', actions: ['noteLevel', 'beginMove', 'activate', 'completeMove'] },
          { target: 'failedOver', actions: ['noteLevel', 'beginMove', 'activate', 'completeMove', 'reportFailedOver'] },
        ],
        LEVEL_LOST: { actions: 'noteLevel' },
        ...ENDS,
      },
    },
    draining: {
      on: {
        LEVEL_SERVED: { actions: 'noteLevel' },
        LEVEL_LOST: { actions: 'noteLevel' },
        CLOSE: 'closed',
      },
    },
    closed: {},
  },
});
