/** Whose page this is, how it is connected, and how the client is. */

import type { JSX } from 'preact';
import type { FeedState } from './feed.js';
import { Icon, IconButton } from './icons.js';
import { Chip, Mark } from './marks.js';
import { type Tone, toneOf } from './tones.js';
import { ROOT } from './tree.js';
import type { Scene } from './travel.js';
import type { Theme } from './ui.js';

export interface HeaderProps {
  readonly version: string;
  readonly feed: FeedState;
  readonly scene: Scene;
  readonly theme: Theme;
  readonly canPause: boolean;
  readonly onPause: () => void;
  readonly onTheme: () => void;
  readonly onHelp: () => void;
}

const THEME_LABELS: Readonly<Record<Theme, string>> = {
  auto: 'Colours: as the system has them (T)',
  dark: 'Colours: dark (T)',
  light: 'Colours: light (T)',
};

export function Header(props: HeaderProps): JSX.Element {
  const { version, feed, scene, theme, canPause, onPause, onTheme, onHelp } = props;
  const client = scene.actors.get(ROOT);
  return (
    <header class="top-bar">
      <div class="brand">
        <Icon name="topology" size={16} />
        <h1>
          authz <span>inspector</span>
        </h1>
        {version !== '' && <span class="version">{version}</span>}
      </div>
      <FeedStatus feed={feed} isPast={scene.isPast} />
      {client !== undefined && (
        <div class="client-state">
          <span class="label">client</span>
          <Chip tone={toneOf(client)} active={client.active} />
        </div>
      )}
      <div class="top-actions">
        {canPause && (
          <IconButton
            icon={scene.isPast ? 'play' : 'pause'}
            label={scene.isPast ? 'Back to live (Space)' : 'Pause (Space)'}
            onClick={onPause}
          />
        )}
        <IconButton icon={theme} label={THEME_LABELS[theme]} onClick={onTheme} />
        <IconButton icon="help" label="Keys and signs (?)" onClick={onHelp} />
      </div>
    </header>
  );
}

function FeedStatus({ feed, isPast }: { readonly feed: FeedState; readonly isPast: boolean }): JSX.Element {
  const [tone, text] = statusOf(feed, isPast);
  return (
    <div class={`feed-status tone-${tone} ${feed.kind === 'live' && !isPast ? 'is-live' : ''}`} role="status">
      <Mark tone={tone} size={9} />
      {text}
    </div>
  );
}

function statusOf(feed: FeedState, isPast: boolean): readonly [Tone, string] {
  switch (feed.kind) {
    case 'connecting':
      return ['busy', 'connecting'];
    case 'live':
      return isPast ? ['warn', 'paused'] : ['ok', 'live'];
    case 'recording':
      return ['idle', 'recording'];
    case 'disconnected':
      return ['bad', 'disconnected'];
    case 'no-token':
    case 'wrong-token':
      return ['bad', 'refused'];
  }
}
