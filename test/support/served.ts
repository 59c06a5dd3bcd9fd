/** The server's side of a request, for tests that hold what it keeps. */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ServerResponse } from 'node:http';

const CHANNEL = 'http.server.request.start';

/** Resolves with the answer to the next request that reaches `port`, as its server has it. */
export function servedBy({ port }: { readonly port: number }): Promise<ServerResponse> {
  return new Promise((resolve) => {
    const listener = (message: unknown): void => {
      const { response } = message as { readonly response: ServerResponse };
      if (response.req.socket.localPort !== port) return;
      unsubscribe(CHANNEL, listener);
      resolve(response);
    };
    subscribe(CHANNEL, listener);
  });
}
