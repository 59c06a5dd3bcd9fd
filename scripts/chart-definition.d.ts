import type { AnyStateMachine, AnyTransitionDefinition } from 'xstate';

export type Node = AnyStateMachine['root'];
export type Branch = Omit<AnyTransitionDefinition, 'eventType'> & { eventType: string };

/** The charts, outermost first. */
export const CHART_NAMES: readonly string[];
export const AFTER: RegExp;
export function sourceOf(name: string): URL;
/** The charts as they were last built. */
export function loadMachines(): Promise<{ name: string; machine: AnyStateMachine }[]>;

export function childrenOf(node: Node): Node[];
/** A state and all within it. */
export function withDescendants(node: Node): Node[];
export function withAncestors(node: Node): Node[];
export function initialOf(node: Node): Node | undefined;
export function initialLeafOf(node: Node): Node;
export function isTerminal(node: Node): boolean;

/** Every branch of a state, in the order of the definition. */
export function branchesOf(node: Node): Branch[];
export function targetOf(branch: Branch): Node | undefined;
/** Whether it changes no state. */
export function stays(branch: Branch): boolean;
/** Whether it only switches an outer handler off. */
export function isForbidden(branch: Branch): boolean;
export function stimulusOf(branch: Branch): string;
export function guardOf(branch: Branch): string;
/** Whether branches of the same event are tried before this one. */
export function isOtherwise(branch: Branch): boolean;
/** Without those that start and stop the timers of `after`. */
export function namedActions(actions: readonly unknown[]): string[];

export function proseOf(comment: string): string;
/** The doc comment of a chart: what the thing is, and what each state promises. */
export function readPromises(chart: { name: string; source: string }): {
  summary: string;
  promises: Map<string, string>;
};
