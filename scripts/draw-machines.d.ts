import type { AnyStateMachine } from 'xstate';

export interface Chart {
  readonly name: string;
  readonly machine: AnyStateMachine;
  /** The text of its file, for the comments. */
  readonly source: string;
}

export const DOCUMENT: URL;
/** One Mermaid `stateDiagram-v2`. */
export function drawMachine(machine: AnyStateMachine): string;
/** The whole of docs/reference/machines.md. */
export function renderMachines(charts: readonly Chart[]): string;
