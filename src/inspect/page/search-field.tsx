/** A field to search in, with a way to clear it. */

import type { JSX } from 'preact';
import { Icon } from './icons.js';

export interface SearchFieldProps {
  readonly id: string;
  readonly label: string;
  readonly placeholder: string;
  /** The key that leads here. */
  readonly shortcut: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
}

export function SearchField({ id, label, placeholder, shortcut, value, onInput }: SearchFieldProps): JSX.Element {
  return (
    <div class="search-field">
      <Icon name="search" size={13} />
      <input
        id={id}
        type="text"
        aria-label={label}
        placeholder={placeholder}
        autocomplete="off"
        spellcheck={false}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      {value === '' ? (
        <kbd aria-hidden="true">{shortcut}</kbd>
      ) : (
        <button type="button" class="clear" aria-label="Clear the search" onClick={() => onInput('')}>
          <Icon name="close" size={12} />
        </button>
      )}
    </div>
  );
}
