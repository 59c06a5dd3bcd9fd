/** The page: what the model says, as whoever looks wants to see it. */

import type { JSX } from 'preact';
import { useCallback, useEffect, useMemo, useReducer } from 'preact/hooks';
import { ActorPanel, type ChartsState } from './actor-panel.js';
import { EnginesPanel } from './engines-panel.js';
import { type Entry, transitionEntry } from './entries.js';
import type { Feed, FeedState } from './feed.js';
import { Header } from './header.js';
import { Help } from './help.js';
import { Icon, type IconName } from './icons.js';
import { focusField, useShortcuts } from './keyboard.js';
import { MetricsPanel } from './metrics-panel.js';
import type { Model } from './model.js';
import { Banner, Notice } from './notices.js';
import { applyTheme, readTheme } from './theme.js';
import { TimelinePanel } from './timeline-panel.js';
import { TopologyPanel } from './topology-panel.js';
import { TravelBar } from './travel-bar.js';
import { TreePanel } from './tree-panel.js';
import { forestOf } from './tree.js';
import { type Cursor, hold, sceneAt, step, travelTo } from './travel.js';
import { INITIAL_UI, nextTheme, reduceUi, type Shortcut, type Tab, type Ui, type UiAction } from './ui.js';

export interface AppProps {
  readonly model: Model;
  readonly feed: Feed;
  readonly feedState: FeedState;
  readonly charts: ChartsState;
}

export function App({ model, feed, feedState, charts }: AppProps): JSX.Element {
  const [ui, dispatch] = useReducer(reduceUi, INITIAL_UI, (initial) => ({ ...initial, theme: readTheme() }));
  const { cursor, theme } = ui;
  const onTravel = useCallback((to: Cursor | null) => dispatch({ type: 'travel', cursor: to }), []);
  const onRetry = useCallback(() => feed.retryNow(), [feed]);
  const onTheme = useCallback(() => dispatch({ type: 'setTheme', theme: nextTheme(theme) }), [theme]);
  const onPause = useCallback(() => onTravel(togglePause(model, cursor)), [model, cursor]);
  useEffect(() => applyTheme(theme), [theme]);
  useRecording(model, cursor, onTravel);
  useShortcuts(useCallback((shortcut: Shortcut) => runShortcut(shortcut, { model, ui, dispatch }), [model, ui]));

  const scene = sceneAt(model, cursor);
  const forest = useMemo(() => forestOf(scene.actors, scene.gauges), [scene.revision, scene.gauges === null]);
  const onEntry = useCallback((entry: Entry) => onTravel(travelTo(model, cursor, entry)), [model, cursor]);
  const header = (
    <Header
      version={model.packageVersion}
      feed={feedState}
      scene={scene}
      theme={theme}
      canPause={model.mode === 'live'}
      onPause={onPause}
      onTheme={onTheme}
      onHelp={() => dispatch({ type: 'showHelp', isOpen: true })}
    />
  );
  const help = ui.isHelpOpen && <Help onClose={() => dispatch({ type: 'showHelp', isOpen: false })} />;
  if (model.mode === null) {
    return (
      <div class="app is-waiting">
        {header}
        <Notice feed={feedState} onRetry={onRetry} />
        {help}
      </div>
    );
  }
  const shared = { model, scene, forest, ui, dispatch };
  const isStale = feedState.kind !== 'live' && feedState.kind !== 'recording';
  return (
    <div
      class={`app mode-${model.mode} ${cursor === null ? '' : 'is-past'} ${isStale ? 'is-stale' : ''}`}
      data-tab={ui.tab}
    >
      {header}
      <Banner feed={feedState} onRetry={onRetry} />
      {model.mode === 'live' && <MetricsPanel model={model} scene={scene} />}
      <main class={`panels ${ui.isChartLarge ? 'has-large-chart' : ''}`}>
        <div class="side">
          <TreePanel {...shared} />
          {model.controlsToken !== null && <EnginesPanel engines={model.engines} token={model.controlsToken} />}
        </div>
        <TopologyPanel {...shared} selected={ui.selected} />
        <ActorPanel
          {...shared}
          selected={ui.selected}
          charts={charts}
          cursor={cursor}
          isLarge={ui.isChartLarge}
          onEnlarge={() => dispatch({ type: 'enlargeChart', isLarge: !ui.isChartLarge })}
          onTravel={(transition) => onEntry(transitionEntry(transition))}
        />
        <TimelinePanel model={model} ui={ui} dispatch={dispatch} onTravel={onEntry} />
      </main>
      <TravelBar model={model} cursor={cursor} onTravel={onTravel} />
      <Tabs tab={ui.tab} dispatch={dispatch} />
      {help}
    </div>
  );
}

const togglePause = (model: Model, cursor: Cursor | null): Cursor | null => (cursor === null ? hold(model) : null);

/** A recording has no present: it is looked at as of its last transition. */
function useRecording(model: Model, cursor: Cursor | null, onTravel: (cursor: Cursor | null) => void): void {
  const isBegin = model.mode === 'recording' && cursor === null;
  useEffect(() => {
    if (isBegin) onTravel(hold(model));
  }, [isBegin]);
}

interface Shared {
  readonly model: Model;
  readonly ui: Ui;
  readonly dispatch: (action: UiAction) => void;
}

function runShortcut(shortcut: Shortcut, { model, ui, dispatch }: Shared): void {
  const { cursor } = ui;
  switch (shortcut) {
    case 'pause':
      if (model.mode === 'live') dispatch({ type: 'travel', cursor: togglePause(model, cursor) });
      return;
    case 'live':
      if (model.mode === 'live') dispatch({ type: 'travel', cursor: null });
      return;
    case 'back':
      dispatch({ type: 'travel', cursor: step(model, cursor, -1) });
      return;
    case 'forward':
      if (cursor !== null) dispatch({ type: 'travel', cursor: step(model, cursor, 1) });
      return;
    case 'search':
      dispatch({ type: 'showTab', tab: 'actors' });
      // Once the tab is there, where there are tabs.
      requestAnimationFrame(() => focusField('tree-search'));
      return;
    case 'filter':
      dispatch({ type: 'showTab', tab: 'timeline' });
      dispatch({ type: 'enlargeChart', isLarge: false });
      requestAnimationFrame(() => focusField('timeline-search'));
      return;
    case 'enlarge':
      dispatch({ type: 'showTab', tab: 'actor' });
      dispatch({ type: 'enlargeChart', isLarge: !ui.isChartLarge });
      return;
    case 'help':
      dispatch({ type: 'showHelp', isOpen: !ui.isHelpOpen });
      return;
    case 'theme':
      dispatch({ type: 'setTheme', theme: nextTheme(ui.theme) });
      return;
    case 'close':
      closeWhatIsOpen(ui, dispatch);
  }
}

function closeWhatIsOpen({ isHelpOpen, isChartLarge }: Ui, dispatch: Shared['dispatch']): void {
  if (isHelpOpen) {
    dispatch({ type: 'showHelp', isOpen: false });
    return;
  }
  const { activeElement } = document;
  if (!(activeElement instanceof HTMLInputElement)) {
    if (isChartLarge) dispatch({ type: 'enlargeChart', isLarge: false });
    return;
  }
  if (activeElement.id === 'tree-search') dispatch({ type: 'searchTree', query: '' });
  if (activeElement.id === 'timeline-search') dispatch({ type: 'filter', change: { query: '' } });
  activeElement.blur();
}

const TABS: readonly (readonly [Tab, string, IconName])[] = [
  ['actors', 'Actors', 'actors'],
  ['topology', 'Topology', 'topology'],
  ['actor', 'Chart', 'chart'],
  ['timeline', 'Timeline', 'timeline'],
];

function Tabs({ tab, dispatch }: { readonly tab: Tab; readonly dispatch: Shared['dispatch'] }): JSX.Element {
  return (
    <nav class="tabs" aria-label="Views">
      {TABS.map(([name, label, icon]) => (
        <button
          key={name}
          type="button"
          aria-current={tab === name ? 'page' : undefined}
          onClick={() => dispatch({ type: 'showTab', tab: name })}
        >
          <Icon name={icon} />
          {label}
        </button>
      ))}
    </nav>
  );
}
