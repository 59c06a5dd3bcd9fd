import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { draw } from '../../machines/backoff.js';
import { connectionMachine, type ConnectionContext } from '../../machines/connection.js';
import type { ConnectionEvent, ConnectionInput, CordonReason } from '../../machines/contract.js';
import { describeChart, topOf, type Row, type Subject } from './support/chart.js';
import { BACKOFF } from './support/inputs.js';
import { runTimed, type Send } from './support/timed.js';
import { assertOnRuns, edges, expectEdge, expectWithinBackoff, Once } from './support/walk.js';

const input: ConnectionInput = {
  id: 'c1',
  address: 'authz.example:443',
  seed: 7,
  standby: false,
  config: {
    connectTimeoutMs: 5_000,
    drainTimeoutMs: 3_000,
    maxAgeMs: 60_000,
    reconnect: BACKOFF,
  },
};

const subject: Subject<ConnectionEvent> = {
  machine: connectionMachine,
  input,
  samples: {
    CONNECT: [{ type: 'CONNECT' }],
    TRANSPORT_UP: [{ type: 'TRANSPORT_UP' }],
    TRANSPORT_LOST: [{ type: 'TRANSPORT_LOST', reason: 'reset' }],
    GOAWAY: [{ type: 'GOAWAY', reason: 'goaway' }],
    SILENT: [{ type: 'SILENT' }],
    PROBE_ANSWERED: [{ type: 'PROBE_ANSWERED' }],
    PROBE_MISSED: [{ type: 'PROBE_MISSED' }],
    AGED: [{ type: 'AGED' }],
    CORDON: [
      { type: 'CORDON', reason: 'suspect' },
      { type: 'CORDON', reason: 'streamLimit' },
    ],
    UNCORDON: [
      { type: 'UNCORDON', reason: 'suspect' },
      { type: 'UNCORDON', reason: 'streamLimit' },
    ],
    DEMOTE: [{ type: 'DEMOTE' }],
    PROMOTE: [{ type: 'PROMOTE' }],
    DRAIN: [{ type: 'DRAIN', reason: 'shrinking' }],
    DRAINED: [{ type: 'DRAINED' }],
    CLOSE: [{ type: 'CLOSE', reason: 'disconnect' }],
  },
};

const cordon = (reason: CordonReason): ConnectionEvent => ({ type: 'CORDON', reason });
const uncordon = (reason: CordonReason): ConnectionEvent => ({ type: 'UNCORDON', reason });
const lost: ConnectionEvent = { type: 'TRANSPORT_LOST', reason: 'reset' };
const goaway: ConnectionEvent = { type: 'GOAWAY', reason: 'goaway' };
const drain: ConnectionEvent = { type: 'DRAIN', reason: 'shrinking' };
const close: ConnectionEvent = { type: 'CLOSE', reason: 'disconnect' };

const chance = draw(input.seed);
const age = { seed: chance.seed, maxAgeMs: 60_000 * (0.9 + 0.2 * chance.value) };
const aging = `+age ${String(age.maxAgeMs)}`;

/** The states with a transport that is up, and what leaving each runs. */
const CONNECTED = [
  { in: 'open.steady', leaves: ['withdraw', '-settled'] },
  { in: 'open.probing', leaves: ['withdraw', '-settled'] },
  { in: 'paused', leaves: ['-settled'] },
  { in: 'failedOver', leaves: ['-settled'] },
] as const;

const DRAINS = ['-age', 'reportDraining', 'drainCalls', '+drainTimeout 3000'];
const REDIALS_AT_ONCE = { attempt: 1, delayMs: 0 };
const CLOSES = ['-age', 'destroyTransport', 'reportClosed'];

type ConnectionRow = Row<ConnectionContext, ConnectionEvent>;

const rows: readonly ConnectionRow[] = [
  // Dialling.
  { in: 'idle', when: { type: 'CONNECT' }, to: 'connecting', runs: ['dial', '+connectTimeout 5000'] },
  {
    in: 'connecting',
    when: { type: 'TRANSPORT_UP' },
    to: 'open.steady',
    runs: ['-connectTimeout', aging, 'reportOpened', 'admit', '+settled 100'],
    sets: { worked: true, ...age },
  },
  {
    in: 'connecting',
    given: { cordons: ['suspect'] },
    when: { type: 'TRANSPORT_UP' },
    to: 'paused',
    runs: ['-connectTimeout', aging, 'reportOpened', '+settled 100'],
    sets: { worked: true, ...age },
  },
  {
    in: 'connecting',
    given: { demoted: true, cordons: ['suspect'] },
    when: { type: 'TRANSPORT_UP' },
    to: 'failedOver',
    runs: ['-connectTimeout', aging, 'reportOpened', '+settled 100'],
    sets: { worked: true, ...age },
  },
  {
    in: 'connecting',
    when: lost,
    to: 'reconnecting',
    runs: ['-connectTimeout', 'reportDialFailed', '-age', '+backoff 100'],
    sets: { attempt: 1, delayMs: 100, reason: 'reset' },
  },
  {
    in: 'connecting',
    given: { worked: true, attempt: 1 },
    when: lost,
    to: 'reconnecting',
    runs: ['-connectTimeout', 'reportDialFailed', '-age', '+backoff 100'],
    sets: { attempt: 2, delayMs: 100, reason: 'reset' },
  },
  {
    in: 'connecting',
    given: { attempt: 2 },
    when: { after: 'connectTimeout' },
    to: 'reconnecting',
    runs: ['-connectTimeout', 'destroyTransport', 'reportDialFailed', '-age', '+backoff 400'],
    sets: { attempt: 3, delayMs: 400, reason: 'connect timeout' },
  },
  {
    in: 'reconnecting',
    when: { after: 'backoff' },
    to: 'connecting',
    runs: ['-backoff', 'dial', '+connectTimeout 5000'],
  },
  {
    in: 'reconnecting',
    when: { type: 'CONNECT' },
    to: 'connecting',
    runs: ['-backoff', 'dial', '+connectTimeout 5000'],
  },

  // Connected: how it ends.
  ...CONNECTED.flatMap(({ in: state, leaves }): ConnectionRow[] => [
    {
      in: state,
      given: { worked: true, delayMs: 400 },
      when: lost,
      to: 'reconnecting',
      runs: [...leaves, 'reportLost', '-age', '+backoff 0'],
      sets: { ...REDIALS_AT_ONCE, reason: 'reset' },
    },
    {
      in: state,
      given: { worked: true, attempt: 1 },
      when: { type: 'PROBE_MISSED' },
      to: 'reconnecting',
      runs: [...leaves, 'destroyTransport', 'reportLost', '-age', '+backoff 100'],
      sets: { attempt: 2, delayMs: 100, reason: 'keepalive timeout' },
    },
    { in: state, when: goaway, to: 'draining', runs: [...leaves, ...DRAINS], sets: { reason: 'goaway' } },
    {
      in: state,
      when: { type: 'AGED' },
      to: 'draining',
      runs: [...leaves, ...DRAINS],
      sets: { reason: 'maximum age' },
    },
    { in: state, when: drain, to: 'draining', runs: [...leaves, ...DRAINS], sets: { reason: 'shrinking' } },
    { in: state, when: close, to: 'closed', runs: [...leaves, ...CLOSES], sets: { reason: 'disconnect' } },
    { in: state, given: { attempt: 3 }, when: { after: 'settled' }, sets: { attempt: 0 } },
  ]),

  // Connected: keepalive.
  { in: 'open.steady', when: { type: 'SILENT' }, to: 'open.probing', runs: ['probe'] },
  { in: 'open.probing', when: { type: 'PROBE_ANSWERED' }, to: 'open.steady' },
  { in: ['paused', 'failedOver'], when: { type: 'SILENT' }, runs: ['probe'] },

  // Cordons.
  {
    in: ['open.steady', 'open.probing'],
    when: cordon('streamLimit'),
    to: 'paused',
    runs: ['withdraw', '-settled', '+settled 100'],
    sets: { cordons: ['streamLimit'] },
  },
  {
    in: ['idle', 'connecting', 'paused', 'failedOver', 'reconnecting', 'draining'],
    given: { cordons: ['streamLimit'] },
    when: cordon('suspect'),
    sets: { cordons: ['streamLimit', 'suspect'] },
  },
  { in: ['paused', 'reconnecting'], given: { cordons: ['suspect'] }, when: cordon('suspect') },
  {
    in: 'paused',
    given: { cordons: ['suspect'] },
    when: uncordon('suspect'),
    to: 'open.steady',
    runs: ['-settled', 'admit', '+settled 100'],
    sets: { cordons: [] },
  },
  {
    in: ['idle', 'connecting', 'paused', 'failedOver', 'reconnecting', 'draining'],
    given: { cordons: ['streamLimit', 'suspect'] },
    when: uncordon('suspect'),
    sets: { cordons: ['streamLimit'] },
  },
  { in: ['open.steady', 'open.probing'], when: uncordon('suspect') },

  // Demotion.
  {
    in: ['open.steady', 'open.probing'],
    when: { type: 'DEMOTE' },
    to: 'failedOver',
    runs: ['withdraw', '-settled', '+settled 100'],
    sets: { demoted: true },
  },
  {
    in: 'paused',
    given: { cordons: ['suspect'] },
    when: { type: 'DEMOTE' },
    to: 'failedOver',
    runs: ['-settled', '+settled 100'],
    sets: { demoted: true },
  },
  {
    in: 'failedOver',
    given: { demoted: true },
    when: { type: 'PROMOTE' },
    to: 'open.steady',
    runs: ['-settled', 'admit', '+settled 100'],
    sets: { demoted: false },
  },
  {
    in: 'failedOver',
    given: { demoted: true, cordons: ['suspect'] },
    when: { type: 'PROMOTE' },
    to: 'paused',
    runs: ['-settled', '+settled 100'],
    sets: { demoted: false },
  },
  { in: ['idle', 'connecting', 'reconnecting', 'draining'], when: { type: 'DEMOTE' }, sets: { demoted: true } },
  { in: 'failedOver', given: { demoted: true }, when: { type: 'DEMOTE' } },
  {
    in: ['idle', 'connecting', 'reconnecting', 'draining'],
    given: { demoted: true },
    when: { type: 'PROMOTE' },
    sets: { demoted: false },
  },
  { in: ['open.steady', 'open.probing', 'paused'], when: { type: 'PROMOTE' } },

  // Ending without a transport, and draining.
  { in: 'idle', when: drain, to: 'closed', runs: CLOSES, sets: { reason: 'shrinking' } },
  { in: 'idle', when: close, to: 'closed', runs: CLOSES, sets: { reason: 'disconnect' } },
  { in: 'connecting', when: drain, to: 'closed', runs: ['-connectTimeout', ...CLOSES], sets: { reason: 'shrinking' } },
  { in: 'connecting', when: close, to: 'closed', runs: ['-connectTimeout', ...CLOSES], sets: { reason: 'disconnect' } },
  { in: 'reconnecting', when: drain, to: 'closed', runs: ['-backoff', ...CLOSES], sets: { reason: 'shrinking' } },
  { in: 'reconnecting', when: close, to: 'closed', runs: ['-backoff', ...CLOSES], sets: { reason: 'disconnect' } },
  { in: 'draining', when: { type: 'DRAINED' }, to: 'closed', runs: ['-drainTimeout', ...CLOSES] },
  { in: 'draining', when: lost, to: 'closed', runs: ['-drainTimeout', ...CLOSES] },
  { in: 'draining', when: { after: 'drainTimeout' }, to: 'closed', runs: ['-drainTimeout', ...CLOSES] },
  { in: 'draining', when: close, to: 'closed', runs: ['-drainTimeout', ...CLOSES], sets: { reason: 'disconnect' } },
];

const ALLOWED = edges(
  'idle > connecting closed',
  // Straight to paused and failedOver when it was cordoned or demoted while it dialled.
  'connecting > open paused failedOver reconnecting closed',
  'open > paused failedOver reconnecting draining closed',
  'paused > open failedOver reconnecting draining closed',
  'failedOver > open paused reconnecting draining closed',
  'reconnecting > connecting closed',
  'draining > closed',
);

const CONNECTED_DELAYS = ['age', 'settled'];

/** The delays that run in each state, except those that have run out in it. */
const DELAYS: Readonly<Record<string, readonly string[]>> = {
  idle: [],
  connecting: ['connectTimeout'],
  open: CONNECTED_DELAYS,
  paused: CONNECTED_DELAYS,
  failedOver: CONNECTED_DELAYS,
  reconnecting: ['backoff'],
  draining: ['drainTimeout'],
  closed: [],
};

const samples = Object.values(subject.samples).flat();

function assertInvariants(given: Subject<ConnectionEvent>): void {
  const choices = fc.constantFrom(...samples);
  assertOnRuns<ConnectionContext, ConnectionEvent, ConnectionEvent>(
    given,
    choices,
    (event) => event,
    (walk) => {
      const dialled = new Once('dial', 'reportDialFailed', 'reportLost');
      const admitted = new Once('admit', 'withdraw');
      const withdrawn = new Once('withdraw', 'admit');
      const opened = new Once('reportOpened', 'reportLost');
      const reportedLost = new Once('reportLost', 'reportOpened');
      const draining = new Once('reportDraining');
      const closed = new Once('reportClosed');
      const observers = [dialled, admitted, withdrawn, opened, reportedLost, draining, closed];
      let isAdmitted = false;
      let hasTransport = false;
      let hasSettled = false;
      return (move) => {
        expectEdge(ALLOWED, move);
        for (const observer of observers) observer.see(move.runs);

        for (const effect of move.runs) {
          if (effect === 'admit') isAdmitted = true;
          if (effect === 'withdraw') isAdmitted = false;
          if (effect === 'dial') hasTransport = true;
          if (effect === 'destroyTransport') hasTransport = false;
        }
        if ('type' in move.event && move.event.type === 'TRANSPORT_LOST' && move.from !== move.to) hasTransport = false;
        expect(isAdmitted).toBe(walk.top === 'open');
        if (['idle', 'reconnecting', 'closed'].includes(walk.top)) expect(hasTransport).toBe(false);

        const { cordons, demoted, maxAgeMs, config } = walk.context;
        expect(new Set(cordons).size).toBe(cordons.length);
        const isCordoned = cordons.length > 0;
        if (walk.top === 'open') expect({ isCordoned, demoted }).toEqual({ isCordoned: false, demoted: false });
        if (walk.top === 'paused') expect({ isCordoned, demoted }).toEqual({ isCordoned: true, demoted: false });
        if (walk.top === 'failedOver') expect(demoted).toBe(true);

        expect(maxAgeMs).toBeGreaterThanOrEqual(0.9 * config.maxAgeMs);
        expect(maxAgeMs).toBeLessThanOrEqual(1.1 * config.maxAgeMs);
        if (move.from !== 'reconnecting' && walk.top === 'reconnecting') expectBackoff(walk.context);

        // A delay that outlived the state it bounds would strike a later one.
        if ('after' in move.event && move.event.after === 'settled') hasSettled = true;
        else if (topOf(move.from) !== walk.top) hasSettled = false;
        const running = hasSettled ? [...walk.running, 'settled'] : walk.running;
        expect(new Set(running)).toEqual(new Set(DELAYS[walk.top]));
      };
    },
  );
}

function expectBackoff({ worked, attempt, delayMs, config }: ConnectionContext): void {
  if (worked && attempt === 1) expect(delayMs).toBe(0);
  else expectWithinBackoff(config.reconnect, worked ? attempt - 1 : attempt, delayMs);
}

describe('connection', () => {
  describeChart(subject, rows, ['closed']);

  describe('whatever happens', () => {
    it.each([
      { name: 'a routed connection', standby: false, jitter: true },
      { name: 'a standby', standby: true, jitter: true },
      { name: 'one without jitter', standby: false, jitter: false },
    ])('$name keeps its promises', ({ standby, jitter }) => {
      const reconnect = { ...input.config.reconnect, jitter };
      assertInvariants({ ...subject, input: { ...input, standby, config: { ...input.config, reconnect } } });
    });
  });

  describe('in time', () => {
    function connection(dialled: (send: Send<ConnectionEvent>) => void = () => undefined) {
      const dialsMs: number[] = [];
      const running = runTimed<ConnectionContext, ConnectionEvent>(input, (clock, send) =>
        connectionMachine.provide({
          actions: {
            dial: () => {
              dialsMs.push(clock.now());
              clock.soon(() => dialled(send));
            },
          },
        }),
      );
      running.send({ type: 'CONNECT' });
      return { ...running, dialsMs };
    }

    it('connecting + no answer for connectTimeout → reconnecting, not a millisecond sooner', () => {
      const { clock, state } = connection();
      clock.advance(4_999);
      expect(state()).toBe('connecting');
      clock.advance(1);
      expect(state()).toBe('reconnecting');
    });

    it('reconnecting + every dial refused → waits double up to maxDelay', () => {
      const { clock, dialsMs } = connection((send) => {
        send(lost);
      });
      clock.advance(4_500);
      expect(dialsMs).toEqual([0, 100, 300, 700, 1_500, 2_500, 3_500, 4_500]);
    });

    it('open + a peer that accepts and hangs up → one redial at once, then backoff', () => {
      const { clock, dialsMs } = connection((send) => {
        send({ type: 'TRANSPORT_UP' });
        send(lost);
      });
      clock.advance(1_500);
      expect(dialsMs).toEqual([0, 0, 100, 300, 700, 1_500]);
    });

    it('open for the first backoff + lost → redialled at once, as often as it stands that long', () => {
      const { clock, dialsMs, send } = connection((answer) => {
        answer({ type: 'TRANSPORT_UP' });
      });
      for (let loss = 0; loss < 3; loss++) {
        clock.advance(100);
        send(lost);
      }
      clock.advance(0);
      expect(dialsMs).toEqual([0, 100, 200, 300]);
    });

    it('open + maximum age → draining, and closed at the drain timeout', () => {
      const { clock, state } = connection((send) => {
        send({ type: 'TRANSPORT_UP' });
      });
      clock.advance(Math.floor(age.maxAgeMs));
      expect(state()).toBe('open.steady');
      clock.advance(1);
      expect(state()).toBe('draining');
      clock.advance(2_998);
      expect(state()).toBe('draining');
      clock.advance(2);
      expect(state()).toBe('closed');
      expect(clock.pendingTimers).toBe(0);
    });

    it('connecting + CLOSE → closed, and no timer is left', () => {
      const { clock, send, state } = connection();
      send(close);
      expect(state()).toBe('closed');
      expect(clock.pendingTimers).toBe(0);
    });
  });
});
