import { createHash } from "node:crypto";
import type { Archive, LogKey, StreamRange } from "../archive.ts";
import { StoreError } from "../error.ts";
import type { ListOptions, StreamPage } from "../event-store.ts";
import { isStreamId } from "../ids.ts";
import { streamPageDefault, streamPageMax } from "../limits.ts";
import { invalidField } from "../messages.ts";
import { checkCategory, checkPrefix } from "./read-checks.ts";

/** What is listed: ids from `from` to below `below`, behind the page before. */
export interface ListRange extends StreamRange {
  /** What a page token is bound to, besides the log. */
  readonly asked: readonly string[];
  readonly pageToken: string;
}

/** Throws StoreError "invalid" that names the field. */
export function checkList(options: ListOptions): ListRange {
  const { category = "", prefix = "", pageSize = streamPageDefault, pageToken = "" } = options;
  if (category !== "") checkCategory(category, "category");
  if (prefix !== "") checkPrefix(prefix, "prefix");
  if (!(Number.isSafeInteger(pageSize) && pageSize >= 1 && pageSize <= streamPageMax)) {
    throw invalidField("page_size", `must be from 1 to ${streamPageMax}, not ${pageSize}`);
  }
  // A category's ids are the category and what goes on with a hyphen, the least of all bytes that an id may have.
  const belows = [category === "" ? endOfIds : `${category}.`, prefix === "" ? endOfIds : following(prefix)];
  const [from, below] = [[category, prefix].sort().at(-1)!, belows.sort()[0]!];
  return { from, below, limit: pageSize, asked: [category, prefix], pageToken };
}

/** Above every id: their largest byte is "~". */
const endOfIds = "\x7f";

/** The least text above all that begin with `prefix`. */
function following(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

export async function listStreams(archive: Archive, log: LogKey, range: ListRange): Promise<StreamPage> {
  const { below, limit, pageToken } = range;
  // The least id above one is that with a hyphen behind it.
  const from = pageToken === "" ? range.from : `${readToken(pageToken, log, range)}-`;
  if (from >= below) return { streams: [] };
  // One more than asked for tells whether there is another page.
  const found = await archive.listStreams(log, { from, below, limit: limit + 1 });
  const streams = found.slice(0, limit).map(({ sequence, index, ...stream }) => {
    const position = { log: log.identity, shard: stream.shard, sequence, index };
    return { ...stream, home: log.home, log: log.log, position };
  });
  const last = streams.at(-1);
  if (found.length <= limit || last === undefined) return { streams };
  return { streams, nextPageToken: formatToken(last.stream, log, range) };
}

const version = 1;
const proofBytes = 8;

/** Opaque and versioned: base64url of version (1 byte), proof (8), the last stream's id. */
function formatToken(stream: string, log: LogKey, range: ListRange): string {
  const bytes = [Buffer.of(version), proofOf(stream, log, range), Buffer.from(stream)];
  return Buffer.concat(bytes).toString("base64url");
}

/** The last stream of the page before. */
function readToken(token: string, log: LogKey, range: ListRange): string {
  const bytes = /^[A-Za-z0-9_-]{14,183}$/.test(token) ? Buffer.from(token, "base64url") : undefined;
  const stream = bytes?.toString("latin1", 1 + proofBytes) ?? "";
  const proof = bytes?.subarray(1, 1 + proofBytes);
  const ours = proof !== undefined && Buffer.compare(proof, proofOf(stream, log, range)) === 0;
  if (bytes?.[0] === version && ours && isStreamId(stream)) return stream;
  throw new StoreError(
    "invalid",
    "page_token is not one that was given out for this log, category and prefix: begin without one",
    { field: "page_token" },
  );
}

/** Binds a token to what it was given out for. No secret: a stream's id is all that one could smuggle in, and may ask for. */
function proofOf(stream: string, log: LogKey, { asked }: ListRange): Buffer {
  const text = JSON.stringify([Buffer.from(log.identity).toString("hex"), ...asked, stream]);
  return createHash("sha256").update(text).digest().subarray(0, proofBytes);
}
