/** A state at a glance: each tone has a colour and a shape. */

import type { JSX } from 'preact';
import { topState, type Tone } from './tones.js';

const SHAPES: Readonly<Record<Tone, JSX.Element>> = {
  ok: <circle cx="6" cy="6" r="4" fill="currentColor" />,
  busy: (
    <>
      <circle cx="6" cy="6" r="3.6" fill="none" stroke="currentColor" stroke-width="1.4" />
      <path d="M6 2.4a3.6 3.6 0 0 1 0 7.2z" fill="currentColor" />
    </>
  ),
  warn: <path d="M6 1.4 11 10.4H1z" fill="currentColor" />,
  bad: <path d="M6 .9 11.1 6 6 11.1.9 6z" fill="currentColor" />,
  idle: <circle cx="6" cy="6" r="3.4" fill="none" stroke="currentColor" stroke-width="1.6" />,
  off: <path d="M2.2 6h7.6" stroke="currentColor" stroke-width="2" stroke-linecap="round" />,
};

export function Mark({ tone, size = 12 }: { readonly tone: Tone; readonly size?: number }): JSX.Element {
  return (
    <svg class={`mark tone-${tone}`} width={size} height={size} viewBox="0 0 12 12" aria-hidden="true">
      {SHAPES[tone]}
    </svg>
  );
}

/** `open · steady`. */
export function StateName({ active }: { readonly active: readonly string[] }): JSX.Element {
  const top = topState(active);
  const inner = active.map((path) => path.slice(top.length + 1)).filter((rest) => rest !== '');
  return (
    <span class="state-name">
      {top === '' ? 'not begun' : top}
      {inner.length > 0 && <span class="state-inner"> · {inner.join(', ')}</span>}
    </span>
  );
}

export function Chip({ tone, active }: { readonly tone: Tone; readonly active: readonly string[] }): JSX.Element {
  return (
    <span class={`chip tone-${tone}`}>
      <Mark tone={tone} size={10} />
      <StateName active={active} />
    </span>
  );
}
