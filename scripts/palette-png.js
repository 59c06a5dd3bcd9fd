// A picture of a page has thousands of colours, most of them on the edges of letters: with 256 it looks the same and is a third as large.
import { crc32, deflateSync, inflateSync } from 'node:zlib';

/** @typedef {{ width: number, height: number, pixels: Uint32Array }} Picture `0xRRGGBB` each, row by row */

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const MAX_COLORS = 256;

/**
 * Of a PNG as browsers write it: 8 bits, RGB with or without alpha, not interlaced. What is transparent becomes opaque.
 *
 * @param {Buffer} png
 * @returns {Picture}
 */
export function readPng(png) {
  if (!png.subarray(0, 8).equals(SIGNATURE)) throw new Error('is no PNG');
  const width = png.readUInt32BE(16);
  const height = png.readUInt32BE(20);
  const [depth, type, , , interlace] = png.subarray(24, 29);
  const channels = type === 2 ? 3 : type === 6 ? 4 : undefined;
  if (depth !== 8 || channels === undefined || interlace !== 0) throw new Error('is a PNG of another kind');
  const parts = [];
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') parts.push(png.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const bytes = unfilter(inflateSync(Buffer.concat(parts)), width * channels, channels);
  const pixels = new Uint32Array(width * height);
  for (let index = 0; index < pixels.length; index++) pixels[index] = bytes.readUIntBE(index * channels, 3);
  return { width, height, pixels };
}

/**
 * Each row says by its first byte how it differs from what is left of it and above.
 *
 * @param {Buffer} filtered
 * @param {number} stride
 * @param {number} channels
 */
function unfilter(filtered, stride, channels) {
  const rows = filtered.length / (stride + 1);
  const bytes = Buffer.alloc(rows * stride);
  for (let row = 0; row < rows; row++) {
    const filter = filtered[row * (stride + 1)] ?? 0;
    const start = row * stride;
    for (let column = 0; column < stride; column++) {
      const left = column < channels ? 0 : (bytes[start + column - channels] ?? 0);
      const up = row === 0 ? 0 : (bytes[start + column - stride] ?? 0);
      const upLeft = row === 0 || column < channels ? 0 : (bytes[start + column - stride - channels] ?? 0);
      const byte = filtered[row * (stride + 1) + 1 + column] ?? 0;
      bytes[start + column] = byte + predict(filter, left, up, upLeft);
    }
  }
  return bytes;
}

/**
 * @param {number} filter
 * @param {number} left
 * @param {number} up
 * @param {number} upLeft
 */
function predict(filter, left, up, upLeft) {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const [toLeft, toUp, toUpLeft] = [Math.abs(up - upLeft), Math.abs(left - upLeft), Math.abs(left + up - 2 * upLeft)];
  if (toLeft <= toUp && toLeft <= toUpLeft) return left;
  return toUp <= toUpLeft ? up : upLeft;
}

/**
 * A PNG of at most 256 colours. A picture that has no more keeps them all.
 *
 * @param {Picture} picture
 */
export function writePalettePng({ width, height, pixels }) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (const color of pixels) counts.set(color, (counts.get(color) ?? 0) + 1);
  const palette = paletteOf(counts);
  const indexes = new Map([...counts.keys()].map((color) => [color, nearest(palette, color)]));
  const rows = Buffer.alloc(height * (width + 1));
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      rows[row * (width + 1) + 1 + column] = indexes.get(pixels[row * width + column] ?? 0) ?? 0;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3], 8);
  const colors = Buffer.alloc(palette.length * 3);
  palette.forEach((color, index) => colors.writeUIntBE(color, index * 3, 3));
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('PLTE', colors),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** @type {(name: string, data: Buffer) => Buffer} */
function chunk(name, data) {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** @type {(color: number) => readonly [number, number, number]} */
const channelsOf = (color) => [color >> 16, (color >> 8) & 255, color & 255];

/**
 * Median cut: the box of colours that is worst off is halved until there are enough boxes; each is shown by its most frequent colour, so that
 * large areas keep theirs exactly.
 *
 * @param {ReadonlyMap<number, number>} counts
 */
function paletteOf(counts) {
  const boxes = [boxOf([...counts])];
  while (boxes.length < MAX_COLORS) {
    const worst = boxes.reduce((one, other) => (other.error > one.error ? other : one));
    if (worst.error === 0) break;
    const { entries, axis } = worst;
    entries.sort(([one], [other]) => (channelsOf(one)[axis] ?? 0) - (channelsOf(other)[axis] ?? 0));
    const half = entries.reduce((sum, [, count]) => sum + Math.sqrt(count), 0) / 2;
    let cut = 0;
    for (let sum = 0; cut < entries.length - 1 && (cut === 0 || sum < half); cut++)
      sum += Math.sqrt(entries[cut]?.[1] ?? 0);
    boxes.splice(boxes.indexOf(worst), 1, boxOf(entries.slice(0, cut)), boxOf(entries.slice(cut)));
  }
  return boxes.map(({ entries }) => entries.reduce((one, other) => (other[1] > one[1] ? other : one))[0]);
}

/**
 * @param {[color: number, count: number][]} entries
 * @returns {{ entries: [color: number, count: number][], axis: number, error: number }}
 */
function boxOf(entries) {
  const ranges = [0, 1, 2].map((axis) => {
    let [low, high] = [255, 0];
    for (const [color] of entries) {
      const value = channelsOf(color)[axis] ?? 0;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    return high - low;
  });
  const range = Math.max(...ranges);
  // By the root, so that the many pixels of the background do not take all colours.
  const weight = entries.reduce((sum, [, count]) => sum + Math.sqrt(count), 0);
  return { entries, axis: ranges.indexOf(range), error: range * weight };
}

/** @type {(palette: readonly number[], color: number) => number} */
function nearest(palette, color) {
  const [red, green, blue] = channelsOf(color);
  let [best, bestDistance] = [0, Infinity];
  palette.forEach((candidate, index) => {
    const [r, g, b] = channelsOf(candidate);
    const distance = 2 * (r - red) ** 2 + 4 * (g - green) ** 2 + 3 * (b - blue) ** 2;
    if (distance < bestDistance) [best, bestDistance] = [index, distance];
  });
  return best;
}
