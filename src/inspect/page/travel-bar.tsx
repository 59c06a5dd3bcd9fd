/** The past: a slider over the transitions that are held, and steps between them. */

import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { formatClock, formatSpan } from './format.js';
import { IconButton } from './icons.js';
import type { Model } from './model.js';
import { type Tone, toneOfState, topState, worstTone } from './tones.js';
import { type Cursor, step, stopIndex, stops, travelTo } from './travel.js';
import type { Entry } from './entries.js';

/** Columns of the picture behind the slider. */
const COLUMNS = 160;

export interface TravelBarProps {
  readonly model: Model;
  readonly cursor: Cursor | null;
  readonly onTravel: (cursor: Cursor | null) => void;
}

export function TravelBar({ model, cursor, onTravel }: TravelBarProps): JSX.Element {
  const total = model.entries.dropped + model.entries.length;
  const all = useMemo(() => stops(model.entries, cursor), [total, cursor?.heldSequence]);
  const index = stopIndex(all, cursor);
  const stop = all[index];
  const isRecording = model.mode === 'recording';
  const seek = (to: number): void => {
    const entry = all[to];
    if (entry !== undefined) onTravel(travelTo(model, cursor, entry));
  };
  return (
    <section class={`travel-bar ${cursor === null ? '' : 'is-past'}`} aria-label="Time travel">
      <div class="travel-buttons">
        <IconButton
          icon="first"
          label="To the first transition that is held"
          isDisabled={index <= 0}
          onClick={() => seek(0)}
        />
        <IconButton
          icon="back"
          label="Back by one transition ([)"
          isDisabled={all.length === 0 || (index <= 0 && cursor !== null)}
          onClick={() => onTravel(step(model, cursor, -1))}
        />
        <IconButton
          icon="forward"
          label="On by one transition (])"
          isDisabled={cursor === null || index >= all.length - 1}
          onClick={() => onTravel(step(model, cursor, 1))}
        />
      </div>
      <div class="travel-track">
        <Density entries={all} />
        <input
          type="range"
          min={0}
          max={Math.max(0, all.length - 1)}
          value={Math.max(0, index)}
          disabled={all.length === 0}
          aria-label="Transition"
          aria-valuetext={stop === undefined ? 'none' : textOf(stop)}
          onInput={(event) => seek(event.currentTarget.valueAsNumber)}
        />
      </div>
      <p class="travel-where" role="status">
        {all.length === 0 ? (
          'no transitions yet'
        ) : cursor === null ? (
          <Present count={all.length} />
        ) : (
          <Past {...{ stop, index, count: all.length, cursor, isRecording }} />
        )}
      </p>
      {!isRecording && (
        <button
          type="button"
          class="button live-button"
          aria-pressed={cursor === null}
          disabled={cursor === null}
          title="Back to live (L)"
          onClick={() => onTravel(null)}
        >
          {cursor === null ? 'Live' : 'Back to live'}
        </button>
      )}
    </section>
  );
}

function Present({ count }: { readonly count: number }): JSX.Element {
  return (
    <>
      <b>{count}</b> transitions held
    </>
  );
}

interface PastProps {
  readonly stop: Entry | undefined;
  readonly index: number;
  readonly count: number;
  readonly cursor: Cursor;
  readonly isRecording: boolean;
}

function Past({ stop, index, count, cursor, isRecording }: PastProps): JSX.Element {
  const ago = isRecording ? formatClock(cursor.at) : `${formatSpan(cursor.heldAt - cursor.at)} before`;
  return (
    <>
      <b>
        {index + 1} / {count}
      </b>{' '}
      <span class="travel-ago">{ago}</span> {stop !== undefined && <span class="travel-stop">{textOf(stop)}</span>}
    </>
  );
}

function textOf(entry: Entry): string {
  if (entry.kind === 'event') return entry.event.name;
  return `${entry.actor.replace(/^endpoint:/, '')} → ${entry.transition.to.join(', ')}`;
}

/** Where something went wrong: each column has the tone of the worst in it. */
function Density({ entries }: { readonly entries: readonly Entry[] }): JSX.Element {
  const columns = useMemo(() => columnsOf(entries), [entries]);
  return (
    <svg class="density" viewBox={`0 0 ${columns.length} 1`} preserveAspectRatio="none" aria-hidden="true">
      {columns.map((tone, index) => (
        <rect key={index} class={`tone-${tone}`} x={index} y="0" width="1" height="1" />
      ))}
    </svg>
  );
}

function columnsOf(entries: readonly Entry[]): Tone[] {
  const count = Math.min(COLUMNS, entries.length);
  const size = entries.length / Math.max(1, count);
  return Array.from({ length: count }, (_, column) =>
    worstTone(
      entries
        .slice(Math.floor(column * size), Math.floor((column + 1) * size))
        .flatMap((each) =>
          each.kind === 'transition' ? [toneOfState(each.transition.machine, topState(each.transition.to))] : [],
        ),
    ),
  );
}
