import { ProjectionError } from "./error.ts";

/** After which order, or which of its parked steps, the next page begins. */
export interface Cursor {
  readonly recordedUs: number;
  readonly orderId: string;
  readonly log: number;
}

const version = 1;

/** Opaque and versioned: base64url of version (1 byte), time (8), log (4), order id (UTF-8). */
export function formatCursor(cursor: Cursor): string {
  const head = Buffer.alloc(13);
  head[0] = version;
  head.writeBigInt64BE(BigInt(cursor.recordedUs), 1);
  head.writeInt32BE(cursor.log, 9);
  return Buffer.concat([head, Buffer.from(cursor.orderId)]).toString("base64url");
}

/** Throws ProjectionError "cursor" for what was not given out. */
export function parseCursor(text: string): Cursor {
  const bytes = /^[A-Za-z0-9_-]{18,1024}$/.test(text) ? Buffer.from(text, "base64url") : undefined;
  const recordedUs = bytes === undefined || bytes[0] !== version ? Number.NaN : Number(bytes.readBigInt64BE(1));
  const orderId = bytes?.toString("utf8", 13) ?? "";
  if (!Number.isSafeInteger(recordedUs) || orderId === "" || orderId.includes("\0")) {
    throw refuseCursor(text);
  }
  return { recordedUs, orderId, log: bytes!.readInt32BE(9) };
}

/** The error of a cursor that was not given out, or not for this list. */
export function refuseCursor(text: string): ProjectionError {
  const what = `cursor "${text.slice(0, 64)}" is not one that was given out: begin without one`;
  return new ProjectionError("cursor", what);
}
