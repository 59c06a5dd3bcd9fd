/** Dark or light, remembered by the browser where it may. */

import type { Theme } from './ui.js';

const KEY = 'authz-inspector-theme';

export function readTheme(): Theme {
  try {
    const stored = localStorage.getItem(KEY);
    return stored === 'dark' || stored === 'light' ? stored : 'auto';
  } catch {
    // A browser that keeps nothing for pages.
    return 'auto';
  }
}

export function applyTheme(theme: Theme): void {
  document.documentElement.dataset['theme'] = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // It lasts until the page is closed, then.
  }
}
