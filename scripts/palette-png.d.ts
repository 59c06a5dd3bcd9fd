/** `0xRRGGBB` each, row by row. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;
}

/** Of a PNG of 8 bits, RGB with or without alpha, not interlaced. */
export function readPng(png: Buffer): Picture;
/** A PNG of at most 256 colours. A picture that has no more keeps them all. */
export function writePalettePng(picture: Picture): Buffer;
