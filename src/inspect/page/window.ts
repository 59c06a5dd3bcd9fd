/** Which rows of a long list are drawn: all rows are equally high, and only those in sight exist. */

export interface Viewport {
  readonly scrollTop: number;
  readonly height: number;
  readonly rowHeight: number;
  readonly count: number;
}

/** `end` is exclusive. */
export interface RowRange {
  readonly start: number;
  readonly end: number;
}

/** Rows in sight and `overscan` more on either side. */
export function visibleRows({ scrollTop, height, rowHeight, count }: Viewport, overscan = 6): RowRange {
  // A list that became shorter is still scrolled to where it ended.
  const top = clamp(scrollTop, 0, Math.max(0, count * rowHeight - height));
  const start = Math.max(0, Math.floor(top / rowHeight) - overscan);
  const end = Math.min(count, Math.ceil((top + height) / rowHeight) + overscan);
  return { start, end: Math.max(start, end) };
}

/** Where to scroll so that a row is wholly in sight; the nearest such place. */
export function scrollTopToReveal({ scrollTop, height, rowHeight }: Omit<Viewport, 'count'>, row: number): number {
  const top = row * rowHeight;
  if (top < scrollTop) return top;
  if (top + rowHeight > scrollTop + height) return Math.max(0, top + rowHeight - height);
  return scrollTop;
}

/** Rows came in above: where to scroll so that what is read stays where it is. At the very top, the newest are followed. */
export function scrollTopAfterPrepend(scrollTop: number, rowHeight: number, added: number): number {
  return scrollTop <= 1 ? 0 : scrollTop + added * rowHeight;
}

export const clamp = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));
