import { hash, randomFillSync } from "node:crypto";
import { crc32 } from "node:zlib";
import { StoreError } from "./error.ts";

const streamPattern = /^[A-Za-z0-9._~{}-]{1,128}$/;
const uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
/** What looks tagged: `<region tag>-<two hex digits>-<UUID>` after the category. */
const taggedPattern = new RegExp(`^[A-Za-z0-9._~{}]+-([a-z][a-z0-9]{1,7})-([0-9a-f]{2})-(${uuid})$`);
const uuidv7Pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/;

export const isStreamId = (text: string): boolean => streamPattern.test(text);

/** Throws StoreError "invalid" unless `stream` matches [A-Za-z0-9._~{}-]{1,128} and has a category. */
export function checkStreamId(stream: string): void {
  if (!streamPattern.test(stream)) {
    throw new StoreError(
      "invalid",
      `stream id ${JSON.stringify(stream.slice(0, 140))} must match [A-Za-z0-9._~{}-]{1,128}`,
      { field: "stream" },
    );
  }
  if (stream.startsWith("-")) {
    throw new StoreError("invalid", `stream id "${stream}" must begin with its category, before the first hyphen`, {
      field: "stream",
    });
  }
}

/** What stands before the first hyphen; the whole id where there is none. */
export function streamCategory(stream: string): string {
  const hyphen = stream.indexOf("-");
  return hyphen < 0 ? stream : stream.slice(0, hyphen);
}

export interface Tag {
  /** The home region's tag. */
  readonly tag: string;
  readonly shard: number;
  /** Milliseconds since 1970, from the UUIDv7. */
  readonly timeMs: number;
}

let latest: { readonly stream: string; readonly tag: string; readonly shard: number; readonly id: string } | undefined;

/** On its way an append's stream is split more than once: the last one is remembered. */
function split(stream: string): typeof latest {
  if (latest?.stream === stream) return latest;
  const [, tag, shard, id] = taggedPattern.exec(stream) ?? [];
  if (tag === undefined || shard === undefined || id === undefined) return undefined;
  latest = { stream, tag, shard: Number.parseInt(shard, 16), id };
  return latest;
}

/** The tag of a minted id, undefined where the id does not look tagged. Throws "invalid" where it looks so and is not. */
export function parseTag(stream: string, tags: ReadonlySet<string>, shards: number): Tag | undefined {
  if (stream.length < 44) return undefined;
  const parts = split(stream);
  if (parts === undefined) return undefined;
  const { tag, shard, id } = parts;
  const refuse = (why: string) =>
    new StoreError("invalid", `stream id "${stream}" looks like a minted id, but ${why}`, { field: "stream" });
  if (!tags.has(tag)) throw refuse(`no region has the tag "${tag}"`);
  if (shard >= shards) throw refuse(`its shard ${shard} is not below ${shards}`);
  if (!uuidv7Pattern.test(id)) throw refuse("its last part is not a UUIDv7");
  return { tag, shard, timeMs: Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) };
}

/** Shard of an untagged id: CRC-32 (IEEE) of the UTF-8 of its key modulo the shards; the key is the first non-empty {…}, else all. */
export function hashShard(stream: string, shards: number): number {
  const open = stream.indexOf("{");
  const key = open < 0 ? stream : (/\{([^}]+)\}/.exec(stream)?.[1] ?? stream);
  return crc32(key) % shards;
}

let lastMs = 0;
let counter = 0;
const random = Buffer.alloc(8 * 512);
let randomAt = random.length;

/** A UUIDv7 (RFC 9562, method 1: a 12-bit counter within the millisecond); sorted within a process. */
export function uuidv7(nowMs: number): string {
  // A clock that was set back by more than a second is believed: order within the process matters less than the true time.
  if (nowMs > lastMs || nowMs < lastMs - 1_000) {
    lastMs = nowMs;
    counter = 0;
  } else if (++counter > 0xfff) {
    lastMs++;
    counter = 0;
  }
  if (randomAt === random.length) {
    randomFillSync(random);
    randomAt = 0;
  }
  const tail = random.toString("hex", randomAt, randomAt + 8);
  randomAt += 8;
  const time = lastMs.toString(16).padStart(12, "0");
  const variant = "89ab"[random[randomAt - 8]! & 3]!;
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter.toString(16).padStart(3, "0")}-${variant}${tail.slice(1, 4)}-${tail.slice(4)}`;
}

/** `<region tag>-<shard, two hex digits>-<UUIDv7>`: says by itself where it lives and when it was made. */
export function mintId(tag: string, shard: number, nowMs: number): string {
  return `${tag}-${shard.toString(16).padStart(2, "0")}-${uuidv7(nowMs)}`;
}

/** Namespace of every id that Meridian derives (a UUIDv4 made once). */
const namespace = Buffer.from("6f1d8f0e4c1b4f6d9a7e2b3c5d4e6f70", "hex");

/** UUIDv5 (RFC 9562) of the parts, each preceded by its length so that no two lists run together. */
export function uuidv5(...parts: readonly string[]): string {
  let name = "";
  for (const part of parts) name += `${Buffer.byteLength(part)}:${part}`;
  const bytes = Buffer.allocUnsafe(16 + name.length * 3);
  const length = namespace.copy(bytes) + bytes.write(name, 16);
  const hex = hash("sha1", bytes.subarray(0, length), "hex");
  const variant = "89ab"[Number.parseInt(hex[16]!, 16) & 3]!;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** The id of something that follows from an event: event ids are unique only within (tenant, home, log, stream). */
export function derivedId(cause: {
  readonly tenant: string;
  readonly home: string;
  readonly log: string;
  readonly stream: string;
  readonly event: string;
  readonly purpose: string;
}): string {
  return uuidv5(cause.tenant, cause.home, cause.log, cause.stream, cause.event, cause.purpose);
}
