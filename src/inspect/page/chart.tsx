/** A statechart, drawn. */

import type { JSX } from 'preact';
import type { ChartView } from '../protocol.js';

export interface ChartProps {
  readonly chart: ChartView;
  readonly active: readonly string[];
  readonly flash: { readonly edgeId: string; readonly at: number } | null;
}

export function Chart({ chart, active }: ChartProps): JSX.Element {
  return (
    <ol>
      {chart.states.map(({ path }) => (
        <li key={path}>{active.includes(path) ? <b>{path}</b> : path}</li>
      ))}
    </ol>
  );
}
