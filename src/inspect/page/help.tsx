/** The keys, and what the signs mean. */

import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { IconButton } from './icons.js';
import { Mark } from './marks.js';
import type { Tone } from './tones.js';

const KEYS: readonly (readonly [readonly string[], string])[] = [
  [['Space'], 'pause, and back to live'],
  [['[', ']'], 'one transition back, one on'],
  [['L'], 'back to live'],
  [['/'], 'search the actors'],
  [['↑', '↓', '←', '→'], 'move in the tree; open and close'],
  [['Enter'], 'choose the actor'],
  [['F'], 'filter the timeline'],
  [['C'], 'a larger chart, and back'],
  [['T'], 'colours: as the system has them, dark, light'],
  [['Esc'], 'clear the search; close what is open'],
  [['?'], 'this help'],
];

const SIGNS: readonly (readonly [Tone, string])[] = [
  ['ok', 'does its work'],
  ['busy', 'on its way to another state'],
  ['warn', 'works, but not as it should: failed over, suspect, paused'],
  ['bad', 'does not work: lost, not serving'],
  ['idle', 'nothing to do, kept warm, or not known yet'],
  ['off', 'ended'],
];

export function Help({ onClose }: { readonly onClose: () => void }): JSX.Element {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      class="help"
      aria-label="Keys and signs"
      onClose={onClose}
      onClick={(event) => {
        // Beside the card is the dialog's own backdrop.
        if (event.target === event.currentTarget) onClose();
      }}
    >
      <div class="help-card">
        <header>
          <h2>Keys and signs</h2>
          <IconButton icon="close" label="Close (Esc)" onClick={onClose} />
        </header>
        <dl class="keys">
          {KEYS.map(([keys, meaning]) => (
            <div key={meaning}>
              <dt>
                {keys.map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
        <ul class="signs">
          {SIGNS.map(([tone, meaning]) => (
            <li key={tone}>
              <Mark tone={tone} /> {meaning}
            </li>
          ))}
        </ul>
        <p class="fine">
          The thicker a link, the more checks it carries. A queue's bar has a line for its low and its high mark. The
          strip of an endpoint is its health over the last two minutes.
        </p>
      </div>
    </dialog>
  );
}
