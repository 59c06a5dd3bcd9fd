/** The route of the checks as boxes and links: client, endpoints by level, their connections, their streams. Bounded however many there are. */

import type { ActorView } from '../protocol.js';
import { type Connection, type Endpoint, hierarchyOf, type Queue, type Stream } from './hierarchy.js';
import { countTones, type Tone, toneOf, worstTone } from './tones.js';
import { type Forest, ROOT } from './tree.js';
import type { Scene } from './travel.js';
import { clamp } from './window.js';

export interface TopologyNode {
  /** The actor's, or that of a group. */
  readonly id: string;
  readonly kind: 'client' | 'endpoint' | 'connection' | 'stream' | 'more';
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly tone: Tone;
  readonly label: string;
  /** Undefined for a group. */
  readonly actor: ActorView | undefined;
  /** Null where none was sampled. */
  readonly checksPerSecond: number | null;
  /** Of a connection. */
  readonly inFlight?: number | null;
  readonly endpoint?: { readonly level: number; readonly isActive: boolean };
  readonly queue?: Queue;
  /** Of a group: how many have its tone, where that calls for attention. */
  readonly attention?: number;
}

export interface TopologyLink {
  readonly id: string;
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  readonly tone: Tone;
  readonly checksPerSecond: number;
  /** Between the client and an endpoint: wide enough for its rate to be written on it. */
  readonly isTrunk: boolean;
  /** Leads to what carries traffic, or would. */
  readonly isActive: boolean;
}

export interface LevelCaption {
  readonly level: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly isActive: boolean;
}

export interface Topology {
  readonly width: number;
  readonly height: number;
  readonly isCompact: boolean;
  readonly nodes: readonly TopologyNode[];
  readonly links: readonly TopologyLink[];
  readonly captions: readonly LevelCaption[];
}

/** Beyond these a group stands for the rest. */
export const MAX_ENDPOINTS = 10;
const MAX_CONNECTIONS = 4;
const MAX_STREAMS = 6;
/** Of all endpoints together, so that the whole stays near enough in sight. */
const CONNECTION_BUDGET = 12;
const STREAM_BUDGET = 24;
/** More on one connection say nothing one by one: their group stands for them. */
const MANY_STREAMS = 12;

/** Below this width columns shrink and streams are drawn within their connection's column. */
export const COMPACT_WIDTH = 560;

interface Columns {
  readonly client: Column;
  readonly endpoint: Column;
  readonly connection: Column;
  readonly stream: Column;
}

interface Column {
  readonly x: number;
  readonly width: number;
}

const HEIGHTS = { client: 124, endpoint: 74, connection: 42, stream: 23, more: 21 } as const;
const GAPS = { endpoint: 12, connection: 8, stream: 4 } as const;
const CAPTION_HEIGHT = 19;

function columnsOf(width: number): Columns {
  if (width < COMPACT_WIDTH) {
    // Streams begin a little to the right of their connection, below it.
    const client = 64;
    const trunk = 18;
    const branch = 14;
    const endpoint = Math.round((width - client - trunk - branch) * 0.495);
    const connectionX = client + trunk + endpoint + branch;
    return {
      client: { x: 0, width: client },
      endpoint: { x: client + trunk, width: endpoint },
      connection: { x: connectionX, width: width - connectionX },
      stream: { x: connectionX + 10, width: width - connectionX - 10 },
    };
  }
  const client = 116;
  const endpoint = Math.min(236, Math.max(168, Math.round(width * 0.25)));
  const connection = Math.min(180, Math.max(124, Math.round(width * 0.185)));
  const stream = Math.min(280, Math.max(144, Math.round(width * 0.23)));
  const gaps = Math.max(0, width - client - endpoint - connection - stream);
  const trunk = Math.round(gaps * 0.46);
  const branch = Math.round(gaps * 0.27);
  const endpointX = client + trunk;
  const connectionX = endpointX + endpoint + branch;
  return {
    client: { x: 0, width: client },
    endpoint: { x: endpointX, width: endpoint },
    connection: { x: connectionX, width: connection },
    stream: { x: width - stream, width: stream },
  };
}

interface Limits {
  readonly connections: number;
  readonly streams: number;
}

function limitsFor(endpoints: readonly Endpoint[]): Limits {
  const connections = clamp(Math.floor(CONNECTION_BUDGET / Math.max(1, endpoints.length)), 1, MAX_CONNECTIONS);
  const shown = endpoints.flatMap((each) => each.connections.slice(0, connections));
  const rows = shown.filter(({ streams }) => streams.length > 0 && streams.length <= MANY_STREAMS).length;
  return { connections, streams: clamp(Math.floor(STREAM_BUDGET / Math.max(1, rows)), 1, MAX_STREAMS) };
}

/** Sums that keep "not sampled" apart from none. */
const add = (sum: number | null, value: number | null): number | null => (value === null ? sum : (sum ?? 0) + value);

const totalOf = (nodes: readonly { readonly checksPerSecond: number | null }[]): number | null =>
  nodes.reduce<number | null>((sum, { checksPerSecond }) => add(sum, checksPerSecond), null);

/** `size` is what is in sight; the whole may be higher. */
export function layOutTopology(
  scene: Scene,
  forest: Forest,
  size: { readonly width: number; readonly height: number },
): Topology {
  const { endpoints, waiting } = hierarchyOf(scene, forest);
  return new Layout(scene, Math.max(300, size.width), size.height).place(endpoints, waiting);
}

class Layout {
  readonly #scene: Scene;
  readonly #width: number;
  readonly #sightHeight: number;
  readonly #columns: Columns;
  readonly #isCompact: boolean;
  readonly #nodes: TopologyNode[] = [];
  readonly #links: TopologyLink[] = [];
  readonly #captions: LevelCaption[] = [];
  #y = 0;

  constructor(scene: Scene, width: number, sightHeight: number) {
    this.#scene = scene;
    this.#width = width;
    this.#sightHeight = sightHeight;
    this.#columns = columnsOf(width);
    this.#isCompact = width < COMPACT_WIDTH;
  }

  place(endpoints: readonly Endpoint[], waiting: readonly Stream[]): Topology {
    const shown = endpoints.slice(0, MAX_ENDPOINTS);
    const limits = limitsFor(shown);
    const client = this.#scene.actors.get(ROOT);
    const anchors: Anchor[] = [];
    let level: number | null = null;
    for (const endpoint of shown) {
      if (endpoint.level !== level) {
        level = endpoint.level;
        this.#placeCaption(endpoint);
      }
      anchors.push(this.#placeEndpoint(endpoint, limits));
    }
    const hidden = endpoints.slice(MAX_ENDPOINTS);
    if (hidden.length > 0) {
      this.#placeMore(
        `${hidden.length} more endpoints`,
        'more-endpoints',
        this.#columns.endpoint,
        hidden.map(({ actor }) => actor),
      );
    }
    if (waiting.length > 0) {
      const label = `${waiting.length} ${waiting.length === 1 ? 'stream has' : 'streams have'} no connection`;
      this.#placeMore(
        label,
        'waiting-streams',
        this.#columns.endpoint,
        waiting.map(({ actor }) => actor),
      );
    }
    const height = Math.max(this.#y, HEIGHTS.client);
    if (client !== undefined) this.#placeClient(client, anchors, height);
    return {
      width: this.#width,
      height,
      isCompact: this.#isCompact,
      nodes: this.#nodes,
      links: this.#links,
      captions: this.#captions,
    };
  }

  #placeCaption({ level, isActive }: Endpoint): void {
    const { x, width } = this.#columns.endpoint;
    this.#captions.push({ level, x, y: this.#y, width, isActive });
    this.#y += CAPTION_HEIGHT;
  }

  #placeClient(actor: ActorView, anchors: readonly Anchor[], height: number): void {
    const { x, width } = this.#columns.client;
    const nodeHeight = HEIGHTS.client;
    // Beside the middle of what it leads to, so that the links fan out evenly.
    const middles = anchors.map(({ y }) => y);
    const whole = middles.length === 0 ? height / 2 : (Math.min(...middles) + Math.max(...middles)) / 2;
    // And in sight, where the whole is not.
    const middle = height > this.#sightHeight ? Math.min(whole, this.#sightHeight / 2) : whole;
    const y = Math.max(0, Math.min(height - nodeHeight, middle - nodeHeight / 2));
    const { gauges } = this.#scene;
    this.#nodes.unshift({
      ...{ id: actor.id, kind: 'client', x, y, width, height: nodeHeight, tone: toneOf(actor), label: 'client', actor },
      ...{ checksPerSecond: gauges?.checksPerSecond ?? null },
    });
    for (const [index, anchor] of anchors.entries()) {
      const spread = nodeHeight * 0.7;
      const offset =
        anchors.length === 1 ? 0 : (index / (anchors.length - 1) - 0.5) * Math.min(spread, anchors.length * 16);
      this.#link(actor.id, [x + width, y + nodeHeight / 2 + offset], anchor, true);
    }
  }

  #placeEndpoint(endpoint: Endpoint, limits: Limits): Anchor {
    const { actor, level, isActive, connections } = endpoint;
    const top = this.#y;
    const anchors = connections
      .slice(0, limits.connections)
      .map((connection) => this.#placeConnection(connection, isActive, limits.streams));
    const hidden = connections.slice(limits.connections);
    if (hidden.length > 0) {
      const rates = totalOf(hidden);
      const label = `${hidden.length} more`;
      this.#placeMore(
        label,
        `${actor.id}/more`,
        this.#columns.connection,
        hidden.map((each) => each.actor),
        rates,
      );
    }
    const height = HEIGHTS.endpoint;
    const bottom = Math.max(this.#y, top + height);
    const { x, width } = this.#columns.endpoint;
    const y = (top + bottom - height) / 2;
    const tone = toneOf(actor);
    const checksPerSecond = totalOf(connections);
    const label =
      typeof actor.context['address'] === 'string' ? actor.context['address'] : actor.id.replace(/^endpoint:/, '');
    this.#nodes.push({
      ...{ id: actor.id, kind: 'endpoint', x, y, width, height, tone, label, actor },
      ...{ checksPerSecond, endpoint: { level, isActive } },
    });
    for (const anchor of anchors) this.#link(actor.id, [x + width, y + height / 2], anchor, false);
    this.#y = bottom + GAPS.endpoint;
    return { id: actor.id, x, y: y + height / 2, tone, rate: checksPerSecond ?? 0, isActive };
  }

  #placeConnection(connection: Connection, isActive: boolean, streamLimit: number): Anchor {
    const { actor, checksPerSecond, inFlight, streams } = connection;
    const top = this.#y;
    if (this.#isCompact) this.#y += HEIGHTS.connection + GAPS.stream;
    const isCrowd = streams.length > MANY_STREAMS;
    // One more in place of a group of one.
    const limit = isCrowd ? 0 : streams.length === streamLimit + 1 ? streams.length : streamLimit;
    const anchors = streams.slice(0, limit).map((stream) => this.#placeStream(stream, isActive));
    const hidden = streams.slice(limit);
    if (hidden.length > 0) {
      const rate = totalOf(hidden);
      anchors.push(
        this.#placeMore(
          isCrowd ? `${hidden.length} streams` : `${hidden.length} more`,
          `${actor.id}/more`,
          this.#columns.stream,
          hidden.map((each) => each.actor),
          rate,
        ),
      );
    }
    const height = HEIGHTS.connection;
    const bottom = Math.max(streams.length > 0 ? this.#y - GAPS.stream : top, top + height);
    const { x, width } = this.#columns.connection;
    const y = this.#isCompact ? top : (top + bottom - height) / 2;
    const tone = toneOf(actor);
    this.#nodes.push({
      ...{ id: actor.id, kind: 'connection', x, y, width, height, tone, label: actor.id, actor },
      ...{ checksPerSecond, inFlight },
    });
    if (!this.#isCompact)
      for (const anchor of anchors) this.#link(actor.id, [x + width, y + height / 2], anchor, false);
    this.#y = bottom + GAPS.connection;
    return { id: actor.id, x, y: y + height / 2, tone, rate: checksPerSecond ?? 0, isActive };
  }

  #placeStream({ actor, checksPerSecond, queue }: Stream, isActive: boolean): Anchor {
    const { x, width } = this.#columns.stream;
    const y = this.#y;
    const height = HEIGHTS.stream;
    const tone = toneOf(actor);
    this.#nodes.push({
      ...{ id: actor.id, kind: 'stream', x, y, width, height, tone, label: actor.id, actor },
      ...{ checksPerSecond, ...(queue === undefined ? {} : { queue }) },
    });
    this.#y += height + GAPS.stream;
    return { id: actor.id, x, y: y + height / 2, tone, rate: checksPerSecond ?? 0, isActive };
  }

  #placeMore(label: string, id: string, column: Column, of: readonly ActorView[], rate: number | null = null): Anchor {
    const { x, width } = column;
    const y = this.#y;
    const height = HEIGHTS.more;
    const counts = countTones(of);
    const tone = worstTone(of.map(toneOf));
    const attention = tone === 'ok' || tone === 'idle' || tone === 'off' ? 0 : counts[tone];
    this.#nodes.push({
      ...{ id, kind: 'more', x, y, width, height, tone, label, actor: undefined },
      ...{ checksPerSecond: rate, attention },
    });
    this.#y += height + GAPS.stream;
    return { id, x, y: y + height / 2, tone, rate: rate ?? 0, isActive: false };
  }

  #link(fromId: string, from: readonly [number, number], to: Anchor, isTrunk: boolean): void {
    this.#links.push({
      ...{ id: `${fromId}>${to.id}`, from, to: [to.x, to.y], tone: to.tone, checksPerSecond: to.rate },
      ...{ isTrunk, isActive: to.isActive },
    });
  }
}

/** Where a link ends. */
interface Anchor {
  readonly id: string;
  readonly x: number;
  readonly y: number;
  readonly tone: Tone;
  readonly rate: number;
  readonly isActive: boolean;
}

/** A curve that leaves and arrives level. */
export function linkPath({ from: [x1, y1], to: [x2, y2] }: Pick<TopologyLink, 'from' | 'to'>): string {
  const bend = (x2 - x1) / 2;
  const at = (value: number): string => value.toFixed(1);
  return `M${at(x1)} ${at(y1)}C${at(x1 + bend)} ${at(y1)} ${at(x2 - bend)} ${at(y2)} ${at(x2)} ${at(y2)}`;
}

/** Pixels: by the root, so that a tenth of the traffic is still a third of the width. `peak` is the most of late. */
export function linkWidth(checksPerSecond: number, peak: number): number {
  if (checksPerSecond <= 0) return 1.5;
  return 1.5 + 6.5 * Math.sqrt(Math.min(1, checksPerSecond / Math.max(1, peak)));
}

/** How fast traffic is drawn: 0 stands, 3 is fastest. Few steps, so that it does not stutter as the rate wavers. */
export function flowSpeed(checksPerSecond: number, peak: number): 0 | 1 | 2 | 3 {
  if (checksPerSecond < 0.05) return 0;
  const share = checksPerSecond / Math.max(1, peak);
  return share < 0.1 ? 1 : share < 0.4 ? 2 : 3;
}
