import type { Random } from '../../core/random.js';
import { GrpcCode } from '../../errors.js';
import { Effect } from '../../types.js';
import type { SimulatedNetwork } from '../sim-network.js';
import {
  ServingStatusCode,
  type SimulatedDecision,
  type SimulatedReply,
  type SimulatedRequest,
  type SimulatedServer,
} from '../sim-server.js';
import type { ServerCommand } from './commands.js';
import type { ObservedServer } from './observation.js';

/** One answer of a server, as it left: attached to it, and handed over when it reaches the client. */
export interface SentAnswer {
  /** Stands in the answer itself, as the policy of each result. */
  readonly tag: string;
  readonly address: string;
  /** The resource's id: each check of a run has one of its own. */
  readonly question: string;
  readonly results: ReadonlyMap<string, SimulatedDecision>;
}

/** Those of which nothing comes back, or that say so themselves. */
const LOSSES: ReadonlySet<string> = new Set(['killed', 'frozen', 'unreachable', 'half reachable', 'NOT_SERVING']);

/** A simulated server, what is wrong with it, and since when nothing is. */
export class ModelServer implements ObservedServer {
  readonly address: string;
  readonly level: number;
  readonly #network: SimulatedNetwork;
  readonly #server: SimulatedServer;
  readonly #now: () => number;
  readonly #faults = new Set<string>();
  #wellSinceMs = 0;
  #serviceMs = 0;

  constructor(address: string, level: number, network: SimulatedNetwork, now: () => number) {
    this.address = address;
    this.level = level;
    this.#network = network;
    this.#server = network.server(address);
    this.#now = now;
  }

  get faults(): readonly string[] {
    return [...this.#faults];
  }

  get isLost(): boolean {
    for (const fault of this.#faults) if (LOSSES.has(fault)) return true;
    return false;
  }

  get wellSinceMs(): number | undefined {
    return this.#faults.size > 0 ? undefined : this.#wellSinceMs;
  }

  /** @returns why nothing came of it, where nothing did */
  obey(command: ServerCommand): string | undefined {
    const idle = this.#whyIdle(command);
    if (idle !== undefined) return idle;
    const wasWell = this.#faults.size === 0;
    this.#do(command);
    if (!wasWell || command.do === 'cut' || command.do === 'drain') this.#wellSinceMs = this.#now();
    return undefined;
  }

  #whyIdle(command: ServerCommand): string | undefined {
    const isDead = this.#faults.has('killed');
    const isFrozen = this.#faults.has('frozen');
    switch (command.do) {
      case 'restart':
        return isDead ? undefined : 'it runs';
      case 'thaw':
        return isFrozen ? undefined : 'it is not frozen';
      case 'heal':
        return undefined;
      case 'drain':
      case 'notServing':
        if (isFrozen) return 'it is frozen, and says nothing';
        return isDead ? 'it is dead' : undefined;
      case 'freeze':
        if (isFrozen) return 'it is frozen already';
        return isDead ? 'it is dead' : undefined;
      default:
        return isDead ? 'it is dead' : undefined;
    }
  }

  #do(command: ServerCommand): void {
    switch (command.do) {
      case 'kill':
        this.#server.stop();
        this.#faults.delete('frozen');
        this.#faults.add('killed');
        break;
      case 'restart':
        this.#server.start();
        this.#faults.delete('killed');
        break;
      case 'freeze':
        this.#server.freeze();
        this.#faults.add('frozen');
        break;
      case 'thaw':
        this.#server.thaw();
        this.#faults.delete('frozen');
        break;
      case 'cut':
        this.#server.reset();
        break;
      case 'drain':
        this.#server.goaway('all');
        break;
      case 'heal':
        this.heal();
        break;
      default:
        this.#impair(command);
    }
  }

  #impair(command: ServerCommand): void {
    switch (command.do) {
      case 'blackhole':
        this.#network.setLink(this.address, { toServerHeld: true, toClientHeld: true });
        this.#faults.delete('half reachable');
        this.#faults.add('unreachable');
        break;
      case 'partition': {
        const losesRequests = command.lost === 'requests';
        this.#network.setLink(this.address, { toServerHeld: losesRequests, toClientHeld: !losesRequests });
        this.#faults.delete('unreachable');
        this.#faults.add('half reachable');
        break;
      }
      case 'notServing':
        this.#server.health = ServingStatusCode.NOT_SERVING;
        this.#faults.add('NOT_SERVING');
        break;
      case 'slow':
        this.#serviceMs = command.ms;
        this.#faults.add('slow');
        break;
      case 'swallow':
        this.#faults.delete('refusing checks');
        this.#faults.add('swallowing checks');
        break;
      case 'refuse':
        this.#faults.delete('swallowing checks');
        this.#faults.add('refusing checks');
    }
  }

  /** Everything of it is well. */
  heal(): void {
    if (this.#faults.size > 0) this.#wellSinceMs = this.#now();
    this.#faults.clear();
    this.#serviceMs = 0;
    if (!this.#server.isRunning) this.#server.start();
    this.#server.thaw();
    if (this.#server.health !== ServingStatusCode.SERVING) this.#server.health = ServingStatusCode.SERVING;
    this.#network.setLink(this.address);
  }

  /** Decides by chance, so that no answer can be guessed. */
  answerBy(random: Random, nextTag: () => string, serviceMs: number): void {
    this.#server.handler = ({ request }: SimulatedRequest): readonly SimulatedReply[] => {
      if (this.#faults.has('swallowing checks')) return [];
      if (this.#faults.has('refusing checks'))
        return [{ kind: 'status', code: GrpcCode.UNAVAILABLE, message: 'the server cannot answer checks' }];
      const tag = nextTag();
      const decide = (): SimulatedDecision => ({ effect: random() < 0.5 ? Effect.ALLOW : Effect.DENY, policy: tag });
      const results = new Map(request.actions.map((action) => [action, decide()]));
      const note: SentAnswer = { tag, address: this.address, question: request.resource?.id ?? '', results };
      const afterMs = this.#serviceMs > 0 ? this.#serviceMs : Math.floor(random() * (serviceMs + 1));
      return [{ kind: 'answer', results, note, afterMs }];
    };
  }
}
