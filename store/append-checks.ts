import type { Routed } from "./appends.ts";
import { StoreError } from "./error.ts";
import { appendBytesMax, appendEventsMax, namedStreamsMax } from "./limits.ts";

/** What holds of several appends in one request, and of those that one batch takes together. */

/** How many appends one request may have. Throws StoreError "invalid". */
export function checkCount(count: number, max: number): void {
  if (count === 0 || count > max) throw invalid("appends", `a request has 1 to ${max} appends, this one ${count}`);
}

/** Throws StoreError "invalid" that says what does not go together, and what would. */
export function checkTogether(routed: readonly Routed[]): void {
  const seen = new Set<string>();
  let events = 0;
  let bytes = 0;
  for (const [at, { home, part }] of routed.entries()) {
    const { stream } = part.request;
    if (seen.has(stream)) throw invalid(`appends/${at}/stream`, `stream ${stream} stands in this append twice`);
    seen.add(stream);
    if (home !== routed[0]!.home) throw apart("home region", "", routed, (one) => one.home);
    events += part.events.length;
    bytes += part.bytes;
  }
  if (routed.some(({ place }) => place?.log !== routed[0]!.place?.log)) {
    throw apart("log", "", routed, ({ place }) => place?.log.name ?? "");
  }
  if (routed.some(({ way }) => way !== routed[0]!.way)) {
    const how =
      "; streams with the same text in braces are of one shard, such as cart-{7} and stock-{7}; a minted id names its own";
    throw apart("shard", how, routed, ({ place }) => `shard ${place?.shard}`);
  }
  if (events > appendEventsMax) {
    throw invalid(
      "appends",
      `an append has at most ${appendEventsMax} events, over all its streams; this one ${events}`,
    );
  }
  if (bytes > appendBytesMax) {
    throw invalid("appends", `an append has at most ${appendBytesMax} bytes, over all its streams; this one ${bytes}`);
  }
}

function apart(what: string, how: string, routed: readonly Routed[], of: (one: Routed) => string): StoreError {
  const parts = new Map<string, string[]>();
  for (const one of routed) {
    const streams = parts.get(of(one)) ?? [];
    streams.push(one.part.request.stream);
    parts.set(of(one), streams);
  }
  const listed = [...parts].map(([name, streams]) => `${name}: ${list(streams)}`).join("; ");
  return invalid("appends", `the streams of one append must be of one ${what}, and these are not (${listed})${how}`);
}

function list(streams: readonly string[]): string {
  const named = streams.slice(0, namedStreamsMax).join(", ");
  return streams.length <= namedStreamsMax ? named : `${named} and ${streams.length - namedStreamsMax} more`;
}

/** Names the place in the whole request where one of its appends is refused. */
export function inAppend<T>(at: number, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof StoreError) || error.details.field === undefined) throw error;
    const details = { ...error.details, field: `appends/${at}/${error.details.field}` };
    throw new StoreError(error.code, error.message, details, { cause: error });
  }
}

const invalid = (field: string, message: string) => new StoreError("invalid", message, { field });
