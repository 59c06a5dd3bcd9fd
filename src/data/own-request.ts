import type { OwnIds } from '../codec/wire-id.js';
import type { Attributes, CheckInput, CheckRequest, Principal, Resource } from '../types.js';

/** A request that came without an id, and has one of the client's making. The id's text is made only when somebody asks for it. */
export class OwnRequest implements CheckRequest {
  readonly principal: Principal;
  readonly resource: Resource;
  readonly actions: readonly string[];
  declare readonly context?: Attributes;
  declare readonly includeMetadata?: boolean;
  /** Of its id: see `WireId`. */
  readonly number: number;
  readonly #ownIds: OwnIds;

  constructor(input: CheckInput, number: number, ownIds: OwnIds) {
    this.principal = input.principal;
    this.resource = input.resource;
    this.actions = input.actions;
    if (input.context !== undefined) this.context = input.context;
    if (input.includeMetadata !== undefined) this.includeMetadata = input.includeMetadata;
    this.number = number;
    this.#ownIds = ownIds;
  }

  get requestId(): string {
    return this.#ownIds.text(this.number);
  }
}
