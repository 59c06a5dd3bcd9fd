/** From an address to what can be dialled, in the order in which to try. */

import { lookup as dnsLookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';

import type { ParsedAddress } from '../core/address.js';

export type DialTarget = { readonly host: string; readonly port: number } | { readonly path: string };

/** All IP addresses of a name, best first. */
export type Lookup = (name: string) => Promise<readonly string[]>;

/** The system's resolver, and its order. */
export const systemLookup: Lookup = async (name) => {
  const found = await dnsLookup(name, { all: true, verbatim: true });
  return found.map(({ address }) => address);
};

/** RFC 8305, section 4: the families take turns, beginning with the family of the best address. */
export function interleaveFamilies(addresses: readonly string[]): string[] {
  const [best] = addresses;
  if (best === undefined) return [];
  const first = addresses.filter((address) => isIPv6(address) === isIPv6(best));
  const second = addresses.filter((address) => isIPv6(address) !== isIPv6(best));
  const result: string[] = [];
  for (let index = 0; index < Math.max(first.length, second.length); index += 1) {
    result.push(...first.slice(index, index + 1), ...second.slice(index, index + 1));
  }
  return result;
}

/** Rejects when the name has no address. */
export async function resolveTargets(address: ParsedAddress, lookup: Lookup): Promise<DialTarget[]> {
  const { kind, host = 'localhost', port = 0, path = '' } = address;
  if (kind === 'unix') return [{ path }];
  if (kind === 'tcp') return [{ host, port }];
  const found = interleaveFamilies(await lookup(host));
  if (found.length === 0) throw new Error(`the name ${host} has no address`);
  return found.map((ip) => ({ host: ip, port }));
}
