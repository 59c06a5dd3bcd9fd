/** The way of the checks: client, endpoints, connections, streams, and what flows between them. */

import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { formatCount, formatMs, formatSpan } from './format.js';
import { HEALTH_SPAN_MS } from './health.js';
import { useFlow } from './flow.js';
import { useSize } from './hooks.js';
import { Mark } from './marks.js';
import type { Model } from './model.js';
import { toneOfState, topState } from './tones.js';
import { flowSpeed, layOutTopology, linkPath, linkWidth, type Topology, type TopologyNode } from './topology.js';
import type { Forest } from './tree.js';
import type { Scene } from './travel.js';
import type { UiAction } from './ui.js';

export interface TopologyPanelProps {
  readonly model: Model;
  readonly scene: Scene;
  readonly forest: Forest;
  readonly selected: string;
  readonly dispatch: (action: UiAction) => void;
}

export function TopologyPanel({ model, scene, forest, selected, dispatch }: TopologyPanelProps): JSX.Element {
  const [ref, size] = useSize<HTMLDivElement>();
  // Drawn anew with every message: the rates are in it.
  const topology = size.width === 0 ? null : layOutTopology(scene, forest, size);
  const peak = model.peakChecksPerSecond(scene.at);
  const isEmpty = topology !== null && topology.nodes.every(({ kind }) => kind === 'client');
  return (
    <section class="panel topology-panel" aria-label="Topology">
      <header class="panel-head">
        <h2>Topology</h2>
        <p class="panel-note">checks flow from left to right</p>
      </header>
      <div class="topology-scroll" ref={ref}>
        <div class="topology">
          {topology !== null && !isEmpty && (
            <Canvas
              topology={topology}
              peak={peak}
              model={model}
              scene={scene}
              selected={selected}
              dispatch={dispatch}
            />
          )}
          {isEmpty && <p class="empty">{emptyText(scene)}</p>}
        </div>
      </div>
    </section>
  );
}

function emptyText({ actors }: Scene): string {
  const state = topState(actors.get('client')?.active ?? []);
  if (state === 'closed') return 'The client is closed: it has no endpoints any more.';
  return 'No endpoints yet: they come when the client connects.';
}

interface CanvasProps extends Omit<TopologyPanelProps, 'forest'> {
  readonly topology: Topology;
  readonly peak: number;
}

function Canvas({ topology, peak, model, scene, selected, dispatch }: CanvasProps): JSX.Element {
  const { width, height, isCompact, nodes, links, captions } = topology;
  return (
    <div
      class={`topology-canvas ${isCompact ? 'is-compact' : ''}`}
      style={{ width: `${width}px`, height: `${height}px` }}
    >
      <Links topology={topology} peak={peak} isPast={scene.isPast} />
      {captions.map(({ level, x, y, width: captionWidth, isActive }) => (
        <p key={level} class={`level ${isActive ? 'is-active' : ''}`} style={place(x, y, captionWidth)}>
          {level === 0 ? 'primary' : `fallback ${level}`}
          {isActive && <b>carries traffic</b>}
        </p>
      ))}
      {nodes.map((node) => (
        <Node
          key={node.id}
          node={node}
          model={model}
          scene={scene}
          isSelected={node.id === selected}
          dispatch={dispatch}
        />
      ))}
      {links
        .filter(({ isTrunk, checksPerSecond }) => isTrunk && checksPerSecond > 0)
        .map(({ id, from, to, checksPerSecond }) => (
          <span
            key={id}
            class="rate-tag"
            style={{ left: `${(from[0] + to[0]) / 2}px`, top: `${(from[1] + to[1]) / 2}px` }}
          >
            {formatCount(checksPerSecond)}/s
          </span>
        ))}
    </div>
  );
}

const px = (value: number): string => `${value.toFixed(1)}px`;

const place = (x: number, y: number, width: number, height?: number): Record<string, string> => ({
  left: px(x),
  top: px(y),
  width: px(width),
  ...(height === undefined ? {} : { height: px(height) }),
});

interface LinksProps {
  readonly topology: Topology;
  readonly peak: number;
  readonly isPast: boolean;
}

const SPEEDS = [1, 2, 3] as const;

function Links({ topology, peak, isPast }: LinksProps): JSX.Element {
  const { width, height, links } = topology;
  const flows = useFlow();
  return (
    <svg class="links" width={width} height={height} aria-hidden="true">
      {links.map((link) => (
        <path
          key={link.id}
          class={`link tone-${link.tone} ${link.checksPerSecond > 0 ? 'is-flowing' : ''}`}
          d={linkPath(link)}
          style={{ strokeWidth: px(linkWidth(link.checksPerSecond, peak)) }}
        />
      ))}
      {SPEEDS.map((speed) => (
        <g key={speed} class="flow" ref={flows[speed]}>
          {!isPast &&
            links
              .filter(({ checksPerSecond }) => flowSpeed(checksPerSecond, peak) === speed)
              .map((link) => <path key={link.id} class={`tone-${link.tone}`} d={linkPath(link)} />)}
        </g>
      ))}
    </svg>
  );
}

interface NodeProps {
  readonly node: TopologyNode;
  readonly model: Model;
  readonly scene: Scene;
  readonly isSelected: boolean;
  readonly dispatch: (action: UiAction) => void;
}

function Node({ node, model, scene, isSelected, dispatch }: NodeProps): JSX.Element {
  const { id, kind, x, y, width, height, tone, label, actor, endpoint } = node;
  const style = place(x, y, width, height);
  const classes = `node node-${kind} tone-${tone} ${isSelected ? 'is-selected' : ''} ${endpoint?.isActive === true ? 'is-active' : ''}`;
  if (actor === undefined) {
    return (
      <div class={classes} style={style} title={label}>
        <Mark tone={tone} size={9} />
        <span class="node-label">
          {(node.attention ?? 0) > 0 && <b>{node.attention} of </b>}
          {label}
        </span>
        <Rate checksPerSecond={node.checksPerSecond} />
      </div>
    );
  }
  return (
    <button
      type="button"
      class={classes}
      style={style}
      title={`${id}: ${actor.active.join(', ')}`}
      aria-pressed={isSelected}
      onClick={() => dispatch({ type: 'select', actor: id })}
    >
      {kind === 'client' && <ClientFace node={node} scene={scene} />}
      {kind === 'endpoint' && <EndpointFace node={node} model={model} scene={scene} />}
      {kind === 'connection' && <ConnectionFace node={node} />}
      {kind === 'stream' && <StreamFace node={node} />}
    </button>
  );
}

function ClientFace({ node, scene }: { readonly node: TopologyNode; readonly scene: Scene }): JSX.Element {
  const { tone, actor } = node;
  const { gauges } = scene;
  return (
    <>
      <span class="node-line">
        <Mark tone={tone} />
        <span class="node-label">client</span>
      </span>
      <span class="node-state">{topState(actor?.active ?? [])}</span>
      {gauges !== null && (
        <>
          <span class="node-figure">
            {formatCount(gauges.checksPerSecond)}
            <small>/s</small>
          </span>
          <span class="node-small">
            {formatCount(gauges.inFlight)}
            <i> in flight</i>
          </span>
          <span class="node-small">
            <i>p50 </i>
            {formatMs(gauges.p50Ms)}
          </span>
          <span class="node-small">
            <i>p99 </i>
            {formatMs(gauges.p99Ms)}
          </span>
        </>
      )}
    </>
  );
}

interface EndpointFaceProps {
  readonly node: TopologyNode;
  readonly model: Model;
  readonly scene: Scene;
}

function EndpointFace({ node, model, scene }: EndpointFaceProps): JSX.Element {
  const { id, tone, label, actor, checksPerSecond } = node;
  return (
    <>
      <span class="node-line">
        <Mark tone={tone} />
        <span class="node-label mono">{label}</span>
      </span>
      <span class="node-line">
        <span class="node-state">{topState(actor?.active ?? [])}</span>
        <Rate checksPerSecond={checksPerSecond} />
      </span>
      <HealthStrip actor={id} model={model} at={scene.at} />
    </>
  );
}

function Rate({ checksPerSecond }: { readonly checksPerSecond: number | null }): JSX.Element | null {
  if (checksPerSecond === null) return null;
  return <span class="node-rate">{formatCount(checksPerSecond)}/s</span>;
}

function HealthStrip({
  actor,
  model,
  at,
}: {
  readonly actor: string;
  readonly model: Model;
  readonly at: number;
}): JSX.Element {
  const segments = useMemo(() => model.health.segments(actor, at, HEALTH_SPAN_MS), [actor, at]);
  const told = segments.map(({ from, to, state }) => `${state} for ${formatSpan((to - from) * HEALTH_SPAN_MS)}`);
  return (
    <span
      class="health"
      role="img"
      aria-label={`Its last ${formatSpan(HEALTH_SPAN_MS)}: ${told.join(', ')}`}
      title={`The last ${formatSpan(HEALTH_SPAN_MS)}: ${told.join(', ')}`}
    >
      {segments.map(({ from, to, state }) => (
        <i
          key={from}
          class={`tone-${toneOfState('endpoint', state)}`}
          style={{ left: `${from * 100}%`, width: `${(to - from) * 100}%` }}
        />
      ))}
    </span>
  );
}

function ConnectionFace({ node }: { readonly node: TopologyNode }): JSX.Element {
  const { tone, label, actor, checksPerSecond, inFlight = null } = node;
  const isCarrying = checksPerSecond !== null && (tone === 'ok' || checksPerSecond > 0);
  return (
    <>
      <span class="node-line">
        <Mark tone={tone} size={10} />
        <span class="node-label">{label}</span>
      </span>
      {isCarrying ? (
        <span class="node-small">
          {formatCount(checksPerSecond)}/s<i> · {formatCount(inFlight)} in flight</i>
        </span>
      ) : (
        <span class="node-state">{topState(actor?.active ?? [])}</span>
      )}
    </>
  );
}

function StreamFace({ node }: { readonly node: TopologyNode }): JSX.Element {
  const { tone, label, checksPerSecond, queue } = node;
  return (
    <>
      <Mark tone={tone} size={9} />
      <span class="node-label">{label}</span>
      {queue !== undefined && <QueueBar {...queue} />}
      <Rate checksPerSecond={checksPerSecond} />
    </>
  );
}

/** How full a queue is drawn, up to a little beyond its high mark. */
function QueueBar({ queued, low, high }: NonNullable<TopologyNode['queue']>): JSX.Element {
  const full = Math.max(1, high * 1.15);
  const share = (value: number): string => `${(Math.min(1, value / full) * 100).toFixed(1)}%`;
  const tone = queued >= high ? 'bad' : queued > low ? 'warn' : 'ok';
  const text = `${queued} queued; marks at ${low} and ${high}`;
  return (
    <span class="queue" role="img" aria-label={text} title={text}>
      <i class={`queue-fill tone-${tone}`} style={{ width: share(queued) }} />
      <i class="queue-mark" style={{ left: share(low) }} />
      <i class="queue-mark is-high" style={{ left: share(high) }} />
    </span>
  );
}
