/**
 * Answers by the definition of protobuf and nothing else: slow, without memory of what was read before, with whole numbers of any size.
 * What the client makes of the same bytes is compared with it.
 */

import { isUtf8 } from 'node:buffer';

export class Unreadable extends Error {}

interface Field {
  readonly number: number;
  readonly wireType: number;
  /** Of a varint. */
  readonly value: bigint;
  /** Of what has a length. */
  readonly bytes: Buffer;
}

const MAX_GROUP_DEPTH = 100;
const NOTHING = Buffer.alloc(0);

class Reading {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get hasMore(): boolean {
    return this.#at < this.#bytes.length;
  }

  take(count: number | bigint): Buffer {
    if (count > this.#bytes.length - this.#at) throw new Unreadable('its end');
    const start = this.#at;
    this.#at += Number(count);
    return this.#bytes.subarray(start, this.#at);
  }

  varint(): bigint {
    let value = 0n;
    for (let index = 0n; index < 10n; index += 1n) {
      const byte = this.take(1)[0] ?? 0;
      value |= BigInt(byte & 0x7f) << (7n * index);
      if (byte < 0x80) return value;
    }
    throw new Unreadable('a varint of more than ten bytes');
  }

  field(depth = 0): Field {
    const tag = this.varint();
    if (tag > 0xffff_ffffn || tag >> 3n === 0n) throw new Unreadable('a field number');
    const number = Number(tag >> 3n);
    const wireType = Number(tag & 7n);
    const plain = { number, wireType, value: 0n, bytes: NOTHING };
    switch (wireType) {
      case 0:
        return { ...plain, value: this.varint() };
      case 1:
        return { ...plain, bytes: this.take(8) };
      case 2:
        return { ...plain, bytes: this.take(this.varint()) };
      case 3: {
        if (depth >= MAX_GROUP_DEPTH) throw new Unreadable('its depth');
        for (;;) {
          const inner = this.field(depth + 1);
          if (inner.wireType !== 4) continue;
          if (inner.number !== number) throw new Unreadable('an end of another group');
          return plain;
        }
      }
      case 4:
        if (depth === 0) throw new Unreadable('an end of no group');
        return plain;
      case 5:
        return { ...plain, bytes: this.take(4) };
      default:
        throw new Unreadable('a wire type');
    }
  }
}

function* fieldsOf(bytes: Buffer): Generator<Field> {
  const reading = new Reading(bytes);
  while (reading.hasMore) yield reading.field();
}

function textOf({ bytes }: Field): string {
  if (!isUtf8(bytes)) throw new Unreadable('a text');
  return bytes.toString('utf8');
}

/** What a reader of many answers may hold to be the same: everything. */
export interface OracleResult {
  readonly effect: number;
  readonly policy: string;
  readonly rule: string;
  readonly matched: boolean;
  readonly meta: [string, string][];
}

export interface OracleAnswer {
  readonly requestId: string;
  readonly results: Map<string, OracleResult>;
  readonly hasMetadata: boolean;
}

const is = (field: Field, number: number, wireType: number): boolean =>
  field.number === number && field.wireType === wireType;

function resultOf(bytes: Buffer): OracleResult {
  let effect = 0;
  let policy = '';
  let rule = '';
  let matched = false;
  const meta = new Map<string, string>();
  for (const field of fieldsOf(bytes)) {
    if (is(field, 1, 0)) effect = field.value === 1n ? 1 : field.value === 2n ? 2 : 0;
    else if (is(field, 2, 2)) policy = textOf(field);
    else if (is(field, 3, 2)) rule = textOf(field);
    else if (is(field, 4, 0)) matched = field.value !== 0n;
    else if (is(field, 5, 2)) {
      let [key, value] = ['', ''];
      for (const inner of fieldsOf(field.bytes)) {
        if (is(inner, 1, 2)) key = textOf(inner);
        else if (is(inner, 2, 2)) value = textOf(inner);
      }
      meta.set(key, value);
    }
  }
  return { effect, policy, rule, matched, meta: [...meta].sort() };
}

const NO_RESULT: OracleResult = { effect: 0, policy: '', rule: '', matched: false, meta: [] };

/** Throws Unreadable. */
export function oracleAnswer(bytes: Uint8Array): OracleAnswer {
  let requestId = '';
  let hasMetadata = false;
  const results = new Map<string, OracleResult>();
  for (const field of fieldsOf(Buffer.from(bytes))) {
    if (is(field, 1, 2)) requestId = textOf(field);
    else if (is(field, 2, 2)) {
      let action = '';
      let result = NO_RESULT;
      for (const inner of fieldsOf(field.bytes)) {
        if (is(inner, 1, 2)) action = textOf(inner);
        else if (is(inner, 2, 2)) result = resultOf(inner.bytes);
      }
      results.set(action, result);
    } else if (is(field, 3, 2)) {
      hasMetadata = true;
      for (const inner of fieldsOf(field.bytes)) if (is(inner, 3, 2)) textOf(inner);
    }
  }
  return { requestId, results, hasMetadata };
}

/** Throws Unreadable. */
export function oracleBatch(bytes: Uint8Array): OracleAnswer[] {
  const answers: OracleAnswer[] = [];
  for (const field of fieldsOf(Buffer.from(bytes))) if (is(field, 1, 2)) answers.push(oracleAnswer(field.bytes));
  return answers;
}

/** Throws Unreadable. */
export function oracleHealth(bytes: Uint8Array): bigint {
  let status = 0n;
  for (const field of fieldsOf(Buffer.from(bytes))) if (is(field, 1, 0)) status = field.value;
  return status;
}
