/** A statechart, drawn: states within states, arrows with what they wait for, the active state lit. */

import type { JSX } from 'preact';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ChartEdge, ChartState, ChartTransition, ChartView } from '../protocol.js';
import { withAround } from './chart-edge.js';
import { fit, follow, mix, pan, roundedPath, type ViewBox, zoom } from './chart-view.js';
import { useSize } from './hooks.js';
import { IconButton } from './icons.js';

export interface ChartProps {
  readonly chart: ChartView;
  /** Dotted paths of the active leaves. */
  readonly active: readonly string[];
  /** The arrow that was last gone along, and when. */
  readonly flash: { readonly edgeId: string; readonly at: number } | null;
}

const ZOOM_STEP = 1.25;
const PAN_STEP = 0.12;
const GLIDE_MS = 320;
const LINE_HEIGHT = 14;
const LABEL_BASELINE = 12;

export function Chart({ chart, active, flash }: ChartProps): JSX.Element {
  const whole = useMemo(() => fit(chart.width, chart.height), [chart]);
  const [frame, screen] = useSize<HTMLDivElement>();
  // Null: the active state is followed.
  const [chosen, setChosen] = useState<ViewBox | null>(null);
  const svg = useRef<SVGSVGElement>(null);
  const followed = useMemo(
    () =>
      follow(
        whole,
        chart.states.find(({ path }) => path === active[0]),
        screen,
      ),
    [chart, active[0], screen],
  );
  const box = chosen ?? followed;
  const update = useCallback(
    (change: (box: ViewBox) => ViewBox) => setChosen((last) => change(last ?? followed)),
    [followed],
  );
  useGlide(svg, box, chosen === null);
  useWheel(svg, whole, update);
  const drag = useDrag(svg, update);
  const lit = useMemo(() => new Set(active.flatMap(withAround)), [active]);
  const leaves = new Set(active);
  const onKeyDown = (event: KeyboardEvent): void => {
    const next = KEYS[event.key];
    if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    update((current) => next(current, whole));
  };
  return (
    <div class="chart" ref={frame}>
      <svg
        ref={svg}
        class="chart-drawing"
        role="img"
        aria-label={describe(chart, active)}
        tabIndex={0}
        onKeyDown={onKeyDown}
        {...drag}
      >
        {ARROW_HEADS}
        {chart.states.map((state) => (
          <StateBox key={state.path} state={state} isActive={leaves.has(state.path)} isAround={lit.has(state.path)} />
        ))}
        {chart.edges.map((edge) => (
          <EdgeLine key={edge.id} edge={edge} isPossible={lit.has(edge.source)} />
        ))}
        {flash !== null && <Flash key={flash.at} edge={chart.edges.find(({ id }) => id === flash.edgeId)} />}
        {chart.edges.map((edge) => (
          <EdgeLabel key={edge.id} edge={edge} isPossible={lit.has(edge.source)} />
        ))}
        {chart.states
          .filter(({ kind }) => !isLeafKind(kind))
          .map((state) => (
            <Title key={state.path} state={state} isActive={leaves.has(state.path)} />
          ))}
      </svg>
      {isInPart(box, whole) && <Overview chart={chart} whole={whole} box={box} lit={lit} update={update} />}
      <div class="chart-tools" role="group" aria-label="What is seen of the chart">
        <IconButton
          label="Closer (+)"
          icon="closer"
          onClick={() => update((current) => zoom(current, 1 / ZOOM_STEP, whole))}
        />
        <IconButton
          label="Farther (-)"
          icon="farther"
          onClick={() => update((current) => zoom(current, ZOOM_STEP, whole))}
        />
        <IconButton label="The whole chart (0)" icon="whole" onClick={() => setChosen(whole)} />
        <IconButton
          label="Follow the active state"
          icon="follow"
          isPressed={chosen === null}
          onClick={() => setChosen(null)}
        />
      </div>
    </div>
  );
}

const KEYS: Readonly<Record<string, (box: ViewBox, whole: ViewBox) => ViewBox>> = {
  '+': (box, whole) => zoom(box, 1 / ZOOM_STEP, whole),
  '=': (box, whole) => zoom(box, 1 / ZOOM_STEP, whole),
  '-': (box, whole) => zoom(box, ZOOM_STEP, whole),
  '0': (_, whole) => whole,
  ArrowLeft: (box) => pan(box, PAN_STEP, 0),
  ArrowRight: (box) => pan(box, -PAN_STEP, 0),
  ArrowUp: (box) => pan(box, 0, PAN_STEP),
  ArrowDown: (box) => pan(box, 0, -PAN_STEP),
};

const isInPart = (box: ViewBox, whole: ViewBox): boolean =>
  box.width < whole.width * 0.98 || box.height < whole.height * 0.98;

interface OverviewProps {
  readonly chart: ChartView;
  readonly whole: ViewBox;
  readonly box: ViewBox;
  readonly lit: ReadonlySet<string>;
  readonly update: Update;
}

/** The whole in a corner, and what of it is seen. */
function Overview({ chart, whole, box, lit, update }: OverviewProps): JSX.Element {
  const onPointerDown = ({ clientX, clientY, currentTarget }: PointerEvent & { currentTarget: Element }): void => {
    const { left, top, width, height } = currentTarget.getBoundingClientRect();
    const x = whole.x + ((clientX - left) / width) * whole.width;
    const y = whole.y + ((clientY - top) / height) * whole.height;
    update((current) => ({ ...current, x: x - current.width / 2, y: y - current.height / 2 }));
  };
  return (
    <svg
      class="chart-overview"
      viewBox={`${whole.x} ${whole.y} ${whole.width} ${whole.height}`}
      style={{ aspectRatio: `${whole.width} / ${whole.height}` }}
      aria-hidden="true"
      onPointerDown={onPointerDown}
    >
      {chart.states.slice(1).map(({ path, x, y, width, height }) => (
        <rect key={path} class={lit.has(path) ? 'is-lit' : ''} x={x} y={y} width={width} height={height} rx={8} />
      ))}
      <rect class="chart-sight" x={box.x} y={box.y} width={box.width} height={box.height} rx={8} />
    </svg>
  );
}

const ARROW_HEADS = (
  <defs>
    {['chart-head', 'chart-head-possible', 'chart-head-flash'].map((id) => (
      <marker
        key={id}
        id={id}
        class={id}
        viewBox="0 0 8 8"
        refX="7"
        refY="4"
        markerWidth="7"
        markerHeight="7"
        orient="auto"
      >
        <path d="M0 0.8 L7.4 4 L0 7.2 Z" />
      </marker>
    ))}
  </defs>
);

interface StateBoxProps {
  readonly state: ChartState;
  readonly isActive: boolean;
  readonly isAround: boolean;
}

function StateBox({ state, isActive, isAround }: StateBoxProps): JSX.Element {
  const { x, y, width, height, label, kind, isInitial, depth } = state;
  const isLeaf = isLeafKind(kind);
  const look = [
    'chart-state',
    isLeaf ? 'is-leaf' : 'is-compound',
    depth === 0 ? 'is-whole' : '',
    mark(isActive, isAround),
  ];
  return (
    <g class={look.join(' ')} data-state={state.path}>
      <title>{tellState(state)}</title>
      <rect x={x} y={y} width={width} height={height} rx={isLeaf ? 7 : 10} />
      {isLeaf && (
        <text x={x + width / 2} y={y + height / 2 + 4.5} text-anchor="middle">
          {label}
        </text>
      )}
      {isInitial && <circle class="chart-initial" cx={x + 10} cy={isLeaf ? y + height / 2 : y + 10} r={3.5} />}
    </g>
  );
}

const isLeafKind = (kind: ChartState['kind']): boolean => kind === 'atomic' || kind === 'final';

/** Above the arrows, which may lead through where it stands. */
function Title({ state: { x, y, label, depth }, isActive }: Omit<StateBoxProps, 'isAround'>): JSX.Element {
  const look = `chart-title ${depth === 0 ? 'is-whole' : ''} ${isActive ? 'is-active' : ''}`;
  return (
    <text class={look} x={x + 14} y={y + 23}>
      {label}
    </text>
  );
}

const mark = (isActive: boolean, isAround: boolean): string => (isActive ? 'is-active' : isAround ? 'is-around' : '');

interface EdgeProps {
  readonly edge: ChartEdge;
  readonly isPossible: boolean;
}

function EdgeLine({ edge, isPossible }: EdgeProps): JSX.Element {
  const head = isPossible ? 'chart-head-possible' : 'chart-head';
  const look = isPossible ? 'chart-edge is-possible' : 'chart-edge';
  return <path class={look} d={roundedPath(edge.points)} marker-end={`url(#${head})`} data-edge={edge.id} />;
}

function EdgeLabel({ edge, isPossible }: EdgeProps): JSX.Element {
  const { lines, labelX, labelY, labelWidth, labelHeight } = edge;
  return (
    <g class={isPossible ? 'chart-label is-possible' : 'chart-label'}>
      <title>{edge.transitions.map(tellTransition).join('\n')}</title>
      <rect x={labelX} y={labelY} width={labelWidth} height={labelHeight} rx={3} />
      {lines.map((line, index) => (
        <text
          key={line}
          x={labelX + labelWidth / 2}
          y={labelY + LABEL_BASELINE + index * LINE_HEIGHT}
          text-anchor="middle"
        >
          {line}
        </text>
      ))}
    </g>
  );
}

/** Made anew for every transition, so that its animation runs anew. */
function Flash({ edge }: { readonly edge: ChartEdge | undefined }): JSX.Element | null {
  if (edge === undefined) return null;
  return (
    <path
      class="chart-flash"
      d={roundedPath(edge.points)}
      pathLength={1}
      marker-end="url(#chart-head-flash)"
      data-flash={edge.id}
    />
  );
}

// --- words --------------------------------------------------------------------------------------------------------------------

const tellTransition = ({ stimulus, guard, actions }: ChartTransition): string =>
  [stimulus, guard === '' ? '' : `[${guard}]`, actions.length === 0 ? '' : `/ ${actions.join(', ')}`]
    .filter((part) => part !== '')
    .join(' ');

function tellState({ path, promise, stays }: ChartState): string {
  const staying = stays.length === 0 ? [] : ['', 'Stays on:', ...stays.map(tellTransition)];
  return [path, promise, ...staying].filter((part, index) => part !== '' || index > 1).join('\n');
}

function describe({ machine, edges }: ChartView, active: readonly string[]): string {
  const around = new Set(active.flatMap(withAround));
  const ways = edges
    .filter(({ source }) => source === '' || around.has(source))
    .map(({ lines, target }) => `${lines.join(' or ')} to ${target}`);
  const where = active.length === 0 ? 'in no state' : `in ${active.join(' and ')}`;
  return `Statechart of ${machine}, ${where}. ${ways.length === 0 ? 'Nothing leads on.' : `From here: ${ways.join('; ')}.`}`;
}

// --- moving about -------------------------------------------------------------------------------------------------------------

/** Moves what is seen to `box`: gliding, or at once. */
function useGlide(svg: { readonly current: SVGSVGElement | null }, box: ViewBox, isGliding: boolean): void {
  const shown = useRef<ViewBox | null>(null);
  useLayoutEffect(() => {
    const show = (next: ViewBox): void => {
      shown.current = next;
      svg.current?.setAttribute('viewBox', `${next.x} ${next.y} ${next.width} ${next.height}`);
    };
    const from = shown.current;
    if (from === null || !isGliding || matchMedia('(prefers-reduced-motion: reduce)').matches) {
      show(box);
      return undefined;
    }
    const startedAt = performance.now();
    let request = requestAnimationFrame(function step(now) {
      const share = Math.min(1, Math.max(0, (now - startedAt) / GLIDE_MS));
      show(mix(from, box, 1 - (1 - share) ** 3));
      if (share < 1) request = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(request);
  }, [box, isGliding]);
}

type Update = (change: (box: ViewBox) => ViewBox) => void;

type PointerListener = (event: PointerEvent) => void;

interface PointerListeners {
  readonly onPointerDown: PointerListener;
  readonly onPointerMove: PointerListener;
  readonly onPointerUp: PointerListener;
  readonly onPointerCancel: PointerListener;
}

function useDrag(svg: { readonly current: SVGSVGElement | null }, update: Update): PointerListeners {
  const last = useRef<{ readonly x: number; readonly y: number } | null>(null);
  const stop = (): void => {
    last.current = null;
  };
  return {
    onPointerDown: (event) => {
      last.current = { x: event.clientX, y: event.clientY };
      svg.current?.setPointerCapture(event.pointerId);
    },
    onPointerMove: (event) => {
      const from = last.current;
      if (from === null || svg.current === null) return;
      const scale = scaleOf(svg.current);
      const [dx, dy] = [(event.clientX - from.x) / scale, (event.clientY - from.y) / scale];
      last.current = { x: event.clientX, y: event.clientY };
      update((box) => ({ ...box, x: box.x - dx, y: box.y - dy }));
    },
    onPointerUp: stop,
    onPointerCancel: stop,
  };
}

/** Screen pixels for one of the drawing's: the same both ways. */
const scaleOf = (svg: SVGSVGElement): number => svg.getScreenCTM()?.a ?? 1;

/** By hand, for preact's listeners of the wheel cannot keep the page from scrolling. */
function useWheel(svg: { readonly current: SVGSVGElement | null }, whole: ViewBox, update: Update): void {
  useEffect(() => {
    const element = svg.current;
    const onWheel = (event: WheelEvent): void => {
      event.preventDefault();
      const { left, top, width, height } = element?.getBoundingClientRect() ?? new DOMRect();
      const [atX, atY] = [(event.clientX - left) / width, (event.clientY - top) / height];
      update((box) => zoom(box, Math.exp(event.deltaY / 600), whole, atX, atY));
    };
    element?.addEventListener('wheel', onWheel, { passive: false });
    return () => element?.removeEventListener('wheel', onWheel);
  }, [whole, update]);
}
