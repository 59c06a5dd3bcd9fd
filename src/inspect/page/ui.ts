/** What whoever looks has chosen: pure, so that it is tested without a browser. */

import type { EntryFilter } from './entries.js';
import { ROOT } from './tree.js';
import type { Cursor } from './travel.js';

export type Tab = 'actors' | 'topology' | 'actor' | 'timeline';
export type Theme = 'auto' | 'dark' | 'light';

export interface Ui {
  /** The chosen actor. */
  readonly selected: string;
  /** Null: the present. */
  readonly cursor: Cursor | null;
  readonly treeQuery: string;
  /** Actors that were opened or closed by hand. */
  readonly expanded: ReadonlyMap<string, boolean>;
  readonly filter: Omit<EntryFilter, 'actor'> & { readonly isOfSelected: boolean };
  /** Of a narrow screen. */
  readonly tab: Tab;
  readonly theme: Theme;
  readonly isHelpOpen: boolean;
  /** The chart has the room of topology and timeline, too. */
  readonly isChartLarge: boolean;
}

export const INITIAL_UI: Ui = {
  selected: ROOT,
  cursor: null,
  treeQuery: '',
  expanded: new Map(),
  filter: { query: '', kind: 'all', isOfSelected: false },
  tab: 'topology',
  theme: 'auto',
  isHelpOpen: false,
  isChartLarge: false,
};

export type UiAction =
  | { readonly type: 'select'; readonly actor: string }
  | { readonly type: 'travel'; readonly cursor: Cursor | null }
  | { readonly type: 'searchTree'; readonly query: string }
  | { readonly type: 'expand'; readonly actor: string; readonly isExpanded: boolean }
  | { readonly type: 'filter'; readonly change: Partial<Ui['filter']> }
  | { readonly type: 'showTab'; readonly tab: Tab }
  | { readonly type: 'setTheme'; readonly theme: Theme }
  | { readonly type: 'showHelp'; readonly isOpen: boolean }
  | { readonly type: 'enlargeChart'; readonly isLarge: boolean };

export function reduceUi(ui: Ui, action: UiAction): Ui {
  switch (action.type) {
    case 'select':
      return { ...ui, selected: action.actor };
    case 'travel':
      return { ...ui, cursor: action.cursor };
    case 'searchTree':
      return { ...ui, treeQuery: action.query };
    case 'expand':
      return { ...ui, expanded: new Map([...ui.expanded, [action.actor, action.isExpanded]]) };
    case 'filter':
      return { ...ui, filter: { ...ui.filter, ...action.change } };
    case 'showTab':
      return { ...ui, tab: action.tab };
    case 'setTheme':
      return { ...ui, theme: action.theme };
    case 'showHelp':
      return { ...ui, isHelpOpen: action.isOpen };
    case 'enlargeChart':
      return { ...ui, isChartLarge: action.isLarge };
  }
}

const NEXT_THEME: Readonly<Record<Theme, Theme>> = { auto: 'dark', dark: 'light', light: 'auto' };
export const nextTheme = (theme: Theme): Theme => NEXT_THEME[theme];

/** What a key means, unless something is being typed; null for a key that means nothing here. */
export type Shortcut =
  'pause' | 'back' | 'forward' | 'live' | 'search' | 'filter' | 'enlarge' | 'help' | 'theme' | 'close';

const SHORTCUTS: Readonly<Record<string, Shortcut>> = {
  ' ': 'pause',
  '[': 'back',
  ']': 'forward',
  l: 'live',
  '/': 'search',
  f: 'filter',
  c: 'enlarge',
  '?': 'help',
  t: 'theme',
  Escape: 'close',
};

export interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

/** @param target what has the focus: where text is typed, keys are text; a button has a space of its own */
export function shortcutOf(press: KeyPress, target: 'text' | 'button' | 'other'): Shortcut | null {
  if (press.ctrlKey || press.metaKey || press.altKey) return null;
  const shortcut = Object.hasOwn(SHORTCUTS, press.key) ? SHORTCUTS[press.key] : undefined;
  if (shortcut === undefined) return null;
  if (target === 'text' && shortcut !== 'close') return null;
  if (target === 'button' && shortcut === 'pause') return null;
  return shortcut;
}

/** `#token=…`, of the address the page was opened with. */
export function tokenOf(hash: string): string | null {
  const token = new URLSearchParams(hash.replace(/^#/, '')).get('token');
  return token === null || token === '' ? null : token;
}
