import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { AnyStateMachine } from 'xstate';
import * as machines from '../../machines/index.js';
import { CHART_NAMES, sourceOf } from '../../scripts/chart-definition.js';
import { DOCUMENT, drawMachine, renderMachines, type Chart } from '../../scripts/draw-machines.js';
import { leavesOf, topOf } from './support/chart.js';

const BY_NAME: Readonly<Record<string, AnyStateMachine>> = {
  client: machines.clientMachine,
  failover: machines.failoverMachine,
  endpoint: machines.endpointMachine,
  connection: machines.connectionMachine,
  stream: machines.streamMachine,
};

const charts = CHART_NAMES.map((name): Chart => {
  const machine = BY_NAME[name];
  if (machine === undefined) throw new Error(`there is no chart ${name}`);
  return { name, machine, source: readFileSync(sourceOf(name), 'utf8') };
});

/** What Mermaid's grammar takes: no colon, semicolon, brace or quote in a label. */
const ID = '[A-Za-z]\\w*';
const LABEL = '(?:[\\w .,[\\]]|<br/>|#\\d+;)+';
const LINES = [
  /^stateDiagram-v2$/,
  new RegExp(`^ *state ${ID} \\{$`),
  /^ *\}$/,
  new RegExp(`^ *${ID} : ${LABEL}$`),
  new RegExp(`^ *\\[\\*\\] --> ${ID}$`),
  new RegExp(`^ *${ID} --> \\[\\*\\]$`),
  new RegExp(`^ *${ID} --> ${ID} : ${LABEL}$`),
];

describe('docs/reference/machines.md', () => {
  it('the charts as they are now → the file as it is', () => {
    const isStale = readFileSync(DOCUMENT, 'utf8') !== renderMachines(charts);
    expect(isStale, 'docs/reference/machines.md is stale: refresh it with `npm run docs:machines`').toBe(false);
  });

  it('every exported chart is drawn', () => {
    const exported = Object.keys(machines).filter((name) => name.endsWith('Machine'));
    expect(exported.sort()).toEqual(CHART_NAMES.map((name) => `${name}Machine`).sort());
  });

  it('a chart without a promise for one of its states → refused, by name', () => {
    const [client] = charts;
    if (client === undefined) throw new Error('there is no chart');
    const source = client.source.replace('`draining`:', '`drained`:');
    expect(() => renderMachines([{ ...client, source }])).toThrow('promises nothing for draining');
  });
});

describe.each(charts)('the picture of $name', ({ machine }) => {
  const lines = drawMachine(machine).split('\n');
  const arrows = lines.flatMap((line) => {
    const [, from, to, label] = /^ *(\w+) --> (\w+) : (.*)$/.exec(line) ?? [];
    return from === undefined || to === undefined || label === undefined ? [] : [{ from, to, label }];
  });

  it('is made of lines that Mermaid takes', () => {
    expect(lines.filter((line) => !LINES.some((allowed) => allowed.test(line)))).toEqual([]);
  });

  it('shows every state, each under one name', () => {
    const ids = leavesOf(machine).map((leaf) => leaf.replaceAll('.', '_'));
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(lines.some((line) => new RegExp(`(^|\\W)${id}( |$)`).test(line))).toBe(true);
  });

  it('draws no arrow between the insides of two states, nor between a state and its own inside', () => {
    const parentOf = (id: string): string => id.split('_').slice(0, -1).join('_');
    expect(arrows.filter(({ from, to }) => parentOf(from) !== parentOf(to))).toEqual([]);
  });

  it('labels every event that changes the outer state', () => {
    for (const leaf of leavesOf(machine)) {
      const top = topOf(leaf);
      for (const branch of [...(machine.root.states[top]?.transitions.values() ?? [])].flat()) {
        const target = branch.target?.[0]?.path[0];
        if (target === undefined || target === top || String(branch.eventType).startsWith('xstate.')) continue;
        const drawn = arrows.find(({ from, to }) => from === top && to === target);
        expect(drawn?.label).toContain(branch.eventType);
      }
    }
  });

  it('ends only where nothing leads out', () => {
    const final = lines.flatMap((line) => /^ *(\w+) --> \[\*\]$/.exec(line)?.[1] ?? []);
    expect(final).toEqual('closed' in machine.root.states ? ['closed'] : []);
  });
});
