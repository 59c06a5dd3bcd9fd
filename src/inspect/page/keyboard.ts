/** The page's keys, wherever the focus is. */

import { useLayoutEffect } from 'preact/hooks';
import { type Shortcut, shortcutOf } from './ui.js';

export function useShortcuts(run: (shortcut: Shortcut) => void): void {
  // With the drawing, not after it: a key may follow at once, and means what it means by what is drawn then.
  useLayoutEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.defaultPrevented) return;
      const shortcut = shortcutOf(event, kindOf(event.target));
      if (shortcut === null) return;
      event.preventDefault();
      run(shortcut);
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [run]);
}

function kindOf(target: EventTarget | null): 'text' | 'button' | 'other' {
  if (target instanceof HTMLInputElement && target.type === 'text') return 'text';
  return target instanceof HTMLButtonElement || (target instanceof HTMLElement && target.tagName === 'SUMMARY')
    ? 'button'
    : 'other';
}

/** Focuses a field and takes what is in it for typing over. */
export function focusField(id: string): void {
  const field = document.getElementById(id);
  if (field instanceof HTMLInputElement) field.select();
}
