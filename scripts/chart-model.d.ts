import type { AnyStateMachine } from 'xstate';
import type { ChartState, ChartTransition } from '../src/inspect/protocol.js';

export interface ModelState extends Pick<ChartState, 'path' | 'label' | 'kind' | 'depth' | 'promise'> {
  readonly parent: string | null;
  readonly initial: string | null;
}

/** All that leads from one state to another, or all that leaves a state as it is. */
export interface ModelEdge {
  readonly id: string;
  readonly kind: 'moves' | 'stays';
  readonly source: string;
  readonly target: string;
  readonly transitions: ChartTransition[];
}

export interface ChartModel {
  readonly machine: string;
  readonly summary: string;
  readonly states: ModelState[];
  readonly edges: ModelEdge[];
}

/** What a drawn statechart shows, before it has a shape. */
export function modelOf(machine: AnyStateMachine, doc: { summary: string; promises: Map<string, string> }): ChartModel;
