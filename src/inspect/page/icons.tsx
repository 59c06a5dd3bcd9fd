/** The few pictures of the page, drawn on a grid of 16. */

import type { JSX } from 'preact';

const PATHS = {
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  play: 'M5 3.2v9.6L12.5 8z',
  back: 'M10 3.5 5.5 8l4.5 4.5',
  forward: 'M6 3.5 10.5 8 6 12.5',
  first: 'M11.5 3.5 7 8l4.5 4.5M4.5 3.5v9',
  search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.3 10.3l3.2 3.2',
  close: 'M4 4l8 8M12 4l-8 8',
  help: 'M6.2 6.2a1.9 1.9 0 1 1 2.7 1.9c-.6.3-.9.7-.9 1.3M8 11.6v.1M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4Z',
  dark: 'M13.2 9.8A5.6 5.6 0 0 1 6.2 2.8a5.6 5.6 0 1 0 7 7Z',
  light:
    'M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6ZM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9',
  auto: 'M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4ZM8 2v12',
  twisty: 'M6 4l4 4-4 4',
  actors: 'M3 3.5h4M5 3.5v9h3M5 8h3M10 8h3.5M10 12.5h3.5',
  topology: 'M2.5 8h3m5-4.5h3m-3 9h3M5.5 8c3.5 0 1.5-4.5 5-4.5M5.5 8c3.5 0 1.5 4.5 5 4.5',
  chart: 'M2.5 3h4.5v3.5H2.5zM9 9.5h4.5V13H9zM4.7 6.5v3.2a1.6 1.6 0 0 0 1.6 1.6H9',
  timeline: 'M3 4h.1M3 8h.1M3 12h.1M6 4h7.5M6 8h5.5M6 12h6.5',
  expand: 'M9.5 2.5h4v4M13.2 2.8 9.3 6.7M6.5 13.5h-4v-4M2.8 13.2l3.9-3.9',
  shrink: 'M13.5 6.5h-4v-4M9.8 6.2l3.9-3.9M2.5 9.5h4v4M6.2 9.8l-3.9 3.9',
  whole: 'M2.5 5.5v-3h3M10.5 2.5h3v3M13.5 10.5v3h-3M5.5 13.5h-3v-3',
  follow: 'M8 11.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4ZM8 1.5v3.3M8 11.2v3.3M1.5 8h3.3M11.2 8h3.3',
  closer: 'M8 3.5v9M3.5 8h9',
  farther: 'M3.5 8h9',
  event: 'M9 1.8 3.8 9H8l-1 5.2L12.2 7H8z',
  kill: 'M4 4l8 8M12 4l-8 8',
  freeze: 'M8 1.8v12.4M2.6 4.9l10.8 6.2M13.4 4.9 2.6 11.1',
  revive: 'M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { readonly name: IconName; readonly size?: number }): JSX.Element {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

export interface IconButtonProps {
  readonly icon: IconName;
  readonly label: string;
  readonly onClick: () => void;
  readonly isPressed?: boolean;
  readonly isDisabled?: boolean;
  readonly class?: string;
}

export function IconButton({
  icon,
  label,
  onClick,
  isPressed,
  isDisabled,
  class: extra = '',
}: IconButtonProps): JSX.Element {
  return (
    <button
      type="button"
      class={`icon-button ${extra}`}
      aria-label={label}
      title={label}
      aria-pressed={isPressed}
      disabled={isDisabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}
