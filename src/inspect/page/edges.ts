/** Which arrow of a drawn statechart a transition went along. */

import type { ChartView, TransitionView } from '../protocol.js';
import { formatEvent } from './format.js';

type Edge = ChartView['edges'][number];

/** Null when the chart has no such arrow: an actor's beginning, or a chart of another version. */
export function edgeOf(chart: ChartView, { from, to, event }: TransitionView): string | null {
  let best: Edge | null = null;
  let bestScore = 0;
  for (const edge of chart.edges) {
    const score = scoreOf(edge, from, to, event);
    if (score > bestScore) {
      best = edge;
      bestScore = score;
    }
  }
  return best?.id ?? null;
}

/** 0: not along this one. The closer its ends are to the states left and entered, the better. */
function scoreOf(edge: Edge, from: readonly string[], to: readonly string[], event: string): number {
  if (edge.event !== event && edge.event !== formatEvent(event)) return 0;
  const source = nearness(edge.source, from);
  const target = nearness(edge.target, to);
  return source === 0 || target === 0 ? 0 : source + target;
}

/** How much of a leaf's path this state is: 0 when it is not around the leaf, nor the leaf itself. */
function nearness(state: string, leaves: readonly string[]): number {
  const isAround = leaves.some((leaf) => leaf === state || leaf.startsWith(`${state}.`));
  if (isAround) return state.split('.').length;
  return 0;
}
