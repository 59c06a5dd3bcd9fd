/** What moves along the links. */

import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** Twenty a second: each move paints the links anew, on the machine that the client runs on too. */
const INTERVAL_MS = 50;
/** Pixels per second. */
const SPEEDS = { 1: 10, 2: 20, 3: 40 } as const;
/** Of the dashes, in topology.css. */
const PERIOD = 14;

type Group = RefObject<SVGGElement | null>;

/** For a group of links of each speed. */
export function useFlow(): Readonly<Record<keyof typeof SPEEDS, Group>> {
  const groups = { 1: useRef<SVGGElement>(null), 2: useRef<SVGGElement>(null), 3: useRef<SVGGElement>(null) };
  useEffect(() => {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return undefined;
    const move = ({ current }: Group, pixelsPerSecond: number): void => {
      if (current === null || current.childElementCount === 0) return;
      current.style.strokeDashoffset = String(-(((performance.now() / 1_000) * pixelsPerSecond) % PERIOD));
    };
    const timer = setInterval(() => {
      move(groups[1], SPEEDS[1]);
      move(groups[2], SPEEDS[2]);
      move(groups[3], SPEEDS[3]);
    }, INTERVAL_MS);
    return () => clearInterval(timer);
  }, []);
  return groups;
}
