import { assign, cancel, raise, setup } from 'xstate';
import { draw, nextBackoff } from './backoff.js';
import type { ConnectionConfig, ConnectionEvent, ConnectionInput, CordonReason } from './contract.js';

export interface ConnectionContext {
  readonly id: string;
  readonly address: string;
  readonly config: ConnectionConfig;
  readonly seed: number;
  /** Consecutive dials that failed, or whose connection did not stand for long. */
  readonly attempt: number;
  /** A dial has worked at least once. */
  readonly worked: boolean;
  readonly delayMs: number;
  readonly maxAgeMs: number;
  readonly demoted: boolean;
  readonly cordons: readonly CordonReason[];
  readonly reason: string;
}

/** Effects; the runtime provides them. On their own they do nothing, so that the chart can be run and tested alone. */
const noEffect = (): void => undefined;

/** A connection that had worked is redialled at once; after that, and after a first dial that failed, backoff. */
function planRedial(context: ConnectionContext): Partial<ConnectionContext> {
  const attempt = context.attempt + 1;
  if (!context.worked) return { attempt, ...nextBackoff(context.config.reconnect, attempt, context.seed) };
  if (attempt === 1) return { attempt, delayMs: 0 };
  return { attempt, ...nextBackoff(context.config.reconnect, attempt - 1, context.seed) };
}

/** A peer that accepts and hangs up would else be redialled in a tight loop, so only a connection that stood clears the count. */
const SETTLES = { settled: { actions: 'noteSettled' } } as const;

/** How every connected state ends: told to drain, too old, lost, or silent past the keepalive timeout. */
const ENDS = {
  GOAWAY: { target: '#connection.draining', actions: { type: 'noteReason', params: {} } },
  AGED: { target: '#connection.draining', actions: { type: 'noteReason', params: { reason: 'maximum age' } } },
  DRAIN: { target: '#connection.draining', actions: { type: 'noteReason', params: {} } },
  TRANSPORT_LOST: { target: '#connection.reconnecting', actions: [{ type: 'noteReason', params: {} }, 'reportLost'] },
  PROBE_MISSED: {
    target: '#connection.reconnecting',
    actions: [{ type: 'noteReason', params: { reason: 'keepalive timeout' } }, 'destroyTransport', 'reportLost'],
  },
} as const;

/**
 * One HTTP/2 connection to one endpoint.
 *
 * - `idle`: nothing dialled.
 * - `connecting`: dial, TLS and SETTINGS, bounded together by `connectTimeout`.
 * - `open`: routed. `open.probing` waits for the answer to a keepalive probe.
 * - `paused`: cordoned (stream limit, suspect endpoint): keeps what it has, takes no more.
 * - `failedOver`: its endpoint was demoted: kept warm, not routed.
 * - `reconnecting`: lost; waits out its backoff. Never gives up by itself.
 * - `draining`: takes no more; ends when its calls have, or at the drain timeout.
 * - `closed`: terminal; no socket is left.
 */
export const connectionMachine = setup({
  types: {
    context: {} as ConnectionContext,
    events: {} as ConnectionEvent,
    input: {} as ConnectionInput,
  },
  actions: {
    /** Start one dial. */
    dial: noEffect,
    /** Let new work in. */
    admit: noEffect,
    /** Keep new work out; calls under way go on. */
    withdraw: noEffect,
    /** Ask the peer for a sign of life, within the keepalive timeout. */
    probe: noEffect,
    /** Retire every call; tell when the last has ended. */
    drainCalls: noEffect,
    /** Destroy the transport, if there is one: no socket stays behind. */
    destroyTransport: noEffect,
    reportOpened: noEffect,
    reportLost: noEffect,
    reportDialFailed: noEffect,
    reportDraining: noEffect,
    reportClosed: noEffect,
    planRedial: assign(({ context }) => planRedial(context)),
    planAge: assign(({ context }) => {
      const { value, seed } = draw(context.seed);
      return { worked: true, seed, maxAgeMs: context.config.maxAgeMs * (0.9 + 0.2 * value) };
    }),
    noteSettled: assign({ attempt: 0 }),
    startAging: raise({ type: 'AGED' }, { id: 'age', delay: 'maxAge' }),
    stopAging: cancel('age'),
    cordon: assign({
      cordons: ({ context, event }) =>
        event.type === 'CORDON' && !context.cordons.includes(event.reason)
          ? [...context.cordons, event.reason]
          : context.cordons,
    }),
    uncordon: assign({
      cordons: ({ context, event }) =>
        event.type === 'UNCORDON' ? context.cordons.filter((reason) => reason !== event.reason) : context.cordons,
    }),
    demote: assign({ demoted: true }),
    promote: assign({ demoted: false }),
    noteReason: assign({
      reason: ({ event }, params: { reason?: string }) =>
        params.reason ?? ('reason' in event ? event.reason : event.type),
    }),
  },
  guards: {
    isDemoted: ({ context }) => context.demoted,
    isCordoned: ({ context }) => context.cordons.length > 0,
    liftsLastCordon: ({ context, event }) =>
      event.type === 'UNCORDON' && context.cordons.every((reason) => reason === event.reason),
  },
  delays: {
    connectTimeout: ({ context }) => context.config.connectTimeoutMs,
    drainTimeout: ({ context }) => context.config.drainTimeoutMs,
    backoff: ({ context }) => context.delayMs,
    maxAge: ({ context }) => context.maxAgeMs,
    settled: ({ context }) => context.config.reconnect.initialDelay,
  },
}).createMachine({
  id: 'connection',
  context: ({ input }) => ({
    id: input.id,
    address: input.address,
    config: input.config,
    seed: input.seed,
    attempt: 0,
    worked: false,
    delayMs: 0,
    maxAgeMs: input.config.maxAgeMs,
    demoted: input.standby,
    cordons: [],
    reason: '',
  }),
  initial: 'idle',
  on: {
    CORDON: { actions: 'cordon' },
    UNCORDON: { actions: 'uncordon' },
    DEMOTE: { actions: 'demote' },
    PROMOTE: { actions: 'promote' },
    CLOSE: { target: '.closed', actions: { type: 'noteReason', params: {} } },
  },
  states: {
    idle: {
      on: {
        CONNECT: 'connecting',
        DRAIN: { target: 'closed', actions: { type: 'noteReason', params: {} } },
      },
    },
    connecting: {
      entry: 'dial',
      on: {
        TRANSPORT_UP: [
          { guard: 'isDemoted', target: 'failedOver', actions: ['planAge', 'startAging', 'reportOpened'] },
          { guard: 'isCordoned', target: 'paused', actions: ['planAge', 'startAging', 'reportOpened'] },
          { target: 'open', actions: ['planAge', 'startAging', 'reportOpened'] },
        ],
        TRANSPORT_LOST: {
          target: 'reconnecting',
          actions: [{ type: 'noteReason', params: {} }, 'reportDialFailed'],
        },
        DRAIN: { target: 'closed', actions: { type: 'noteReason', params: {} } },
      },
      after: {
        connectTimeout: {
          target: 'reconnecting',
          actions: [
            { type: 'noteReason', params: { reason: 'connect timeout' } },
            'destroyTransport',
            'reportDialFailed',
          ],
        },
      },
    },
    open: {
      entry: 'admit',
      exit: 'withdraw',
      initial: 'steady',
      states: {
        steady: { on: { SILENT: 'probing' } },
        probing: { entry: 'probe', on: { PROBE_ANSWERED: 'steady' } },
      },
      on: {
        CORDON: { target: 'paused', actions: 'cordon' },
        DEMOTE: { target: 'failedOver', actions: 'demote' },
        ...ENDS,
      },
      after: SETTLES,
    },
    paused: {
      on: {
        UNCORDON: [{ guard: 'liftsLastCordon', target: 'open', actions: 'uncordon' }, { actions: 'uncordon' }],
        DEMOTE: { target: 'failedOver', actions: 'demote' },
        SILENT: { actions: 'probe' },
        ...ENDS,
      },
      after: SETTLES,
    },
    failedOver: {
      on: {
        PROMOTE: [
          { guard: 'isCordoned', target: 'paused', actions: 'promote' },
          { target: 'open', actions: 'promote' },
        ],
        SILENT: { actions: 'probe' },
        ...ENDS,
      },
      after: SETTLES,
    },
    reconnecting: {
      entry: ['stopAging', 'planRedial'],
      on: {
        CONNECT: 'connecting',
        DRAIN: { target: 'closed', actions: { type: 'noteReason', params: {} } },
      },
      after: { backoff: 'connecting' },
    },
    draining: {
      entry: ['stopAging', 'reportDraining', 'drainCalls'],
      on: {
        DRAINED: 'closed',
        TRANSPORT_LOST: 'closed',
      },
      after: { drainTimeout: 'closed' },
    },
    closed: {
      entry: ['stopAging', 'destroyTransport', 'reportClosed'],
      on: {
        // Terminal: the chart's own handlers for living states are switched off.
        CORDON: {},
        UNCORDON: {},
        DEMOTE: {},
        PROMOTE: {},
        CLOSE: {},
      },
    },
  },
});
