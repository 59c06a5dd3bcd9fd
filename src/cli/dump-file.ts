/** Reads what `client.dump()` gave from a file, and holds it to its rules: it may have passed through many hands. */

import { closeSync, openSync, readSync } from 'node:fs';
import * as v from 'valibot';
import { DUMP_FORMAT, DUMP_VERSION } from '../flight.js';
import { redactText } from '../observe/redact.js';
import { CliError, oneLine } from './failure.js';

/** A recorder's 65,536 transitions at most take less. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const MAX_TRANSITIONS = 65_536;
const MAX_STATE_DEPTH = 8;
/** Deeper than any event or context is dumped, and shallow enough for whoever walks it. */
const MAX_VALUE_DEPTH = 16;
const MAX_SHOWN_LENGTH = 60;
/** The ids of the statecharts. */
const MACHINES: readonly unknown[] = ['client', 'failover', 'endpoint', 'connection', 'stream'];

function leaf<T>(rule: string, test: (value: unknown) => boolean): v.GenericSchema<T> {
  return v.custom<T>(test, (issue) => `must be ${rule}, got ${describe(issue.input)}`);
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = redactText(JSON.stringify(value));
  return text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH)}…` : text;
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function isShallow(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth < MAX_VALUE_DEPTH && Object.values(value).every((each) => isShallow(each, depth + 1));
}

export type DumpState = string | { readonly [name: string]: DumpState };

function isState(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return value !== '';
  if (!isObject(value) || depth >= MAX_STATE_DEPTH) return false;
  const inner: unknown[] = Object.values(value);
  return inner.length > 0 && inner.every((each) => isState(each, depth + 1));
}

const text = leaf<string>('a non-empty string', (value) => typeof value === 'string' && value !== '');
const machine = leaf<string>(`one of ${MACHINES.join(', ')}`, (value) => MACHINES.includes(value));
const count = leaf<number>('a whole number from 0', (value) => Number.isSafeInteger(value) && (value as number) >= 0);
const time = leaf<number>('a number of milliseconds', (value) => Number.isFinite(value));
const object = leaf<Readonly<Record<string, unknown>>>(
  `an object of at most ${MAX_VALUE_DEPTH} levels`,
  (value) => isObject(value) && isShallow(value),
);
const state = leaf<DumpState>('the name of a state, or an object of them', (value) => isState(value));
const event = leaf<{ readonly type: string }>(
  `an event: an object of at most ${MAX_VALUE_DEPTH} levels whose type is a non-empty string`,
  (value) =>
    isObject(value) && 'type' in value && typeof value.type === 'string' && value.type !== '' && isShallow(value),
);

/** Fields that are not named here are for people to read. */
const group = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.looseObject(entries, (issue) =>
    issue.expected === 'Object' ? `must be an object, got ${describe(issue.input)}` : 'is required',
  );

const list = <Item extends v.GenericSchema>(item: Item, max: number) =>
  v.pipe(
    v.array(item, (issue) => `must be an array, got ${describe(issue.input)}`),
    v.maxLength(max, (issue) => `must hold at most ${max}, got ${issue.input.length}`),
  );

const transitionSchema = group({
  sequence: count,
  sinceStartMs: time,
  actor: text,
  machine,
  event,
  from: v.nullable(state),
  to: state,
  status: text,
  changes: object,
  context: v.optional(object),
});

const actorSchema = group({ actor: text, machine, status: text, state, context: object });

const schema = group({
  format: leaf<string>(`"${DUMP_FORMAT}"`, (value) => value === DUMP_FORMAT),
  version: leaf<number>(`${DUMP_VERSION}, the version that this authz reads`, (value) => value === DUMP_VERSION),
  package: group({ name: text, version: text }),
  dumpedAt: text,
  startedAtMs: time,
  nowMs: time,
  actors: list(actorSchema, MAX_TRANSITIONS),
  recorder: group({ size: count, recorded: count, dropped: count }),
  transitions: list(transitionSchema, MAX_TRANSITIONS),
});

export type DumpFile = v.InferOutput<typeof schema>;
export type DumpFileTransition = DumpFile['transitions'][number];

/** @throws CliError naming the file, the field and the rule that it breaks */
export function readDumpFile(file: string): DumpFile {
  const result = v.safeParse(schema, parseJson(file, readText(file)), { abortEarly: true });
  if (!result.success) {
    const [issue] = result.issues;
    throw badDump(file, pathOf(issue), issue.message);
  }
  const dump = result.output;
  for (const [index, { sequence }] of dump.transitions.entries()) {
    const before = dump.transitions[index - 1]?.sequence ?? -1;
    if (sequence <= before) {
      throw badDump(
        file,
        `transitions[${index}].sequence`,
        `must be above the one before, got ${sequence} after ${before}`,
      );
    }
  }
  return dump;
}

export function badDump(file: string, path: string, reason: string): CliError {
  return new CliError(`${file}: ${oneLine(`${path}: ${reason}`)}`, { code: 'ERR_AUTHZ_DUMP' });
}

function readText(file: string): string {
  try {
    const descriptor = openSync(file, 'r');
    try {
      return readBounded(descriptor).toString('utf8');
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    const reason =
      cause instanceof RangeError
        ? `has more than ${MAX_FILE_BYTES} bytes, and a dump has not`
        : `cannot be read (${code}); it must be a file that client.dump() was written to`;
    throw new CliError(`${file}: ${reason}`, { code: 'ERR_AUTHZ_DUMP', cause });
  }
}

/**
 * A pipe or a device has no size to be looked at before.
 * @throws RangeError for more than a dump has
 */
function readBounded(descriptor: number): Buffer {
  const chunks: Buffer[] = [];
  for (let length = 0; length <= MAX_FILE_BYTES;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const read = readSync(descriptor, chunk);
    if (read === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, read));
    length += read;
  }
  throw new RangeError('too long');
}

function parseJson(file: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (cause) {
    // What Node says of it shows a part of the file, which need not be a dump at all.
    throw new CliError(`${file}: is no JSON; write it with JSON.stringify(client.dump())`, {
      code: 'ERR_AUTHZ_DUMP',
      cause,
    });
  }
}

function pathOf(issue: v.BaseIssue<unknown>): string {
  let path = '';
  for (const { key } of issue.path ?? []) {
    if (typeof key === 'number') path += `[${key}]`;
    else path += `${path === '' ? '' : '.'}${String(key).slice(0, 64)}`;
  }
  return path === '' ? 'the dump' : path;
}
