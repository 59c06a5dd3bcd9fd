/** What must hold of the client's own tables, flags and statecharts whenever nothing is running. */

import type { FailoverContext } from '../../machines/index.js';
import { CheckPipe } from '../../src/data/check-pipe.js';
import { Call } from '../../src/data/call.js';
import type { PendingCheck } from '../../src/data/pending-check.js';
import { CheckDesk } from '../../src/runtime/check-desk.js';
import type { ClientRuntime } from '../../src/runtime/client-runtime.js';
import { Exchange } from '../../src/runtime/exchange.js';
import { must } from './ledger.js';

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, number) => total + number, 0);

/** Every unsettled check, without disturbing any. */
function pendingOf({ book }: ClientRuntime): PendingCheck[] {
  const pending: PendingCheck[] = [];
  book.failAll(
    () => {
      throw new Error('none is meant');
    },
    (check) => {
      pending.push(check);
      return false;
    },
  );
  return pending;
}

/** Invariants 1, 2 and 4: every accepted check is in exactly one place, and every table counts what is in it. */
export function holdTables(runtime: ClientRuntime): void {
  const { book, desk, env, pool, streams } = runtime;
  const pending = pendingOf(runtime);
  must(
    book.size === pending.length,
    () => `invariant 2: the book counts ${book.size} checks, it holds ${pending.length}`,
  );
  const bytes = sum(pending.map((check) => check.byteLength));
  must(book.bytes === bytes, () => `invariant 2: the book counts ${book.bytes} bytes, its checks have ${bytes}`);
  const { maxPendingChecks, maxPendingBytes } = env.options;
  must(book.bytes <= maxPendingBytes, () => `invariant 4: ${book.bytes} bytes are pending`);
  const { total, successful, failed } = book.totals;
  const counted = pending.filter((check) => check.counted).length;
  must(
    counted <= maxPendingChecks,
    () => `invariant 4: ${counted} checks are pending, allowed are ${maxPendingChecks}`,
  );
  const other = total - successful - failed - counted;
  must(
    other >= 0 && other <= 10_000 * runtime.unary.size,
    () => `invariant 1: of ${total} checks ${successful} succeeded, ${failed} failed and ${counted} are pending`,
  );

  let onCalls = 0;
  let inPipes = 0;
  let atDesk = 0;
  for (const check of pending) {
    const { place } = check;
    if (place instanceof Call) onCalls++;
    else if (place instanceof CheckPipe) inPipes++;
    else if (place instanceof CheckDesk) atDesk++;
    else must(place instanceof Exchange, () => `invariant 2: the check ${check.requestId} is nowhere`);
  }
  const calls = [...pool].flatMap((connection) => [...connection.calls]);
  const unanswered = sum(calls.map((call) => call.unanswered));
  must(
    onCalls === unanswered,
    () => `invariant 2: ${onCalls} checks are on calls, the calls' tables hold ${unanswered}`,
  );
  const pipes = [...streams].map(({ pipe }) => pipe);
  const owedByCalls = sum(pipes.map((pipe) => pipe.unanswered));
  must(
    owedByCalls === unanswered,
    () => `invariant 2: the pipes count ${owedByCalls} unanswered, the calls' tables hold ${unanswered}`,
  );
  const unwritten = sum(pipes.map((pipe) => pipe.owed - pipe.unanswered));
  must(inPipes === unwritten, () => `invariant 2: ${inPipes} checks are in pipes, the pipes count ${unwritten}`);
  const { parked, delayed } = desk.kept;
  must(
    atDesk === parked + delayed,
    () => `invariant 2: ${atDesk} checks wait at the desk, it keeps ${parked + delayed}`,
  );
  for (const connection of pool) {
    const written = sum([...connection.calls].map((call) => call.unanswered));
    must(
      connection.inFlight >= written,
      () => `invariant 2: ${connection.id} counts ${connection.inFlight} in flight, its calls hold ${written}`,
    );
  }
}

/** Invariant 4, of the handles. */
export function holdBounds({ streams, env }: ClientRuntime, maxBufferSize: number): void {
  for (const { id, kind, pipe } of streams) {
    const limit = kind === 'handle' ? maxBufferSize : env.options.maxPendingChecks;
    must(pipe.outbox.length <= limit, () => `invariant 4: ${id} buffers ${pipe.outbox.length}, allowed are ${limit}`);
    must(pipe.owed >= 0 && pipe.unanswered >= 0, () => `invariant 2: ${id} owes ${pipe.owed}`);
  }
}

const WRITING = new Set(['open', 'open.rotating', 'paused', 'draining.flushing']);
const CONNECTED = /^(open|paused|failedOver|draining)/;
const SERVED = /^(serving|suspect)/;

/** Invariants 3 and 12: the data plane's flags say what the statecharts say, and there is one route. */
export function holdFlags(runtime: ClientRuntime): void {
  const { actors, endpoints, pool, route, streams } = runtime;
  for (const { id, pipe, closed, idle } of streams) {
    const state = actors.stateOf(id);
    must(pipe.writing === WRITING.has(state), () => `invariant 12: ${id} is ${state}, and writing is ${pipe.writing}`);
    must(closed === (state === 'closed'), () => `invariant 12: ${id} is ${state}, and closed is ${closed}`);
    must(!idle || state === 'idle', () => `invariant 12: ${id} is ${state}, and idle`);
  }
  for (const { id, admitted, connected, closed } of pool) {
    const state = actors.stateOf(id);
    must(admitted === state.startsWith('open'), () => `invariant 12: ${id} is ${state}, and admitted is ${admitted}`);
    must(!connected || CONNECTED.test(state), () => `invariant 12: ${id} is ${state}, and connected`);
    must(!closed, () => `invariant 12: ${id} is closed, and still in the pool`);
  }
  for (const { id, served } of endpoints) {
    const state = actors.stateOf(id);
    must(served === SERVED.test(state), () => `invariant 12: ${id} is ${state}, and served is ${served}`);
  }
  const root = actors.state;
  if (root === 'open')
    must(route.level === 0, () => `invariant 3: the client is open, and level ${route.level} is routed`);
  if (root === 'failedOver')
    must(route.level > 0, () => `invariant 3: the client is failedOver, and level ${route.level} is routed`);
  if (root === 'reconnecting')
    must(route.level === -1, () => `invariant 3: the client is reconnecting, and level ${route.level} is routed`);
  for (const { level, served } of route.usable.map(({ endpoint }) => endpoint)) {
    must(
      level === route.level && served,
      () => `invariant 3: a connection of level ${level} is usable, ${route.level} is routed`,
    );
  }
}

const OPENING = new Set(['connecting', 'open.rotating', 'draining.reconnecting.opening']);

/** Nobody waits for what is there. */
export function holdWakeups(runtime: ClientRuntime): void {
  const { actors, desk, route, streams, unary } = runtime;
  const usable = route.usable.filter(({ hasHeaders, opensCalls }) => hasHeaders && opensCalls);
  const { parked } = desk.kept;
  const taker = usable.find(({ takesChecks }) => takesChecks);
  must(parked === 0 || taker === undefined, () => `${parked} checks wait for a connection, ${taker?.id} takes checks`);
  const roomy = usable.find(({ hasRoom }) => hasRoom);
  must(!unary.isShort || roomy === undefined, () => `a unary call waits for a connection, ${roomy?.id} has room`);
  for (const { id, kind } of streams) {
    const state = actors.stateOf(id);
    const waits = kind === 'handle' && OPENING.has(state);
    must(!waits || roomy === undefined, () => `${id} is ${state} and waits for a connection, ${roomy?.id} has room`);
  }
}

/** Of the failover controller; undefined before the first connect and after the last disconnect. */
export function failoverOf({ actors }: ClientRuntime): FailoverContext | undefined {
  const children = actors.root.getSnapshot().children as Record<string, { getSnapshot(): unknown } | undefined>;
  const snapshot = children['failover']?.getSnapshot() as { context: FailoverContext } | undefined;
  return snapshot?.context;
}

/** Invariant 6: nothing is left, anywhere. */
export function holdNothing(runtime: ClientRuntime): void {
  const { actors, book, env, pool, streams, unary } = runtime;
  must(actors.state === 'closed', () => `invariant 6: disconnected, the client is ${actors.state}`);
  must(book.size === 0 && book.bytes === 0, () => `invariant 6: disconnected, ${book.size} checks are pending`);
  must(unary.size === 0, () => `invariant 6: disconnected, ${unary.size} unary calls are pending`);
  must([...pool].length === 0, () => `invariant 6: disconnected, ${[...pool].length} connections are left`);
  must([...streams].length === 0 && streams.handles.size === 0, () => `invariant 6: disconnected, streams are left`);
  must(!env.hold.isHeld, () => `invariant 6: disconnected, the process is held open`);
}
