import { describe, expect, it } from 'vitest';

import { metadataProblem } from '../../src/transport/metadata.js';

describe('metadataProblem', () => {
  it('what HTTP/2 can carry: none', () => {
    expect(
      metadataProblem({ 'x-a': 'some text~', 'x-b-bin': 'AQID', authorization: 'Bearer t' }, 1000),
    ).toBeUndefined();
    expect(metadataProblem({}, 0)).toBeUndefined();
  });

  it.each([{ 'X-A': '1' }, { 'x a': '1' }, { ':path': '/' }, { '': '1' }])('the name in %j: named', (metadata) => {
    expect(metadataProblem(metadata, 1000)).toContain(JSON.stringify(Object.keys(metadata)[0]));
  });

  it.each(['a\nb', 'a\0', 'naïve', '\u007f'])('the value %j: its name is named, the value is not', (value) => {
    const problem = metadataProblem({ authorization: value }, 1000);
    expect(problem).toContain('authorization');
    expect(problem).not.toContain(value);
  });

  it('more than the limit, counted as RFC 9113 does: refused; as much as it: not', () => {
    const metadata = { ab: 'c'.repeat(66) };
    expect(metadataProblem(metadata, 100)).toBeUndefined();
    expect(metadataProblem(metadata, 99)).toContain('100 bytes');
  });
});
