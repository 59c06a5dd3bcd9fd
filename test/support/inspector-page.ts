/** The inspector as its page sees it: real requests, and the stream read line by line. */

import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Frame, Hello, Message } from '../../src/inspect/protocol.js';
import { Changes } from './recorder.js';

interface Served {
  readonly url: string;
  readonly port: number;
}

interface Asked {
  readonly method?: string;
  /** Undefined leaves out what is sent else. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: string | undefined;
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  /** Undefined where it is no JSON. */
  readonly json: unknown;
}

export const tokenOf = ({ url }: Served): string => /#token=(.*)$/.exec(url)?.[1] ?? '';

/** Sends exactly these headers, as a browser, or somebody worse, would. */
function send({ port }: Served, path: string, { method = 'GET', headers = {}, body }: Asked): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const given: [string, string | undefined][] = Object.entries({ host: `127.0.0.1:${port}`, ...headers });
    const sent = given.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
    const outgoing = httpRequest({
      host: '127.0.0.1',
      port,
      path,
      method,
      headers: Object.fromEntries(sent),
      agent: false,
    });
    outgoing.once('response', resolve);
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

export async function request(inspector: Served, path: string, asked: Asked = {}): Promise<Answered> {
  const response = await send(inspector, path, asked);
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.statusCode ?? 0, headers: response.headers, text, json };
}

/** A page that watches. */
export class PageReader extends Changes {
  readonly messages: Message[] = [];
  /** The stream has ended, or was cut. */
  ended = false;
  /** All that came, as it came. */
  text = '';
  readonly #response: IncomingMessage;
  #rest = '';

  private constructor(response: IncomingMessage) {
    super();
    this.#response = response;
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => this.#take(chunk));
    response.once('error', () => undefined);
    response.once('close', () => {
      this.ended = true;
      this.changed();
    });
  }

  static async open(inspector: Served, headers: Asked['headers'] = {}): Promise<PageReader> {
    const response = await send(inspector, '/stream', {
      headers: { authorization: `Bearer ${tokenOf(inspector)}`, ...headers },
    });
    if (response.statusCode !== 200) throw new Error(`/stream answered ${response.statusCode ?? 0}`);
    return new PageReader(response);
  }

  async hello(): Promise<Hello> {
    await this.until(() => this.messages.length > 0, 'hello');
    const [hello] = this.messages;
    if (hello?.type !== 'hello') throw new Error('the stream does not begin with hello');
    return hello;
  }

  get frames(): Frame[] {
    return this.messages.filter((message) => message.type === 'frame');
  }

  /** The first frame that fits, of those that came and those that will. */
  async frame(what: string, fits: (frame: Frame) => boolean): Promise<Frame> {
    await this.until(() => this.frames.some(fits), what);
    return this.frames.find(fits) as Frame;
  }

  leave(): void {
    this.#response.destroy();
  }

  #take(chunk: string): void {
    this.text += chunk;
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.messages.push(JSON.parse(line) as Message);
    this.changed();
  }
}
