/**
 * Columns as PostgreSQL array literals, made by hand: the driver's own are slower and need its type look-up. One
 * literal is one text parameter, cast in the statement (`$1::text[]`).
 */

const special = /["\\]/g;

export function texts(values: readonly (string | undefined)[]): string {
  return literal(values.map((value) => (value === undefined ? "NULL" : `"${quoted(value)}"`)));
}

function quoted(value: string): string {
  special.lastIndex = 0;
  return withoutNul(special.test(value) ? value.replace(special, (char) => `\\${char}`) : value);
}

/** SQL's text cannot hold NUL, and no event may hold up its shard: it becomes U+2400, in look-ups as well. */
export function withoutNul(value: string): string {
  return value.includes("\0") ? value.replaceAll("\0", "\u2400") : value;
}

export function numbers(values: readonly (number | bigint)[]): string {
  return literal(values);
}

export function bytes(values: readonly (Uint8Array | undefined)[]): string {
  return literal(values.map((value) => (value === undefined ? "NULL" : `"\\\\x${hex(value)}"`)));
}

function hex(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex");
}

/** Microseconds since 1970 as timestamps, exactly. */
export function times(values: readonly number[]): string {
  return literal(values.map(timestamp));
}

export function optionalTimes(values: readonly (number | undefined)[]): string {
  return literal(values.map((us) => (us === undefined ? "NULL" : timestamp(us))));
}

const earliestUs = Date.parse("0001-01-01T00:00:00Z") * 1_000;
const latestUs = Date.parse("9999-12-31T23:59:59Z") * 1_000;

/** Outside the years 1 to 9999 the nearest end: SQL and ISO write such times in different ways. */
export function boundedUs(us: number): number {
  return Math.min(Math.max(us, earliestUs), latestUs);
}

export function timestamp(us: number): string {
  const bounded = boundedUs(us);
  const seconds = Math.floor(bounded / 1_000_000);
  const rest = String(bounded - seconds * 1_000_000).padStart(6, "0");
  return `${new Date(seconds * 1_000).toISOString().slice(0, 19)}.${rest}Z`;
}

function literal(values: readonly unknown[]): string {
  return `{${values.join(",")}}`;
}
