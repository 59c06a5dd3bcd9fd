/** Figures and moments as text of a steady width. */

export const NONE = '–';

const LARGE = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** `0`, `0.4`, `37`, `940`, `1.2k`, `13k`, `2.0M`: at most four characters, but for what is beyond all measure. */
export function formatCount(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return NONE;
  for (const [unit, suffix] of LARGE) {
    // What would be rounded up to the unit is told in it.
    if (value >= unit * 0.9995) {
      const scaled = value / unit;
      return `${scaled < 9.95 ? scaled.toFixed(1) : scaled.toFixed(0)}${suffix}`;
    }
  }
  return value > 0 && value < 9.95 && !Number.isInteger(value) ? value.toFixed(1) : value.toFixed(0);
}

/** `0.42 ms`, `12.3 ms`, `640 ms`, `1.24 s`. */
export function formatMs(ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return NONE;
  if (ms >= 999.5) return `${(ms / 1_000).toFixed(ms < 9_995 ? 2 : 1)} s`;
  return `${ms.toFixed(ms < 0.995 ? 2 : ms < 99.95 ? 1 : 0)} ms`;
}

const pad = (value: number, width: number): string => String(value).padStart(width, '0');

/** `12:03:04.123`, in the zone of whoever looks. */
export function formatClock(at: number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return NONE;
  return `${pad(date.getHours(), 2)}:${pad(date.getMinutes(), 2)}:${pad(date.getSeconds(), 2)}.${pad(date.getMilliseconds(), 3)}`;
}

/** `0.3 s`, `42 s`, `3 min`, `2 h`, `4 d`: how long something took or is ago. */
export function formatSpan(ms: number): string {
  const span = Math.max(0, ms);
  if (span < 9_950) return `${(span / 1_000).toFixed(1)} s`;
  if (span < 119_500) return `${(span / 1_000).toFixed(0)} s`;
  if (span < 120 * 60_000) return `${(span / 60_000).toFixed(0)} min`;
  if (span < 48 * 3_600_000) return `${(span / 3_600_000).toFixed(0)} h`;
  return `${(span / 86_400_000).toFixed(0)} d`;
}

/** A value of a context or of an event on one line. */
export function formatValue(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  return JSON.stringify(value);
}

export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** XState's own events as the charts have them: `after backoff` for `xstate.after.backoff.connection.reconnecting`. */
export function formatEvent(type: string): string {
  const [, delay] = /^xstate\.after\.([^.]+)\./.exec(type) ?? [];
  if (delay !== undefined) return `after ${delay}`;
  return type === 'xstate.init' ? 'begins' : type;
}
