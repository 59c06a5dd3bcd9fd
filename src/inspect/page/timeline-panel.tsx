/** Transitions and events, newest first. */

import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { type Entry, type EntryFilter, filterEntries } from './entries.js';
import { formatClock, formatEvent, plural } from './format.js';
import { Icon } from './icons.js';
import { Mark } from './marks.js';
import type { Model } from './model.js';
import { SearchField } from './search-field.js';
import { toneOfState, topState } from './tones.js';
import type { Cursor } from './travel.js';
import { heldEntries, isAfter } from './travel.js';
import type { Ui, UiAction } from './ui.js';
import { VirtualList } from './virtual-list.js';

const ROW_HEIGHT = 46;

const KINDS: readonly (readonly [EntryFilter['kind'], string])[] = [
  ['all', 'All'],
  ['transition', 'Transitions'],
  ['event', 'Events'],
];

export interface TimelinePanelProps {
  readonly model: Model;
  readonly ui: Ui;
  readonly dispatch: (action: UiAction) => void;
  readonly onTravel: (entry: Entry) => void;
}

export function TimelinePanel({ model, ui, dispatch, onTravel }: TimelinePanelProps): JSX.Element {
  const { filter, cursor, selected } = ui;
  const total = model.entries.dropped + model.entries.length;
  const held = useMemo(() => heldEntries(model.entries, cursor), [total, cursor?.heldAt, cursor?.heldSequence]);
  const actor = filter.isOfSelected ? selected : null;
  const shown = useMemo(
    () => filterEntries(held, { query: filter.query, kind: filter.kind, actor }),
    [held, filter.query, filter.kind, actor],
  );
  const waiting = model.entries.length - held.length;
  const isFiltered = shown.length < held.length;
  return (
    <section class="panel timeline-panel" aria-label="Timeline">
      <header class="panel-head">
        <h2>Timeline</h2>
        <span class="count">{isFiltered ? `${shown.length} of ${held.length}` : held.length}</span>
        {waiting > 0 && (
          <button type="button" class="newer" onClick={() => dispatch({ type: 'travel', cursor: null })}>
            {waiting} newer
          </button>
        )}
      </header>
      <div class="timeline-tools">
        <SearchField
          id="timeline-search"
          label="Filter the timeline by words"
          placeholder="Filter by state, event, cause"
          shortcut="f"
          value={filter.query}
          onInput={(query) => dispatch({ type: 'filter', change: { query } })}
        />
        <div class="segments" role="group" aria-label="What is listed">
          {KINDS.map(([kind, label]) => (
            <button
              key={kind}
              type="button"
              aria-pressed={filter.kind === kind}
              onClick={() => dispatch({ type: 'filter', change: { kind } })}
            >
              {label}
            </button>
          ))}
          <button
            type="button"
            class="only"
            aria-pressed={filter.isOfSelected}
            title={`Only what is of ${selected}`}
            onClick={() => dispatch({ type: 'filter', change: { isOfSelected: !filter.isOfSelected } })}
          >
            Only {selected.replace(/^endpoint:/, '')}
          </button>
        </div>
      </div>
      {shown.length === 0 ? (
        <p class="empty">{isFiltered ? 'Nothing that is held fits the filter.' : 'Nothing has happened yet.'}</p>
      ) : (
        <VirtualList
          // With another filter it is another list, read from its top.
          key={`${filter.kind} ${actor ?? ''} ${filter.query}`}
          class="timeline"
          count={shown.length}
          rowHeight={ROW_HEIGHT}
          prepended={isFiltered ? shown.length : model.entries.dropped + held.length}
          attributes={{ role: 'list', tabIndex: 0, 'aria-label': plural(shown.length, 'entry', 'entries') }}
          renderRow={(index) => {
            // Newest first.
            const entry = shown[shown.length - 1 - index];
            return entry === undefined ? null : (
              <Row key={keyOf(entry)} entry={entry} cursor={cursor} onTravel={onTravel} dispatch={dispatch} />
            );
          }}
        />
      )}
    </section>
  );
}

const keyOf = (entry: Entry): string =>
  entry.kind === 'event' ? `e${entry.event.sequence}` : `t${entry.transition.sequence}`;

interface RowProps {
  readonly entry: Entry;
  readonly cursor: Cursor | null;
  readonly onTravel: (entry: Entry) => void;
  readonly dispatch: (action: UiAction) => void;
}

function Row({ entry, cursor, onTravel, dispatch }: RowProps): JSX.Element {
  const isCurrent = cursor !== null && entry.kind === 'transition' && entry.transition.sequence === cursor.sequence;
  const isLater = cursor !== null && isAfter(entry, cursor);
  return (
    <div role="listitem" class={`entry ${isCurrent ? 'is-current' : ''} ${isLater ? 'is-later' : ''}`}>
      <button
        type="button"
        title="See the client as it was then"
        onClick={() => {
          onTravel(entry);
          if (entry.actor !== null) dispatch({ type: 'select', actor: entry.actor });
        }}
      >
        {entry.kind === 'transition' ? <TransitionFace entry={entry} /> : <EventFace entry={entry} />}
      </button>
    </div>
  );
}

function TransitionFace({ entry }: { readonly entry: Extract<Entry, { kind: 'transition' }> }): JSX.Element {
  const { machine, from, to, event, cause } = entry.transition;
  const stays = from.join() === to.join();
  return (
    <>
      <Mark tone={toneOfState(machine, topState(to))} size={10} />
      <span class="entry-line">
        <span class="entry-actor">{entry.actor.replace(/^endpoint:/, '')}</span>
        <span class="entry-move">
          {!stays && from.length > 0 && <span class="entry-from">{from.join(', ')}</span>}
          <span class="arrow">{stays ? '↻' : '→'}</span>
          <b class={`tone-${toneOfState(machine, topState(to))}`}>{to.join(', ')}</b>
        </span>
      </span>
      <span class="entry-why" title={cause ?? undefined}>
        <code>{formatEvent(event)}</code>
        {cause !== null && <span>{cause}</span>}
      </span>
      <time>{formatClock(entry.at)}</time>
    </>
  );
}

function EventFace({ entry }: { readonly entry: Extract<Entry, { kind: 'event' }> }): JSX.Element {
  return (
    <>
      <span class="entry-bell">
        <Icon name="event" size={12} />
      </span>
      <span class="entry-line">
        <span class="entry-event">{entry.event.name}</span>
      </span>
      <span class="entry-why" title={entry.detail}>
        {entry.detail}
      </span>
      <time>{formatClock(entry.at)}</time>
    </>
  );
}
