/** A list of which only the rows in sight are in the document. */

import type { ComponentChild, HTMLAttributes, JSX, RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useSize } from './hooks.js';
import { scrollTopAfterPrepend, scrollTopToReveal, visibleRows } from './window.js';

export interface VirtualListProps {
  readonly count: number;
  readonly rowHeight: number;
  readonly renderRow: (index: number) => ComponentChild;
  /** A row to keep in sight when it becomes another. */
  readonly reveal?: number | undefined;
  /** The rows ever since: more of it means that so many came in at the top. Undefined where rows come anywhere. */
  readonly prepended?: number | undefined;
  readonly attributes?: HTMLAttributes<HTMLDivElement>;
  readonly class?: string;
}

export function VirtualList(props: VirtualListProps): JSX.Element {
  const { count, rowHeight, renderRow, reveal, prepended, attributes = {}, class: extra = '' } = props;
  const [ref, { height }] = useSize<HTMLDivElement>();
  const [scrollTop, setScrollTop] = useState(0);
  useReveal(ref, reveal, rowHeight);
  usePrepend(ref, prepended, rowHeight);
  const { start, end } = visibleRows({ scrollTop, height, rowHeight, count });
  const rows: ComponentChild[] = [];
  for (let index = start; index < end; index += 1) rows.push(renderRow(index));
  return (
    <div
      {...attributes}
      ref={ref}
      class={`virtual-list ${extra}`}
      onScroll={(event) => setScrollTop(event.currentTarget.scrollTop)}
    >
      <div class="virtual-space" style={{ height: `${count * rowHeight}px` }} role="presentation">
        <div class="virtual-rows" style={{ transform: `translateY(${start * rowHeight}px)` }} role="presentation">
          {rows}
        </div>
      </div>
    </div>
  );
}

function useReveal(ref: RefObject<HTMLDivElement | null>, row: number | undefined, rowHeight: number): void {
  useEffect(() => {
    const element = ref.current;
    if (element === null || row === undefined || row < 0) return;
    const { scrollTop, clientHeight: height } = element;
    element.scrollTop = scrollTopToReveal({ scrollTop, height, rowHeight }, row);
  }, [ref, row, rowHeight]);
}

function usePrepend(ref: RefObject<HTMLDivElement | null>, prepended: number | undefined, rowHeight: number): void {
  const before = useRef(prepended);
  useLayoutEffect(() => {
    const added = (prepended ?? 0) - (before.current ?? 0);
    before.current = prepended;
    const element = ref.current;
    if (element === null || added <= 0) return;
    element.scrollTop = scrollTopAfterPrepend(element.scrollTop, rowHeight, added);
  }, [ref, prepended, rowHeight]);
}
