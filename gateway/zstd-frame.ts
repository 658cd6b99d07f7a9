import { FormatError } from "../store/format-error.ts";

const magic = 0xfd2fb528;
const dictionaryBytes = [0, 1, 2, 4] as const;
const contentSizeBytes = [0, 2, 4, 8] as const;
const blockTypes = { repeated: 1, reserved: 3 } as const;

/**
 * Throws FormatError unless the bytes are one whole zstd frame: of one that is cut off, node:zlib gives what there is as if
 * it were all, and of what comes behind one, Bun gives more and Deno nothing. RFC 8878, 3.1.1.
 */
export function checkFrame(bytes: Uint8Array): void {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < 5) throw truncated(view);
  if (view.readUInt32LE(0) !== magic) {
    throw new FormatError("magic", `a zstd frame begins with 28b52ffd, these bytes with ${view.toString("hex", 0, 4)}`);
  }
  const end = frameEnd(view);
  if (end > view.length) throw truncated(view);
  if (end < view.length) {
    throw new FormatError("trailing", `a message is one zstd frame: this one has ${end} bytes, ${view.length} came`);
  }
}

/** Beyond the end of the bytes where they are cut off. */
function frameEnd(view: Buffer): number {
  const descriptor = view[4]!;
  const singleSegment = (descriptor >> 5) & 1;
  const sizeFlag = descriptor >> 6;
  let at = 5 + (1 - singleSegment) + dictionaryBytes[(descriptor & 3) as 0 | 1 | 2 | 3];
  at += sizeFlag === 0 ? singleSegment : contentSizeBytes[sizeFlag as 1 | 2 | 3];
  for (let last = 0; last === 0; ) {
    if (at + 3 > view.length) return at + 3;
    const head = view.readUIntLE(at, 3);
    const type = (head >> 1) & 3;
    if (type === blockTypes.reserved)
      throw new FormatError("malformed", `zstd block at byte ${at} is of no known type`);
    last = head & 1;
    at += 3 + (type === blockTypes.repeated ? 1 : head >> 3);
  }
  const checksumBytes = (descriptor >> 2) & 1 ? 4 : 0;
  return at + checksumBytes;
}

function truncated(view: Buffer): FormatError {
  return new FormatError("truncated", `zstd frame is cut off: it has more than the ${view.length} bytes that came`);
}
