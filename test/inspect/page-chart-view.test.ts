/** Which part of a statechart is seen, whatever is pressed, turned or followed. */

import { fc, test as propertyTest } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { fit, follow, mix, pan, roundedPath, type ViewBox, zoom } from '../../src/inspect/page/chart-view.js';

const whole = fit(1_838, 1_044);
const length = (max: number) => fc.double({ min: 40, max, noNaN: true });
const share = fc.double({ min: 0, max: 1, noNaN: true });
const boxes: fc.Arbitrary<ViewBox> = fc.record({
  x: fc.double({ min: -500, max: 2_000, noNaN: true }),
  y: fc.double({ min: -500, max: 2_000, noNaN: true }),
  width: fc.double({ min: 320, max: 3_000, noNaN: true }),
  height: fc.double({ min: 200, max: 3_000, noNaN: true }),
});
/** A state of the chart, anywhere in it. */
const places = fc
  .record({ x: share, y: share, width: length(160), height: length(80) })
  .map(({ x, y, width, height }) => ({ x: x * (1_838 - width), y: y * (1_044 - height), width, height }));
const covers = (box: ViewBox, place: ViewBox): boolean =>
  place.x >= box.x - 1e-6 &&
  place.y >= box.y - 1e-6 &&
  place.x + place.width <= box.x + box.width + 1e-6 &&
  place.y + place.height <= box.y + box.height + 1e-6;

describe('an active state that is followed', () => {
  propertyTest.prop([places, fc.record({ width: length(2_000), height: length(1_200) })])(
    'on a screen that holds it: is in sight, in the proportions of the screen or with the whole',
    (place, screen) => {
      fc.pre(screen.width >= place.width && screen.height >= place.height);
      const box = follow(whole, place, screen);
      expect(covers(box, place)).toBe(true);
      if (box !== whole) expect(box.width / box.height).toBeCloseTo(screen.width / screen.height, 6);
    },
  );

  propertyTest.prop([places, fc.record({ width: length(1_000), height: length(600) })])(
    'on a screen smaller than the chart: nothing beyond its edges is shown',
    (place, screen) => {
      const box = follow(whole, place, screen);
      if (box.width <= whole.width) expect(box.x).toBeGreaterThanOrEqual(whole.x);
      if (box.width <= whole.width) expect(box.x + box.width).toBeLessThanOrEqual(whole.x + whole.width + 1e-6);
      if (box.height <= whole.height) expect(box.y + box.height).toBeLessThanOrEqual(whole.y + whole.height + 1e-6);
    },
  );

  test('on a screen where the whole can be read, unmeasured, or in no state: is seen with the whole', () => {
    const place = { x: 10, y: 10, width: 100, height: 34 };
    expect(follow(whole, place, { width: 1_800, height: 1_000 })).toBe(whole);
    expect(follow(whole, place, { width: 0, height: 0 })).toBe(whole);
    expect(follow(whole, undefined, { width: 500, height: 300 })).toBe(whole);
    expect(follow(whole, place, { width: 500, height: 300 })).not.toBe(whole);
  });
});

describe('what is seen', () => {
  propertyTest.prop([boxes, fc.double({ min: 0.2, max: 5, noNaN: true }), share, share])(
    'come closer to or farther from a point: the point stays where it is',
    (box, factor, atX, atY) => {
      const next = zoom(box, factor, whole, atX, atY);
      expect(next.x + next.width * atX).toBeCloseTo(box.x + box.width * atX, 4);
      expect(next.y + next.height * atY).toBeCloseTo(box.y + box.height * atY, 4);
      expect(next.width).toBeLessThanOrEqual(whole.width * 2);
    },
  );

  propertyTest.prop([boxes, share, share])('moved there and back: is what it was', (box, byX, byY) => {
    const back = pan(pan(box, byX, byY), -byX, -byY);
    expect(back.x).toBeCloseTo(box.x, 6);
    expect(back.y).toBeCloseTo(box.y, 6);
  });

  propertyTest.prop([boxes, boxes, share])(
    'on the way from one view to another: lies between them',
    (one, other, at) => {
      expect(mix(one, other, 0).x).toBeCloseTo(one.x, 6);
      expect(mix(one, other, 1).x).toBeCloseTo(other.x, 6);
      const { x, width } = mix(one, other, at);
      expect(x).toBeGreaterThanOrEqual(Math.min(one.x, other.x) - 1e-6);
      expect(x).toBeLessThanOrEqual(Math.max(one.x, other.x) + 1e-6);
      expect(width).toBeLessThanOrEqual(Math.max(one.width, other.width) + 1e-6);
    },
  );
});

describe('a line', () => {
  test('of no point, of two, and round a corner: begins and ends where it should', () => {
    expect(roundedPath([])).toBe('');
    expect(
      roundedPath([
        [0, 0],
        [10, 0],
      ]),
    ).toBe('M0 0L10 0');
    expect(
      roundedPath(
        [
          [0, 0],
          [10, 0],
          [10, 10],
        ],
        2,
      ),
    ).toBe('M0 0L8 0Q10 0 10 2L10 10');
  });

  test('with two points in one place: has no figure that is none', () => {
    expect(
      roundedPath([
        [0, 0],
        [0, 0],
        [5, 5],
      ]),
    ).not.toContain('NaN');
  });
});
