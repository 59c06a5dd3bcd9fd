/** The pictures in the documentation: read as browsers write them, and written with fewer colours. */

import { crc32, deflateSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Picture, readPng, writePalettePng } from '../../scripts/palette-png.js';

type Filter = 0 | 1 | 2 | 3 | 4;

/** The chunks of a PNG by their names. */
function chunksOf(png: Buffer): Map<string, Buffer> {
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < png.length;) {
    const end = at + 8 + png.readUInt32BE(at);
    expect(png.readUInt32BE(end)).toBe(crc32(png.subarray(at + 4, end)));
    chunks.set(png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, end));
    at = end + 4;
  }
  return chunks;
}

/** What a palette PNG shows. */
function shownBy(png: Buffer): Picture {
  const chunks = chunksOf(png);
  const [header, palette] = [chunks.get('IHDR') ?? Buffer.alloc(0), chunks.get('PLTE') ?? Buffer.alloc(0)];
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  expect([...header.subarray(8)]).toEqual([8, 3, 0, 0, 0]);
  const rows = inflateSync(chunks.get('IDAT') ?? Buffer.alloc(0));
  const pixels = new Uint32Array(width * height);
  for (let index = 0; index < pixels.length; index++) {
    const row = Math.floor(index / width);
    expect(rows[row * (width + 1)]).toBe(0);
    pixels[index] = palette.readUIntBE((rows[index + row + 1] ?? 0) * 3, 3);
  }
  return { width, height, pixels };
}

/** As a browser would, with a filter for each row. */
function written({ width, height, pixels }: Picture, channels: 3 | 4, filters: readonly Filter[]): Buffer {
  const stride = width * channels;
  const byte = (row: number, column: number): number => {
    if (row < 0 || column < 0) return 0;
    const channel = column % channels;
    const color = pixels[row * width + Math.floor(column / channels)] ?? 0;
    return channel === 3 ? 255 : (color >> (16 - 8 * channel)) & 255;
  };
  const guess = (filter: Filter, left: number, up: number, upLeft: number): number => {
    if (filter < 4) return [0, left, up, Math.floor((left + up) / 2)][filter] ?? 0;
    const distances = [left, up, upLeft].map((each) => Math.abs(left + up - upLeft - each));
    return [left, up, upLeft][distances.indexOf(Math.min(...distances))] ?? 0;
  };
  const rows = Array.from({ length: height }, (_, row) => {
    const filter = filters[row % filters.length] ?? 0;
    return Buffer.from([
      filter,
      ...Array.from({ length: stride }, (__, column) => {
        const [left, up] = [byte(row, column - channels), byte(row - 1, column)];
        const upLeft = column < channels ? 0 : byte(row - 1, column - channels);
        return (byte(row, column) - guess(filter, left, up, upLeft)) & 255;
      }),
    ]);
  });
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, channels === 3 ? 2 : 6], 8);
  const parts: [string, Buffer][] = [
    ['IHDR', header],
    ['IDAT', deflateSync(Buffer.concat(rows))],
    ['IEND', Buffer.alloc(0)],
  ];
  const chunks = parts.map(([name, data]) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    return Buffer.concat([length, Buffer.from(name, 'latin1'), data, Buffer.alloc(4)]);
  });
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...chunks]);
}

const color = fc.nat(0xffffff);
const pictureOf = (colors: fc.Arbitrary<number>): fc.Arbitrary<Picture> =>
  fc
    .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }))
    .chain(([width, height]) =>
      fc
        .array(colors, { minLength: width * height, maxLength: width * height })
        .map((pixels) => ({ width, height, pixels: Uint32Array.from(pixels) })),
    );

describe('a picture', () => {
  it('as a browser wrote it, with any filters, with alpha or without: is read as it was', () => {
    const filter = fc.constantFrom<Filter[]>(0, 1, 2, 3, 4);
    const filters = fc.array(filter, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(pictureOf(color), fc.constantFrom(3 as const, 4 as const), filters, (picture, channels, used) => {
        expect(readPng(written(picture, channels, used))).toEqual(picture);
      }),
    );
  });

  it('of at most 256 colours: keeps them all', () => {
    fc.assert(
      fc.property(pictureOf(color), (picture) => {
        expect(shownBy(writePalettePng(picture))).toEqual(picture);
      }),
    );
  });

  it('of 4,096 colours on a large background: has 256, the background as it was, and no colour far from its own', () => {
    const colors = Array.from(
      { length: 4_096 },
      (_, n) => ((n >> 8) << 20) | (((n >> 4) & 15) << 12) | ((n & 15) << 4),
    );
    const background = 0x11141b;
    const pixels = Uint32Array.from([...colors, ...Array.from({ length: 60_000 }, () => background)]);
    const { pixels: shown } = shownBy(writePalettePng({ width: pixels.length, height: 1, pixels }));
    expect(new Set(shown).size).toBe(256);
    expect(new Set(shown.subarray(4_096))).toEqual(new Set([background]));
    const far = colors.map((each, index) => {
      const other = shown[index] ?? 0;
      return Math.max(...[16, 8, 0].map((bits) => Math.abs(((each >> bits) & 255) - ((other >> bits) & 255))));
    });
    expect(Math.max(...far)).toBeLessThanOrEqual(64);
  });

  it.each([
    ['no PNG', Buffer.from('GIF89a..'), 'is no PNG'],
    ['a palette PNG', writePalettePng({ width: 1, height: 1, pixels: Uint32Array.of(7) }), 'is a PNG of another kind'],
  ])('that is %s: is refused', (_name, bytes, message) => {
    expect(() => readPng(bytes)).toThrow(message);
  });
});
