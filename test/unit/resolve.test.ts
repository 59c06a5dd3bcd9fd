import { fc, it as prop } from '@fast-check/vitest';
import { isIPv6 } from 'node:net';
import { describe, expect, it } from 'vitest';

import { parseAddress } from '../../src/core/address.js';
import { interleaveFamilies, resolveTargets } from '../../src/transport/resolve.js';

const nobody = (): Promise<string[]> => Promise.reject(new Error('asked'));

describe('interleaveFamilies', () => {
  it('several of both: in turns, the family of the best one first', () => {
    expect(interleaveFamilies(['::1', '::2', '::3', '10.0.0.1', '10.0.0.2'])).toEqual([
      '::1',
      '10.0.0.1',
      '::2',
      '10.0.0.2',
      '::3',
    ]);
    expect(interleaveFamilies(['10.0.0.1', '::1'])).toEqual(['10.0.0.1', '::1']);
  });

  it('none: none', () => {
    expect(interleaveFamilies([])).toEqual([]);
  });

  prop.prop([fc.array(fc.oneof(fc.ipV4(), fc.ipV6()))])('any: each once, and each family in its own order', (all) => {
    const result = interleaveFamilies(all);
    expect(result).toHaveLength(all.length);
    for (const six of [true, false]) {
      expect(result.filter((ip) => isIPv6(ip) === six)).toEqual(all.filter((ip) => isIPv6(ip) === six));
    }
  });
});

describe('resolveTargets', () => {
  it('IP addresses and sockets: themselves, and nobody is asked', async () => {
    expect(await resolveTargets(parseAddress('10.0.0.1:50'), nobody)).toEqual([{ host: '10.0.0.1', port: 50 }]);
    expect(await resolveTargets(parseAddress('[::1]:50'), nobody)).toEqual([{ host: '::1', port: 50 }]);
    expect(await resolveTargets(parseAddress('unix:/tmp/s'), nobody)).toEqual([{ path: '/tmp/s' }]);
  });

  it('a name: all its addresses, each with the port', async () => {
    const asked: string[] = [];
    const lookup = (name: string): Promise<string[]> => {
      asked.push(name);
      return Promise.resolve(['10.0.0.1', '::1']);
    };
    expect(await resolveTargets(parseAddress('dns:///Engine.example:50'), lookup)).toEqual([
      { host: '10.0.0.1', port: 50 },
      { host: '::1', port: 50 },
    ]);
    expect(asked).toEqual(['engine.example']);
  });

  it('a name without addresses, or that fails: rejects', async () => {
    await expect(resolveTargets(parseAddress('engine:50'), () => Promise.resolve([]))).rejects.toThrow('no address');
    await expect(resolveTargets(parseAddress('engine:50'), nobody)).rejects.toThrow('asked');
  });
});
