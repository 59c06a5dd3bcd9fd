/** The chosen actor: its statechart, what it remembers, what it did last. */

import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { ActorView, ChartView, TransitionView } from '../protocol.js';
import { Chart } from './chart.js';
import { findEdge } from './chart-edge.js';
import { lastTransitionsOf } from './entries.js';
import { formatClock, formatEvent, formatSpan, formatValue } from './format.js';
import { IconButton } from './icons.js';
import { Chip, Mark } from './marks.js';
import type { Model } from './model.js';
import { toneOf, toneOfState, topState } from './tones.js';
import type { Cursor, Scene } from './travel.js';

const SHOWN_TRANSITIONS = 8;

export interface ActorPanelProps {
  readonly model: Model;
  readonly scene: Scene;
  readonly selected: string;
  readonly charts: ChartsState;
  readonly cursor: Cursor | null;
  readonly isLarge: boolean;
  readonly onEnlarge: () => void;
  readonly onTravel: (transition: TransitionView) => void;
}

export type ChartsState =
  | { readonly kind: 'loading' }
  | { readonly kind: 'failed' }
  | { readonly kind: 'loaded'; readonly charts: Readonly<Record<string, ChartView>> };

export function ActorPanel(props: ActorPanelProps): JSX.Element {
  const { model, scene, selected, charts, cursor, isLarge, onEnlarge, onTravel } = props;
  const { actor, isGone } = find(model, scene, selected);
  const upTo = cursor?.sequence;
  const transitions = useMemo(
    () => lastTransitionsOf(model.entries, selected, SHOWN_TRANSITIONS, upTo),
    [model.lastSequence, selected, upTo],
  );
  if (actor === undefined) {
    return (
      <section class="panel actor-panel" aria-label="Actor">
        <header class="panel-head">
          <h2>Actor</h2>
        </header>
        <p class="empty">
          {scene.isPast ? `${selected} did not exist at this moment.` : 'Choose an actor to see its statechart.'}
        </p>
      </section>
    );
  }
  return (
    <section class="panel actor-panel" aria-label={`Actor ${actor.id}`}>
      <header class="panel-head">
        <h2 class="actor-title">{actor.id}</h2>
        <Chip tone={toneOf(actor)} active={actor.active} />
        {isGone && <span class="note-chip">gone</span>}
        <p class="panel-note">{actor.machine} statechart</p>
        <IconButton
          icon={isLarge ? 'shrink' : 'expand'}
          label={isLarge ? 'A smaller chart (C)' : 'A larger chart (C)'}
          onClick={onEnlarge}
          class="enlarge"
        />
      </header>
      <div class="actor-body">
        <div class="chart-frame">
          <ActorChart actor={actor} charts={charts} last={transitions[0]} />
        </div>
        <div class="actor-side" tabIndex={0} role="region" aria-label="Context and last transitions">
          <Transitions transitions={transitions} at={scene.at} current={cursor?.sequence} onTravel={onTravel} />
          <Context actor={actor} isPast={scene.isPast} />
        </div>
      </div>
    </section>
  );
}

function find(
  model: Model,
  scene: Scene,
  selected: string,
): { readonly actor: ActorView | undefined; readonly isGone: boolean } {
  const actor = scene.actors.get(selected);
  if (actor !== undefined || scene.isPast) return { actor, isGone: false };
  return { actor: model.gone.get(selected)?.actor, isGone: true };
}

interface ActorChartProps {
  readonly actor: ActorView;
  readonly charts: ChartsState;
  readonly last: TransitionView | undefined;
}

function ActorChart({ actor, charts, last }: ActorChartProps): JSX.Element {
  const chart =
    charts.kind === 'loaded' && Object.hasOwn(charts.charts, actor.machine) ? charts.charts[actor.machine] : undefined;
  const flash = useMemo(() => {
    const edgeId = chart === undefined || last === undefined ? null : findEdge(chart, last);
    return edgeId === null || last === undefined ? null : { edgeId, at: last.sequence };
  }, [chart, last?.sequence]);
  if (charts.kind === 'loading') return <p class="empty">Loading the statecharts…</p>;
  if (chart === undefined)
    return <p class="empty">There is no drawing of this statechart: reload the page to try again.</p>;
  return <Chart key={actor.machine} chart={chart} active={actor.active} flash={flash} />;
}

interface TransitionsProps {
  readonly transitions: readonly TransitionView[];
  readonly at: number;
  readonly current: number | undefined;
  readonly onTravel: (transition: TransitionView) => void;
}

function Transitions({ transitions, at, current, onTravel }: TransitionsProps): JSX.Element {
  return (
    <>
      <h3>Last transitions</h3>
      {transitions.length === 0 ? (
        <p class="empty is-small">None that are still held.</p>
      ) : (
        <ol class="transitions">
          {transitions.map((transition) => {
            const { sequence, machine, to, event, cause } = transition;
            return (
              <li key={sequence}>
                <button
                  type="button"
                  class={sequence === current ? 'is-current' : ''}
                  title={`${formatClock(transition.at)}: see the client as it was then`}
                  onClick={() => onTravel(transition)}
                >
                  <Mark tone={toneOfState(machine, topState(to))} size={9} />
                  <span class="transition-to">{to.join(', ')}</span>
                  <span class="transition-ago">{formatSpan(at - transition.at)}</span>
                  <span class="transition-why">
                    <b>{formatEvent(event)}</b>
                    {cause !== null && ` ${cause}`}
                  </span>
                </button>
              </li>
            );
          })}
        </ol>
      )}
    </>
  );
}

function Context({ actor, isPast }: { readonly actor: ActorView; readonly isPast: boolean }): JSX.Element {
  const fields = Object.entries(actor.context);
  const plain = fields.filter(([, value]) => !isObject(value));
  const nested = fields.filter(([, value]) => isObject(value));
  return (
    <>
      <h3>
        Context{' '}
        {isPast && (
          <span class="note-chip" title="What it remembered in the past is not recorded">
            as of its last report
          </span>
        )}
      </h3>
      {fields.length === 0 && <p class="empty is-small">It remembers nothing.</p>}
      <dl class="context">
        {plain.map(([name, value]) => (
          <Field key={name} name={name} value={value} />
        ))}
      </dl>
      {nested.map(([name, value]) => (
        <details key={name} class="context-nested">
          <summary>{name}</summary>
          <pre>{JSON.stringify(value, undefined, 2)}</pre>
        </details>
      ))}
    </>
  );
}

const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !(Array.isArray(value) && value.every((each) => !isObject(each)));

function Field({ name, value }: { readonly name: string; readonly value: unknown }): JSX.Element {
  const text =
    Array.isArray(value) && value.length === 0 ? '' : Array.isArray(value) ? value.join(', ') : formatValue(value);
  return (
    <>
      <dt>{name}</dt>
      <dd class={`value-${value === null ? 'null' : typeof value}`}>{text === '' ? <i>empty</i> : text}</dd>
    </>
  );
}
