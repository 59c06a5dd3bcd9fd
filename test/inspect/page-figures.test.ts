/** Figures as text and as lines; rows in sight; keys; the arrows of a chart. */

import { fc, test as propertyTest } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { commandEngine } from '../../src/inspect/page/engine-commands.js';
import {
  formatClock,
  formatCount,
  formatEvent,
  formatMs,
  formatSpan,
  formatValue,
  plural,
} from '../../src/inspect/page/format.js';
import { GaugeHistory } from '../../src/inspect/page/gauge-history.js';
import { History } from '../../src/inspect/page/history.js';
import { Series, sparkArea, sparkPath } from '../../src/inspect/page/series.js';
import { INITIAL_UI, nextTheme, reduceUi, shortcutOf, tokenOf } from '../../src/inspect/page/ui.js';
import { scrollTopAfterPrepend, scrollTopToReveal, visibleRows } from '../../src/inspect/page/window.js';
import { InspectedWorld } from '../support/inspected-world.js';

describe('figures as text', () => {
  test.each([
    [null, '–'],
    [0, '0'],
    [0.4, '0.4'],
    [9.96, '10'],
    [37, '37'],
    [999, '999'],
    [999.9, '1.0k'],
    [1_234, '1.2k'],
    [9_960, '10k'],
    [13_400, '13k'],
    [999_600, '1.0M'],
    [2_000_000, '2.0M'],
    [3e9, '3.0G'],
    [Number.NaN, '–'],
  ])('the count %s: %s', (value, text) => {
    expect(formatCount(value)).toBe(text);
  });

  propertyTest.prop([fc.double({ min: 0, max: 9.9e11, noNaN: true })])(
    'a count of any size: at most four characters',
    (value) => {
      expect(formatCount(value).length).toBeLessThanOrEqual(4);
    },
  );

  test.each([
    [null, '–'],
    [0.42, '0.42 ms'],
    [0.999, '1.0 ms'],
    [12.34, '12.3 ms'],
    [99.96, '100 ms'],
    [640, '640 ms'],
    [999.7, '1.00 s'],
    [1_240, '1.24 s'],
    [12_340, '12.3 s'],
  ])('%s milliseconds: %s', (value, text) => {
    expect(formatMs(value)).toBe(text);
  });

  test.each([
    [-5, '0.0 s'],
    [340, '0.3 s'],
    [9_960, '10 s'],
    [42_000, '42 s'],
    [180_000, '3 min'],
    [7_200_000, '2 h'],
    [4 * 86_400_000, '4 d'],
  ])('a span of %s ms: %s', (value, text) => {
    expect(formatSpan(value)).toBe(text);
  });

  test('a moment, and what is none', () => {
    expect(formatClock(new Date(2026, 0, 2, 3, 4, 5, 6).getTime())).toBe('03:04:05.006');
    expect(formatClock(Number.NaN)).toBe('–');
  });

  test('values, events and numbers of things', () => {
    expect([
      formatValue('a'),
      formatValue(0.1 + 0.2),
      formatValue(3),
      formatValue({ a: [1] }),
      formatValue(null),
    ]).toEqual(['a', '0.3', '3', '{"a":[1]}', 'null']);
    expect(formatEvent('xstate.after.backoff.connection.reconnecting')).toBe('after backoff');
    expect(formatEvent('xstate.init')).toBe('begins');
    expect(formatEvent('CALL_LOST')).toBe('CALL_LOST');
    expect([plural(1, 'entry', 'entries'), plural(2, 'row')]).toEqual(['1 entry', '2 rows']);
  });
});

describe('a series', () => {
  test('many samples in a second: their mean, or the most of them', () => {
    const mean = new Series(5, 'mean');
    const max = new Series(5, 'max');
    for (const [index, value] of [2, 4, 9].entries()) {
      mean.add(10_000 + index * 100, value);
      max.add(10_000 + index * 100, value);
    }
    expect(mean.points(10_900)).toEqual([null, null, null, null, 5]);
    expect(max.points(10_900)).toEqual([null, null, null, null, 9]);
  });

  test('seconds without a sample: are missing, not none', () => {
    const series = new Series(4, 'mean');
    series.add(10_000, 1);
    series.add(11_000, null);
    series.add(12_000, 3);
    expect(series.points(12_500)).toEqual([null, 1, null, 3]);
    expect(series.points(14_500)).toEqual([null, 3, null, null]);
  });

  test('as time passes the ring around: what was there before is not taken for now', () => {
    const series = new Series(3, 'mean');
    series.add(1_000, 7);
    expect(series.points(1_000 + 1_200_000)).toEqual([null, null, null]);
  });

  test('drawn: a line for each run, and an area below those that have a width', () => {
    expect(sparkPath([0, 10, null, 5], 10)).toBe('M0.0 40.0L100.0 0.0M300.0 20.0h-100.0');
    expect(sparkArea([0, 10, null, 5], 10)).toBe('M0.0 40L0.0 40.0L100.0 0.0L100.0 40Z');
    expect(sparkPath([0, 0], 0)).toBe('M0.0 40.0L300.0 40.0');
    expect(sparkPath([], 1)).toBe('');
  });
});

describe('histories', () => {
  propertyTest.prop([fc.integer({ min: 1, max: 40 }), fc.nat({ max: 400 })])(
    'of any bound: hold the newest, in order',
    (limit, count) => {
      const history = new History<number>(limit);
      const all = Array.from({ length: count }, (_, index) => index);
      for (const each of all) history.push(each);
      expect(history.toArray()).toEqual(all.slice(-limit));
      expect(history.length + history.dropped).toBe(count);
      expect(history.at(0)).toBe(all.slice(-limit)[0]);
      expect(history.at(-1)).toBe(all.at(-1));
      expect(history.at(history.length)).toBeUndefined();
      expect(history.at(-limit - 1)).toBeUndefined();
    },
  );

  test('of gauges, of a thousand streams: bounded by what they hold together', () => {
    const world = new InspectedWorld({ streamsPerConnection: 500, connectionsPerEndpoint: 2 });
    world.connect();
    const history = new GaugeHistory();
    const begin = world.now;
    for (const frame of world.skip(60_000, 500)) history.add(frame.at, frame.gauges);
    expect(history.at(begin + 1_000)).toBeNull();
    expect(history.at(world.now)).not.toBeNull();
    expect(history.at(world.now - 15_000)).not.toBeNull();
  });
});

describe('the rows in sight', () => {
  const view = { height: 280, rowHeight: 28, count: 1_000 };

  test('at the top, in the middle, at the end: those in sight and a few more', () => {
    expect(visibleRows({ ...view, scrollTop: 0 })).toEqual({ start: 0, end: 16 });
    expect(visibleRows({ ...view, scrollTop: 2_800 })).toEqual({ start: 94, end: 116 });
    expect(visibleRows({ ...view, scrollTop: 27_720 })).toEqual({ start: 984, end: 1_000 });
  });

  test('a list that became shorter than where it is scrolled to: its end', () => {
    expect(visibleRows({ ...view, scrollTop: 27_720, count: 20 })).toEqual({ start: 4, end: 20 });
    expect(visibleRows({ ...view, scrollTop: 27_720, count: 0 })).toEqual({ start: 0, end: 0 });
  });

  test('revealing a row: moves as little as it must', () => {
    expect(scrollTopToReveal({ ...view, scrollTop: 100 }, 5)).toBe(100);
    expect(scrollTopToReveal({ ...view, scrollTop: 100 }, 0)).toBe(0);
    expect(scrollTopToReveal({ ...view, scrollTop: 0 }, 20)).toBe(308);
  });

  test('rows that come in above: at the top they are followed, below it the place is kept', () => {
    expect(scrollTopAfterPrepend(0, 46, 3)).toBe(0);
    expect(scrollTopAfterPrepend(200, 46, 3)).toBe(338);
  });
});

describe('keys', () => {
  const press = (key: string, held: Partial<Parameters<typeof shortcutOf>[0]> = {}) => ({
    key,
    ctrlKey: false,
    metaKey: false,
    altKey: false,
    ...held,
  });

  test('while text is typed: are text, but for escape', () => {
    expect(shortcutOf(press('/'), 'text')).toBeNull();
    expect(shortcutOf(press(' '), 'text')).toBeNull();
    expect(shortcutOf(press('Escape'), 'text')).toBe('close');
  });

  test('on a button: space is the button’s', () => {
    expect(shortcutOf(press(' '), 'button')).toBeNull();
    expect(shortcutOf(press(']'), 'button')).toBe('forward');
  });

  test('with a modifier, or without a meaning: are the browser’s', () => {
    expect(shortcutOf(press('l', { ctrlKey: true }), 'other')).toBeNull();
    expect(shortcutOf(press('t', { metaKey: true }), 'other')).toBeNull();
    expect(shortcutOf(press('constructor'), 'other')).toBeNull();
    expect(shortcutOf(press('z'), 'other')).toBeNull();
  });
});

describe('what is chosen', () => {
  test('an action: changes its part and nothing else', () => {
    const opened = reduceUi(INITIAL_UI, { type: 'expand', actor: 'a', isExpanded: false });
    expect(opened).toEqual({ ...INITIAL_UI, expanded: new Map([['a', false]]) });
    const filtered = reduceUi(opened, { type: 'filter', change: { kind: 'event' } });
    expect(filtered.filter).toEqual({ query: '', kind: 'event', isOfSelected: false });
    expect(filtered.expanded).toBe(opened.expanded);
  });

  test('themes: go around', () => {
    expect([nextTheme('auto'), nextTheme('dark'), nextTheme('light')]).toEqual(['dark', 'light', 'auto']);
  });

  test.each([
    ['#token=abc', 'abc'],
    ['#token=', null],
    ['', null],
    ['#other=1', null],
    ['#a=1&token=x-y_z', 'x-y_z'],
  ])('the token of %j: %j', (hash, token) => {
    expect(tokenOf(hash)).toBe(token);
  });
});

describe('commands to engines', () => {
  const ask = (respond: () => Promise<Response>): Promise<string | null> =>
    commandEngine('kill', 'a:1', 'secret', respond);

  test('done: nothing to tell; asked with the token, as JSON', async () => {
    let asked: [unknown, RequestInit | undefined] | undefined;
    const failure = await commandEngine('freeze', 'a:1', 'secret', (url, init) => {
      asked = [url, init];
      return Promise.resolve(new Response('{}'));
    });
    expect(failure).toBeNull();
    expect(asked?.[0]).toBe('/engines/freeze');
    expect(asked?.[1]).toMatchObject({
      method: 'POST',
      headers: { authorization: 'Bearer secret', 'content-type': 'application/json' },
      body: '{"address":"a:1"}',
    });
  });

  test('refused: tells why', async () => {
    const body = JSON.stringify({ error: { message: 'body.address: must be one of b:1' } });
    expect(await ask(() => Promise.resolve(new Response(body, { status: 404 })))).toBe(
      'kill was refused: body.address: must be one of b:1',
    );
    expect(await ask(() => Promise.resolve(new Response('<html>', { status: 502 })))).toBe(
      'kill was refused: the server answered 502',
    );
  });

  test('unreachable, or late: tells that', async () => {
    expect(await ask(() => Promise.reject(new TypeError('failed to fetch')))).toBe(
      'kill: the server cannot be reached',
    );
    expect(await ask(() => Promise.reject(new DOMException('late', 'TimeoutError')))).toBe(
      'kill: no answer within 15 s',
    );
  });
});
