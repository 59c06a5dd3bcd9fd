/** All actors, searchable; only the rows in sight are drawn. */

import type { JSX, TargetedKeyboardEvent } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { plural } from './format.js';
import { Icon } from './icons.js';
import { Mark } from './marks.js';
import { SearchField } from './search-field.js';
import { countTones, type Tone, topState } from './tones.js';
import { type Forest, moveInTree, type TreeKey, type TreeRow, treeRows } from './tree.js';
import type { Scene } from './travel.js';
import type { Ui, UiAction } from './ui.js';
import { VirtualList } from './virtual-list.js';

const ROW_HEIGHT = 28;
const KEYS: ReadonlySet<string> = new Set<TreeKey>([
  'ArrowUp',
  'ArrowDown',
  'ArrowLeft',
  'ArrowRight',
  'Home',
  'End',
  'PageUp',
  'PageDown',
]);

export interface TreePanelProps {
  readonly scene: Scene;
  readonly forest: Forest;
  readonly ui: Ui;
  readonly dispatch: (action: UiAction) => void;
}

export function TreePanel({ scene, forest, ui, dispatch }: TreePanelProps): JSX.Element {
  const { treeQuery: query, expanded, selected } = ui;
  const rows = useMemo(
    () => treeRows(scene.actors, forest, { query, expanded }),
    [scene.revision, forest, query, expanded],
  );
  const [focused, setFocused] = useState(selected);
  useEffect(() => setFocused(selected), [selected]);
  const focusedIndex = rows.findIndex(({ actor }) => actor.id === focused);

  const onKeyDown = (event: TargetedKeyboardEvent<HTMLDivElement>): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Enter') {
      if (focusedIndex !== -1) dispatch({ type: 'select', actor: focused });
    } else if (KEYS.has(event.key)) {
      const move = moveInTree(rows, focused, event.key as TreeKey);
      if (move === null) return;
      setFocused(move.focus);
      if (move.expand !== null) dispatch({ type: 'expand', actor: move.focus, isExpanded: move.expand });
    } else return;
    event.preventDefault();
  };

  return (
    <section class="panel tree-panel" aria-label="Actors">
      <header class="panel-head">
        <h2>Actors</h2>
        <span class="count">{scene.actors.size}</span>
        <ToneCounts scene={scene} />
      </header>
      <SearchField
        id="tree-search"
        label="Search actors by name or state"
        placeholder="Search actors"
        shortcut="/"
        value={query}
        onInput={(value) => dispatch({ type: 'searchTree', query: value })}
      />
      {rows.length === 0 ? (
        <p class="empty">{query === '' ? 'No actors yet.' : `No actor's name or state has “${query}”.`}</p>
      ) : (
        <VirtualList
          class="tree"
          count={rows.length}
          rowHeight={ROW_HEIGHT}
          reveal={focusedIndex}
          attributes={{
            role: 'tree',
            tabIndex: 0,
            'aria-label': `Actors, ${plural(rows.length, 'row')}`,
            'aria-activedescendant': focusedIndex === -1 ? undefined : rowId(focused),
            onKeyDown,
          }}
          renderRow={(index) => {
            const row = rows[index];
            return row === undefined ? null : (
              <Row
                key={row.actor.id}
                row={row}
                isSelected={row.actor.id === selected}
                isFocused={row.actor.id === focused}
                dispatch={dispatch}
              />
            );
          }}
        />
      )}
    </section>
  );
}

const rowId = (actor: string): string => `actor-${actor}`;

interface RowProps {
  readonly row: TreeRow;
  readonly isSelected: boolean;
  readonly isFocused: boolean;
  readonly dispatch: (action: UiAction) => void;
}

function Row({ row, isSelected, isFocused, dispatch }: RowProps): JSX.Element {
  const { actor, tone, level, position, siblings, children, isExpanded } = row;
  return (
    <div
      id={rowId(actor.id)}
      role="treeitem"
      class={`tree-row ${isSelected ? 'is-selected' : ''} ${isFocused ? 'is-focused' : ''}`}
      aria-level={level}
      aria-posinset={position}
      aria-setsize={siblings}
      aria-selected={isSelected}
      aria-expanded={children > 0 ? isExpanded : undefined}
      title={`${actor.id}: ${actor.active.join(', ')}`}
      onClick={() => dispatch({ type: 'select', actor: actor.id })}
    >
      <span class="indent" style={{ width: `${(level - 1) * 12}px` }} />
      {children > 0 ? (
        <span
          class={`twisty ${isExpanded ? 'is-open' : ''}`}
          onClick={(event) => {
            event.stopPropagation();
            dispatch({ type: 'expand', actor: actor.id, isExpanded: !isExpanded });
          }}
        >
          <Icon name="twisty" size={12} />
        </span>
      ) : (
        <span class="twisty" />
      )}
      <Mark tone={tone} size={10} />
      <span class="tree-name">{shortName(actor.id)}</span>
      {children > 0 && !isExpanded && <span class="count">{children}</span>}
      <span class={`tree-state tone-${tone}`}>{topState(actor.active)}</span>
    </div>
  );
}

/** An endpoint is known by its address, which says enough. */
const shortName = (id: string): string => id.replace(/^endpoint:/, '');

const COUNTED: readonly (readonly [Tone, string])[] = [
  ['bad', 'not working'],
  ['warn', 'not as they should be'],
  ['busy', 'changing'],
];

/** How many there are that call for attention. */
function ToneCounts({ scene }: { readonly scene: Scene }): JSX.Element {
  const counts = useMemo(() => countTones(scene.actors.values()), [scene.revision]);
  return (
    <span class="tone-counts">
      {COUNTED.filter(([tone]) => counts[tone] > 0).map(([tone, meaning]) => (
        <span key={tone} class={`tone-count tone-${tone}`} title={`${counts[tone]} ${meaning}`}>
          <Mark tone={tone} size={9} />
          {counts[tone]}
        </span>
      ))}
    </span>
  );
}
