import { isDay } from "../orders/submission-rules.ts";

const time = /^\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.(\d{1,9}))?(?:[Zz]|[+-]\d\d:\d\d)$/;

/**
 * A time of RFC 3339 in microseconds since 1970; undefined: it is none. What is finer is rounded up: of whole microseconds
 * the same ones lie before it, and the same ones do not.
 */
export function parseTimeUs(text: string): number | undefined {
  const match = time.exec(text);
  const { 1: fraction = "" } = match ?? [];
  const ms = match === null ? Number.NaN : Date.parse(text.toUpperCase().replace(/\.\d+/, ""));
  if (Number.isNaN(ms) || !isDay(text)) return undefined;
  return ms * 1_000 + Math.ceil(Number(fraction.padEnd(9, "0")) / 1_000);
}

/** RFC 3339 with microseconds, in UTC. */
export function isoMicroseconds(timeUs: number): string {
  const ms = Math.floor(timeUs / 1000);
  const micros = String(timeUs - ms * 1000).padStart(3, "0");
  return new Date(ms).toISOString().replace("Z", `${micros}Z`);
}
