/** Which arrow of a drawn statechart a transition went along. */

import type { ChartTransition, ChartView, TransitionView } from '../protocol.js';

type Step = Pick<TransitionView, 'from' | 'to' | 'event'>;

const covers = (state: string, leaf: string): boolean => state === '' || leaf === state || leaf.startsWith(`${state}.`);

/** The id of the edge; null when none leads there: an actor's beginning, or what changes no state. */
export function findEdge(chart: ChartView, step: Step): string | null {
  let best: { readonly id: string; readonly source: string } | null = null;
  for (const { id, transitions } of chart.edges) {
    for (const transition of transitions) {
      if (!explains(transition, step)) continue;
      const { source } = transition;
      // Of a state and one within it that both have the event, the inner one's is taken.
      if (best === null || (source !== best.source && covers(best.source, source))) best = { id, source };
    }
  }
  return best?.id ?? null;
}

function explains({ event, source, lands }: ChartTransition, { from, to, event: happened }: Step): boolean {
  if (event !== happened) return false;
  return from.some((leaf) => covers(source, leaf)) && to.some((leaf) => lands.includes(leaf));
}

/** The state and those around it, innermost first, but for the whole chart. */
export function withAround(path: string): string[] {
  const names = path.split('.');
  return names.map((_, index) => names.slice(0, names.length - index).join('.'));
}
