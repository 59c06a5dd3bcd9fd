/**
 * Bugs to plant, one at a time, in a copy of the sources: the simulation must find every one (`npm run test:mutations`). Each is an exact
 * replacement of a text that stands once in its file. It says which promise it breaks.
 */

export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'drop a resend',
    file: 'src/data/check-pipe.ts',
    find: '      this.#resend.push(check);\n      this.#resendLive++;\n',
    replace: '',
  },
  {
    name: 'settle twice',
    file: 'src/data/check-book.ts',
    find: '    if (check.settled) return false;\n    check.settled = true;\n',
    replace: '    check.settled = true;\n',
  },
  {
    name: 'ignore the epoch: a change of route is none',
    file: 'machines/failover.ts',
    find: '      epoch: ({ context }) => context.epoch + 1,\n      target:',
    replace: '      epoch: ({ context }) => Math.max(1, context.epoch),\n      target:',
  },
  {
    name: 'leak a timer: of disconnect()',
    file: 'src/runtime/lifecycle.ts',
    find: '    await drained.promise;\n    clock.clearTimeout(timer);\n',
    replace: '    await drained.promise;\n',
  },
  {
    name: 'leak a timer: of a parked call',
    file: 'src/runtime/parking-lot.ts',
    find: '    this.#clock.clearTimeout(this.#parked.get(call)?.timer);\n',
    replace: '',
  },
  {
    name: 'accept a stale generation: a transport that was replaced is lost',
    file: 'src/runtime/pool-connection.ts',
    find: '          if (this.#transport === connection) this.#lose(cause);\n',
    replace: '          this.#lose(cause);\n',
  },
  {
    name: 'accept a stale answer: an id is used again while an answer to it may still come',
    file: 'src/data/wire-ids.ts',
    find: 'this.#isSpoken(requestId) || this.#lingers(requestId) ? this.#suffixed(requestId) : requestId;',
    replace: 'this.#isSpoken(requestId) ? this.#suffixed(requestId) : requestId;',
  },
  {
    name: 'count a drop as sent',
    file: 'src/runtime/stream-handle.ts',
    find: '      this.#drop(checked.requestId);\n      return false;\n    }\n    if (this.#sequencer',
    replace: '      this.#drop(checked.requestId);\n      return true;\n    }\n    if (this.#sequencer',
  },
  {
    name: 'skip the deadline comparison at settling',
    file: 'src/data/check-book.ts',
    find: '    if (now >= check.deadlineAt) {\n      this.expire(check);\n      return;\n    }\n',
    replace: '',
  },
  {
    name: 'deliver out of order',
    file: 'src/runtime/stream-handle.ts',
    find: '    if (this.#sequencer !== undefined && check.sequence >= 0) this.#sequencer.complete(check.sequence, delivery);\n    else this.#enqueue(delivery);\n',
    replace: '    this.#enqueue(delivery);\n',
  },
  {
    name: 'deliver while paused',
    file: 'src/runtime/stream-handle.ts',
    find: '    return this.#held || this.#readers.some(',
    replace: '    return this.#readers.some(',
  },
  {
    name: 'ALLOW on a missing action',
    file: 'src/codec/results.ts',
    find: 'const UNANSWERED: ActionResult = Object.freeze({ effect: Effect.UNSPECIFIED, matched: false });',
    replace: 'const UNANSWERED: ActionResult = Object.freeze({ effect: Effect.ALLOW, matched: false });',
  },
  {
    name: 'ALLOW from the cache to another question under the same id',
    file: 'src/data/dedup.ts',
    find: '    if (cached.question === question) {\n      this.#hits += 1;',
    replace: '    if (cached.question !== "") {\n      this.#hits += 1;',
  },
  {
    name: 'lose a parked check',
    file: 'src/runtime/check-desk.ts',
    find: '        this.acquireSumMs += now - check.parkedAt;\n      } else {\n        this.#waiting.push(check);\n      }\n',
    replace: '        this.acquireSumMs += now - check.parkedAt;\n      }\n',
  },
  {
    name: 'retry without end',
    file: 'src/runtime/status-error.ts',
    find: '    if (check.moves >= options.maxRetries) return error();\n    const isFree',
    replace: '    const isFree',
  },
  {
    name: 'redial without backoff',
    file: 'machines/connection.ts',
    find: '  if (attempt === 1) return { attempt, delayMs: 0 };\n',
    replace: '  if (attempt > 0) return { attempt, delayMs: 0 };\n',
  },
  {
    name: 'never fail back',
    file: 'machines/failover.ts',
    find: "          after: { failback: '#failover.failingBack' },\n",
    replace: '',
  },
  {
    name: 'give new work to a connection that drains',
    file: 'src/runtime/pool.ts',
    find: '    this.#host.onLeaving(connection);\n',
    replace: '',
  },
  {
    name: 'forget to take the bytes of a settled check off',
    file: 'src/data/check-book.ts',
    find: '    this.#bytes -= check.byteLength;\n',
    replace: '',
  },
  {
    name: 'send what nobody waits for any more',
    file: 'src/data/check-pipe.ts',
    find: '      if (now >= check.deadlineAt) {\n',
    replace: '      if (now < 0) {\n',
  },
  {
    name: 'listen on to the signal of a settled check',
    file: 'src/runtime/promise-sink.ts',
    find: "    if (this.#onAbort !== undefined) this.#signal?.removeEventListener('abort', this.#onAbort);\n",
    replace: '',
  },
  {
    name: 'a paused stream stops writing',
    file: 'machines/stream.ts',
    find: "    paused: {\n      entry: 'allowWrites',\n",
    replace: "    paused: {\n      entry: 'haltWrites',\n",
  },
];
