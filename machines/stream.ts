import { assign, setup } from 'xstate';
import { nextBackoff } from './backoff.js';
import type { PauseReason, StreamConfig, StreamEvent, StreamInput } from './contract.js';

export interface StreamContext {
  readonly id: string;
  readonly kind: 'handle' | 'check';
  readonly config: StreamConfig;
  readonly seed: number;
  /** Counts the calls opened. Only the generation a request was last written on may settle it. */
  readonly generation: number;
  readonly connectionId: string;
  /** Consecutive failed reopenings. */
  readonly attempt: number;
  readonly delayMs: number;
  /** A call has answered since the last loss: it works, so the next loss is redressed at once. */
  readonly answered: boolean;
  readonly epoch: number;
  readonly pauses: readonly PauseReason[];
  readonly reason: string;
}

/** Effects; the runtime provides them. On their own they do nothing, so that the chart can be run and tested alone. */
const noEffect = (): void => undefined;

function planReopen(context: StreamContext, event: StreamEvent): Partial<StreamContext> {
  const attempt = context.attempt + 1;
  const immediate = event.type === 'CALL_LOST' && (event.immediate ?? context.answered);
  if (immediate && attempt === 1) return { attempt, delayMs: 0, answered: false };
  return { attempt, answered: false, ...nextBackoff(context.config.reconnect, attempt, context.seed) };
}

/** Pausing and resuming are noted in every living state: the reasons survive a reconnect. */
const NOTES_PAUSES = {
  PAUSE: { actions: ['notePause', 'applyPauses'] },
  RESUME: { actions: ['liftPause', 'applyPauses'] },
} as const;

const CLOSES = { CLOSE: { target: '#stream.closed', actions: 'noteReason' } } as const;

/** No call came of it in time: that counts as a failed attempt. */
const OPENING_TIMES_OUT = {
  connectTimeout: [
    { guard: 'isExhausted', target: '#stream.closed', actions: 'noteExhausted' },
    { target: '#stream.reconnecting', actions: 'planReopen' },
  ],
} as const;

/** How a state that writes loses its call. */
const LOSES_CALL = {
  CALL_LOST: [
    { guard: 'isStale' },
    { guard: 'isExhausted', target: '#stream.closed', actions: 'noteExhausted' },
    { target: '#stream.reconnecting', actions: ['noteReason', 'planReopen'] },
  ],
  CALL_ENDED: [{ guard: 'isStale' }, { target: '#stream.idle' }],
  CALL_RETIRING: [{ guard: 'isStale' }, { target: '#stream.connecting', actions: 'retireCall' }],
  ROUTE_MOVING: { target: '#stream.failedOver', actions: 'noteEpoch' },
} as const;

/**
 * One check stream: a handle's, or one of the client's own, across the calls it rides on. Each opening is a generation.
 *
 * - `idle`: no call; the next send opens one.
 * - `connecting`: asks for a call on a usable connection of the active route, and waits for one.
 * - `open`: writes. `open.rotating` has retired its call, whose answers still count, and waits for the next generation.
 * - `paused`: the application, a sustained high-water mark or the transport asked; the outbox goes on emptying.
 * - `reconnecting`: the call was lost; waits out its backoff, or less if a route becomes ready.
 * - `failedOver`: the route is moving; waits for the new route's connection.
 * - `draining`: `end()` was called; what was accepted is still owed an answer, across reconnects too: `draining.flushing` writes,
 *   `draining.reconnecting` waits out its backoff or for its call.
 * - `closed`: terminal, with its reason.
 */
export const streamMachine = setup({
  types: {
    context: {} as StreamContext,
    events: {} as StreamEvent,
    input: {} as StreamInput,
  },
  actions: {
    /** No call is open; the next send opens one. */
    noteIdle: noEffect,
    /**
     * Open a call of the context's generation, in place of one still being opened; answered by CALL_OPENED, or by nothing while no connection
     * is usable. Asked again for the same generation when the route becomes ready.
     */
    openCall: noEffect,
    /** The current call takes no more; its answers still count. */
    retireCall: noEffect,
    /** Release the call: parked for reuse, or half-closed. */
    releaseCall: noEffect,
    /** Let the outbox out. */
    allowWrites: noEffect,
    /** Keep the outbox in. */
    haltWrites: noEffect,
    /** Hold or release delivery, according to the context's pauses. */
    applyPauses: noEffect,
    /** Finish what was accepted; DRAINED when nothing is owed. */
    drain: noEffect,
    reportReconnecting: noEffect,
    reportReconnected: noEffect,
    /** Reject what is left, tell the owner, forget. */
    reportClosed: noEffect,
    nextGeneration: assign({ generation: ({ context }) => context.generation + 1 }),
    noteOpened: assign({
      connectionId: ({ context, event }) => (event.type === 'CALL_OPENED' ? event.connectionId : context.connectionId),
    }),
    noteAnswered: assign({ answered: true, attempt: 0 }),
    /** A call that stood this long works, though nothing was asked on it. */
    noteSettled: assign({ attempt: 0 }),
    noteEpoch: assign({ epoch: ({ context, event }) => (event.type === 'ROUTE_MOVING' ? event.epoch : context.epoch) }),
    notePause: assign({
      pauses: ({ context, event }) =>
        event.type === 'PAUSE' && !context.pauses.includes(event.reason)
          ? [...context.pauses, event.reason]
          : context.pauses,
    }),
    liftPause: assign({
      pauses: ({ context, event }) =>
        event.type === 'RESUME' ? context.pauses.filter((reason) => reason !== event.reason) : context.pauses,
    }),
    noteReason: assign({ reason: ({ context, event }) => ('reason' in event ? event.reason : context.reason) }),
    noteEnded: assign({ reason: 'ended' }),
    noteDrainTimeout: assign({ reason: 'drain timeout' }),
    noteExhausted: assign({
      reason: ({ context }) => `gave up after ${String(context.attempt)} attempts to reconnect`,
    }),
    planReopen: assign(({ context, event }) => planReopen(context, event)),
  },
  guards: {
    isStale: ({ context, event }) => 'generation' in event && event.generation !== context.generation,
    isCurrent: ({ context, event }) => 'generation' in event && event.generation === context.generation,
    isExhausted: ({ context }) => context.attempt >= context.config.reconnect.maxAttempts,
    isPaused: ({ context }) => context.pauses.length > 0,
    liftsLastPause: ({ context, event }) =>
      event.type === 'RESUME' && context.pauses.every((reason) => reason === event.reason),
    opensCurrentPaused: ({ context, event }) =>
      event.type === 'CALL_OPENED' && event.generation === context.generation && context.pauses.length > 0,
  },
  delays: {
    backoff: ({ context }) => context.delayMs,
    connectTimeout: ({ context }) => context.config.connectTimeoutMs,
    drainTimeout: ({ context }) => context.config.drainTimeoutMs,
    settled: ({ context }) => context.config.reconnect.maxDelay,
  },
}).createMachine({
  id: 'stream',
  context: ({ input }) => ({
    id: input.id,
    kind: input.kind,
    config: input.config,
    seed: input.seed,
    generation: 0,
    connectionId: '',
    attempt: 0,
    delayMs: 0,
    answered: false,
    epoch: 0,
    pauses: [],
    reason: '',
  }),
  initial: 'idle',
  states: {
    idle: {
      entry: 'noteIdle',
      on: {
        CONNECT: 'connecting',
        END: 'draining',
        ...NOTES_PAUSES,
        ...CLOSES,
      },
    },
    connecting: {
      entry: ['nextGeneration', 'openCall'],
      on: {
        ROUTE_READY: { actions: 'openCall' },
        CALL_OPENED: [
          { guard: 'opensCurrentPaused', target: 'paused', actions: ['noteOpened', 'reportReconnected'] },
          { guard: 'isCurrent', target: 'open', actions: ['noteOpened', 'reportReconnected'] },
        ],
        CALL_LOST: [
          { guard: 'isStale' },
          { guard: 'isExhausted', target: 'closed', actions: 'noteExhausted' },
          { target: 'reconnecting', actions: ['noteReason', 'planReopen'] },
        ],
        ROUTE_MOVING: { target: 'failedOver', actions: 'noteEpoch' },
        END: 'draining.reconnecting.opening',
        ...NOTES_PAUSES,
        ...CLOSES,
      },
      after: OPENING_TIMES_OUT,
    },
    open: {
      entry: 'allowWrites',
      exit: 'haltWrites',
      initial: 'steady',
      states: {
        steady: { on: { ROTATION_DUE: [{ guard: 'isStale' }, { target: 'rotating' }] } },
        rotating: {
          entry: ['retireCall', 'nextGeneration', 'openCall'],
          on: {
            CALL_OPENED: [
              { guard: 'opensCurrentPaused', target: '#stream.paused', actions: 'noteOpened' },
              { guard: 'isCurrent', target: 'steady', actions: ['noteOpened', 'allowWrites'] },
            ],
            ROUTE_READY: { actions: 'openCall' },
            // The next call is still to come, and neither a paused stream nor a flushing one would wait for it.
            PAUSE: { actions: ['notePause', 'applyPauses'] },
            END: '#stream.draining.reconnecting.opening',
          },
          after: OPENING_TIMES_OUT,
        },
      },
      on: {
        CALL_ANSWERED: [{ guard: 'isStale' }, { actions: 'noteAnswered' }],
        PAUSE: { target: 'paused', actions: ['notePause', 'applyPauses'] },
        RESUME: { actions: ['liftPause', 'applyPauses'] },
        IDLE_TIMEOUT: { target: 'idle', actions: 'releaseCall' },
        END: 'draining.flushing',
        ...LOSES_CALL,
        ...CLOSES,
      },
      after: { settled: { actions: 'noteSettled' } },
    },
    paused: {
      entry: 'allowWrites',
      exit: 'haltWrites',
      on: {
        CALL_ANSWERED: [{ guard: 'isStale' }, { actions: 'noteAnswered' }],
        PAUSE: { actions: ['notePause', 'applyPauses'] },
        RESUME: [
          { guard: 'liftsLastPause', target: 'open', actions: ['liftPause', 'applyPauses'] },
          { actions: ['liftPause', 'applyPauses'] },
        ],
        ROTATION_DUE: [{ guard: 'isStale' }, { target: 'connecting', actions: 'retireCall' }],
        END: 'draining.flushing',
        ...LOSES_CALL,
        ...CLOSES,
      },
      after: { settled: { actions: 'noteSettled' } },
    },
    reconnecting: {
      entry: 'reportReconnecting',
      on: {
        ROUTE_READY: 'connecting',
        ROUTE_MOVING: { target: 'failedOver', actions: 'noteEpoch' },
        END: 'draining.reconnecting',
        ...NOTES_PAUSES,
        ...CLOSES,
      },
      after: { backoff: 'connecting' },
    },
    failedOver: {
      entry: 'retireCall',
      on: {
        ROUTE_READY: 'connecting',
        ROUTE_MOVING: { actions: 'noteEpoch' },
        END: 'draining.reconnecting.opening',
        ...NOTES_PAUSES,
        ...CLOSES,
      },
      after: OPENING_TIMES_OUT,
    },
    draining: {
      entry: 'drain',
      initial: 'flushing',
      states: {
        flushing: {
          entry: 'allowWrites',
          exit: 'haltWrites',
          on: {
            CALL_ANSWERED: [{ guard: 'isStale' }, { actions: 'noteAnswered' }],
            CALL_LOST: [
              { guard: 'isStale' },
              { guard: 'isExhausted', target: '#stream.closed', actions: 'noteExhausted' },
              { target: 'reconnecting', actions: ['noteReason', 'planReopen'] },
            ],
            CALL_ENDED: [{ guard: 'isStale' }, { target: 'reconnecting.opening' }],
            CALL_RETIRING: [{ guard: 'isStale' }, { target: 'reconnecting.opening', actions: 'retireCall' }],
            ROTATION_DUE: [{ guard: 'isStale' }, { target: 'reconnecting.opening', actions: 'retireCall' }],
            ROUTE_MOVING: { target: 'reconnecting.opening', actions: ['noteEpoch', 'retireCall'] },
          },
        },
        reconnecting: {
          initial: 'waiting',
          states: {
            waiting: { on: { ROUTE_READY: 'opening' }, after: { backoff: 'opening' } },
            opening: {
              entry: ['nextGeneration', 'openCall'],
              on: {
                ROUTE_READY: { actions: 'openCall' },
                CALL_OPENED: { guard: 'isCurrent', target: '#stream.draining.flushing', actions: 'noteOpened' },
                CALL_LOST: [
                  { guard: 'isStale' },
                  { guard: 'isExhausted', target: '#stream.closed', actions: 'noteExhausted' },
                  { target: 'waiting', actions: ['noteReason', 'planReopen'] },
                ],
              },
              after: {
                connectTimeout: [
                  { guard: 'isExhausted', target: '#stream.closed', actions: 'noteExhausted' },
                  { target: 'waiting', actions: 'planReopen' },
                ],
              },
            },
          },
          on: { ROUTE_MOVING: { actions: 'noteEpoch' } },
        },
      },
      on: {
        DRAINED: { target: 'closed', actions: 'noteEnded' },
        ...NOTES_PAUSES,
        ...CLOSES,
      },
      after: { drainTimeout: { target: 'closed', actions: 'noteDrainTimeout' } },
    },
    closed: {
      entry: ['releaseCall', 'reportClosed'],
    },
  },
});
