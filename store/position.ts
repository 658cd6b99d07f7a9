import { StoreError } from "./error.ts";

/** Where an event stands. Opaque on the wire: see formatPosition. */
export interface Position {
  /** 16 bytes: the generation of the log. */
  readonly log: Uint8Array;
  readonly shard: number;
  readonly sequence: number;
  /** Index of the event in its batch. */
  readonly index: number;
}

const version = 1;
const formatted = Buffer.alloc(30);
formatted[0] = version;

/** Opaque and versioned: base64url of version (1 byte), log (16), shard (1), sequence (8), index (4), big-endian. */
export function formatPosition(position: Position): string {
  formatted.set(position.log, 1);
  formatted[17] = position.shard;
  const high = Math.floor(position.sequence / 2 ** 32);
  formatted.writeUInt32BE(high, 18);
  formatted.writeUInt32BE(position.sequence - high * 2 ** 32, 22);
  formatted.writeUInt32BE(position.index, 26);
  return formatted.toString("base64url");
}

/** Throws StoreError "invalid" when the text is not a position. */
export function parsePosition(text: string): Position {
  const bytes = /^[A-Za-z0-9_-]{40}$/.test(text) ? Buffer.from(text, "base64url") : undefined;
  const sequence = bytes?.readBigUInt64BE(18) ?? 0n;
  if (bytes === undefined || bytes[0] !== version || sequence > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new StoreError("invalid", `position "${text.slice(0, 64)}" is not one that this store gave out`, {
      field: "position",
    });
  }
  return {
    log: new Uint8Array(bytes.subarray(1, 17)),
    shard: bytes[17]!,
    sequence: Number(sequence),
    index: bytes.readUInt32BE(26),
  };
}
