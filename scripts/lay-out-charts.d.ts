import type { ChartView } from '../src/inspect/protocol.js';

/** The statecharts as they were last built, by name. */
export function layOutCharts(): Promise<Record<string, ChartView>>;
