/** Which part of a drawing is seen: pure, so that a wheel and a key do the same. */

/** In the drawing's own pixels. */
export interface ViewBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const MARGIN = 12;
/** Seen no larger than this many times its size, and no smaller than the whole with as much around it again. */
const MAX_ZOOM = 3;

export const fit = (width: number, height: number): ViewBox => ({
  x: -MARGIN,
  y: -MARGIN,
  width: width + 2 * MARGIN,
  height: height + 2 * MARGIN,
});

/** `factor` below 1 comes closer. What is at (`atX`, `atY`), fractions of the view, stays there. */
export function zoom(box: ViewBox, factor: number, whole: ViewBox, atX = 0.5, atY = 0.5): ViewBox {
  const widest = whole.width * 2;
  const narrowest = Math.min(whole.width, whole.width / MAX_ZOOM, 320);
  const width = Math.min(widest, Math.max(narrowest, box.width * factor));
  const height = (width / box.width) * box.height;
  return { x: box.x + (box.width - width) * atX, y: box.y + (box.height - height) * atY, width, height };
}

/** What is drawn is readable from here on: in pixels of the screen for one of the drawing's. */
const READABLE_SCALE = 0.62;
const FOLLOW_SCALE = 0.9;

interface Place {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** What is seen while the active state is followed: the whole where that can be read, else what is around `place`. */
export function follow(whole: ViewBox, place: Place | undefined, screen: { width: number; height: number }): ViewBox {
  const scale = Math.min(screen.width / whole.width, screen.height / whole.height);
  if (place === undefined || scale === 0 || scale >= READABLE_SCALE) return whole;
  const [width, height] = [screen.width / FOLLOW_SCALE, screen.height / FOLLOW_SCALE];
  return {
    x: within(place.x + place.width / 2 - width / 2, width, whole.x, whole.width),
    y: within(place.y + place.height / 2 - height / 2, height, whole.y, whole.height),
    width,
    height,
  };
}

/** Not beyond the edges of the whole; in its middle where more than the whole is seen. */
function within(at: number, length: number, wholeAt: number, wholeLength: number): number {
  if (length >= wholeLength) return wholeAt + (wholeLength - length) / 2;
  return Math.min(Math.max(at, wholeAt), wholeAt + wholeLength - length);
}

/** On the way from one view to another. `share` from 0 to 1. */
export function mix(from: ViewBox, to: ViewBox, share: number): ViewBox {
  const at = (one: number, other: number): number => one + (other - one) * share;
  return {
    x: at(from.x, to.x),
    y: at(from.y, to.y),
    width: at(from.width, to.width),
    height: at(from.height, to.height),
  };
}

/** By fractions of the view. */
export const pan = (box: ViewBox, byX: number, byY: number): ViewBox => ({
  ...box,
  x: box.x - byX * box.width,
  y: box.y - byY * box.height,
});

/** A line through the points, its corners rounded. */
export function roundedPath(points: readonly (readonly [number, number])[], radius = 6): string {
  const [first, ...rest] = points;
  if (first === undefined) return '';
  const parts = [`M${first[0]} ${first[1]}`];
  rest.forEach((point, index) => {
    const before = index === 0 ? first : rest[index - 1];
    const after = rest[index + 1];
    if (before === undefined || after === undefined) {
      parts.push(`L${point[0]} ${point[1]}`);
      return;
    }
    const [ax, ay] = towards(point, before, radius);
    const [bx, by] = towards(point, after, radius);
    parts.push(`L${ax} ${ay}Q${point[0]} ${point[1]} ${bx} ${by}`);
  });
  return parts.join('');
}

function towards(
  from: readonly [number, number],
  to: readonly [number, number],
  distance: number,
): readonly [number, number] {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  if (length === 0) return from;
  const share = Math.min(0.5, distance / length);
  return [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share];
}
