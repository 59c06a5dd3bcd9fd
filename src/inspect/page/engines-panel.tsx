/** The demo's own engines, to be killed, frozen and revived. */

import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { EngineView } from '../protocol.js';
import { commandEngine, type EngineCommand } from './engine-commands.js';
import { Icon, type IconName } from './icons.js';
import { Mark } from './marks.js';
import type { Tone } from './tones.js';

export interface EnginesPanelProps {
  readonly engines: readonly EngineView[];
  readonly token: string;
}

const TONES: Readonly<Record<EngineView['state'], Tone>> = { running: 'ok', frozen: 'warn', dead: 'bad' };

const COMMANDS: readonly {
  readonly command: EngineCommand;
  readonly label: string;
  readonly icon: IconName;
  readonly states: readonly EngineView['state'][];
}[] = [
  { command: 'freeze', label: 'Freeze', icon: 'freeze', states: ['running'] },
  { command: 'kill', label: 'Kill', icon: 'kill', states: ['running', 'frozen'] },
  { command: 'revive', label: 'Revive', icon: 'revive', states: ['frozen', 'dead'] },
];

export function EnginesPanel({ engines, token }: EnginesPanelProps): JSX.Element {
  return (
    <section class="panel engines-panel" aria-label="Engines">
      <header class="panel-head">
        <h2>Engines</h2>
        <p class="panel-note">of this demo: play with them</p>
      </header>
      <ul>
        {engines.map((engine) => (
          <Engine key={engine.address} engine={engine} token={token} />
        ))}
      </ul>
    </section>
  );
}

function Engine({ engine, token }: { readonly engine: EngineView; readonly token: string }): JSX.Element {
  const { address, state } = engine;
  const [asked, setAsked] = useState<EngineCommand | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const ask = async (command: EngineCommand): Promise<void> => {
    setAsked(command);
    setFailure(await commandEngine(command, address, token));
    setAsked(null);
  };
  return (
    <li class="engine">
      <Mark tone={TONES[state]} size={10} />
      <span class="engine-address mono">{address}</span>
      <span class={`engine-state tone-${TONES[state]}`}>{state}</span>
      <span class="engine-buttons">
        {COMMANDS.filter(({ states }) => states.includes(state)).map(({ command, label, icon }) => (
          <button
            key={command}
            type="button"
            class={`button button-${command}`}
            aria-label={`${label} ${address}`}
            title={`${label} ${address}`}
            disabled={asked !== null}
            onClick={() => void ask(command)}
          >
            <Icon name={icon} size={12} />
            <span>{label}</span>
          </button>
        ))}
      </span>
      {failure !== null && (
        <p class="engine-failure" role="alert">
          {failure}
        </p>
      )}
    </li>
  );
}
