/** The headline figures, each with its last minutes. */

import type { JSX, TargetedPointerEvent } from 'preact';
import { useState } from 'preact/hooks';
import { formatCount, formatMs } from './format.js';
import type { Model } from './model.js';
import { peakOf, SPARK_BOX, sparkArea, sparkPath } from './series.js';
import type { Scene } from './travel.js';

interface Line {
  readonly name: string;
  readonly points: readonly (number | null)[];
}

interface Card {
  readonly id: string;
  readonly title: string;
  readonly value: string;
  readonly unit: string;
  /** A second figure, after the first. */
  readonly aside?: string;
  readonly lines: readonly Line[];
  readonly format: (value: number | null) => string;
  readonly isAlarming?: boolean;
}

export function MetricsPanel({ model, scene }: { readonly model: Model; readonly scene: Scene }): JSX.Element {
  const [hovered, setHovered] = useState<number | null>(null);
  return (
    <section class="metrics" aria-label="Figures">
      {cardsOf(model, scene).map((card) => (
        <MetricCard key={card.id} card={card} hovered={hovered} onHover={setHovered} />
      ))}
    </section>
  );
}

function cardsOf({ series, now }: Model, { gauges, at, isPast }: Scene): Card[] {
  // The past shows its own last minutes, as far as they are still held.
  const end = isPast ? at : now;
  const rate = (value: number | null): string => `${formatCount(value)}/s`;
  const failed = gauges?.failedPerSecond ?? null;
  return [
    {
      id: 'checks',
      title: 'Checks',
      value: formatCount(gauges?.checksPerSecond ?? null),
      unit: '/s',
      lines: [{ name: 'checks', points: series.checks.points(end) }],
      format: rate,
    },
    {
      id: 'latency',
      title: 'Latency',
      value: formatMs(gauges?.p50Ms ?? null),
      unit: 'p50',
      aside: `${formatMs(gauges?.p99Ms ?? null)} p99`,
      lines: [
        { name: 'p99', points: series.p99.points(end) },
        { name: 'p50', points: series.p50.points(end) },
      ],
      format: formatMs,
    },
    {
      id: 'in-flight',
      title: 'In flight',
      value: formatCount(gauges?.inFlight ?? null),
      unit: '',
      lines: [{ name: 'in flight', points: series.inFlight.points(end) }],
      format: formatCount,
    },
    {
      id: 'failed',
      title: 'Failed',
      value: formatCount(failed),
      unit: '/s',
      lines: [{ name: 'failed', points: series.failed.points(end) }],
      format: rate,
      isAlarming: failed !== null && failed > 0,
    },
  ];
}

interface MetricCardProps {
  readonly card: Card;
  /** Seconds before the end; null for none. */
  readonly hovered: number | null;
  readonly onHover: (index: number | null) => void;
}

function MetricCard({ card, hovered, onHover }: MetricCardProps): JSX.Element {
  const { id, title, value, unit, aside, lines, format, isAlarming = false } = card;
  const peak = Math.max(...lines.map(({ points }) => peakOf(points)));
  const length = lines[0]?.points.length ?? 1;
  const onMove = (event: TargetedPointerEvent<HTMLElement>): void => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    const share = Math.max(0, Math.min(1, (event.clientX - left) / Math.max(1, width)));
    onHover(Math.round(share * (length - 1)));
  };
  return (
    <div class={`metric metric-${id} ${isAlarming ? 'is-alarming' : ''} ${peak === 0 ? 'is-quiet' : ''}`}>
      <div class="metric-figures">
        <h2>{title}</h2>
        <p class="metric-value">
          {value}
          <span class="unit">{unit}</span>
          {aside !== undefined && <span class="aside">{aside}</span>}
        </p>
      </div>
      <figure
        class="spark"
        role="img"
        aria-label={`${title} over the last ${length} seconds, at most ${format(peak)}`}
        onPointerMove={onMove}
        onPointerLeave={() => onHover(null)}
      >
        <Spark lines={lines} peak={peak} />
        {hovered !== null && <Hover lines={lines} index={hovered} length={length} format={format} />}
        <figcaption>{hovered === null && peak > 0 ? `peak ${format(peak)}` : ''}</figcaption>
      </figure>
    </div>
  );
}

function Spark({ lines, peak }: { readonly lines: readonly Line[]; readonly peak: number }): JSX.Element {
  const { width, height } = SPARK_BOX;
  // Room above, so that a peak is not cut.
  const scale = { peak: peak * 1.08 };
  return (
    <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      {lines.map(({ name, points }, index) => (
        <g key={name} class={`spark-line spark-line-${index}`}>
          <path class="spark-area" d={sparkArea(points, scale.peak)} />
          <path class="spark-stroke" d={sparkPath(points, scale.peak)} vector-effect="non-scaling-stroke" />
        </g>
      ))}
    </svg>
  );
}

interface HoverProps {
  readonly lines: readonly Line[];
  readonly index: number;
  readonly length: number;
  readonly format: (value: number | null) => string;
}

function Hover({ lines, index, length, format }: HoverProps): JSX.Element {
  const share = index / Math.max(1, length - 1);
  const values = lines.map(({ name, points }) =>
    lines.length === 1 ? format(points[index] ?? null) : `${name} ${format(points[index] ?? null)}`,
  );
  return (
    <>
      <span class="spark-cursor" style={{ left: `${share * 100}%` }} />
      <span class={`spark-tip ${share > 0.5 ? 'is-left' : ''}`} style={{ left: `${share * 100}%` }}>
        {values.join(' · ')} <i>−{length - 1 - index} s</i>
      </span>
    </>
  );
}
