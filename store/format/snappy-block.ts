import { FormatError } from "./format-error.ts";

const powers = [1, 2 ** 8, 2 ** 16, 2 ** 24] as const;
/** Up to here a loop is quicker than a call; no copy is longer than 64 bytes. */
const shortMax = 64;

/**
 * One snappy block, decompressed; throws FormatError. snappyjs 0.7.0 is not fit for bytes of others: a literal of a
 * negative length keeps it busy for ever, and it takes a block that was cut off for a whole one, filled up with zeros.
 * https://github.com/google/snappy/blob/main/format_description.txt
 */
export function uncompressBlock(block: Uint8Array, lengthMax: number): Uint8Array<ArrayBuffer> {
  let at = 0;
  /** A little-endian number of `count` bytes. */
  const number = (count: number): number => {
    if (at + count > block.length) throw malformed(`is cut off in the middle of an element, at byte ${at}`);
    let value = 0;
    for (let index = 0; index < count; index++) value += block[at + index]! * (powers[index] as number);
    at += count;
    return value;
  };
  const length = varint(number);
  if (length > lengthMax) {
    throw new FormatError("too-large", `snappy block decompresses to ${length} bytes, at most ${lengthMax} may be`);
  }
  const output = new Uint8Array(length);
  let filled = 0;
  const claim = (count: number) => {
    if (filled + count > length) throw malformed(`holds more than the ${length} bytes that it announces`);
  };
  while (at < block.length) {
    const tag = block[at++]!;
    const kind = tag & 3;
    if (kind === 0) {
      const count = 1 + (tag >> 2 < 60 ? tag >> 2 : number((tag >> 2) - 59));
      claim(count);
      if (at + count > block.length) throw malformed(`ends before the ${count} bytes of the literal at byte ${at}`);
      if (count > shortMax) output.set(block.subarray(at, at + count), filled);
      else for (let index = 0; index < count; index++) output[filled + index] = block[at + index]!;
      at += count;
      filled += count;
      continue;
    }
    const count = kind === 1 ? 4 + ((tag >> 2) & 7) : 1 + (tag >> 2);
    const offset = kind === 1 ? (tag >> 5) * 256 + number(1) : number(kind === 2 ? 2 : 4);
    claim(count);
    if (offset === 0 || offset > filled) throw malformed(`copies from ${offset} bytes back, ${filled} are there`);
    // One by one: where they overlap, the copy repeats what it has just written.
    for (const end = filled + count; filled < end; filled++) output[filled] = output[filled - offset]!;
  }
  if (filled < length) throw malformed(`holds ${filled} bytes, it announces ${length}`);
  return output;
}

/** Below 2^32, as the format says. */
function varint(number: (count: number) => number): number {
  let value = 0;
  for (let shift = 0; shift < 5; shift++) {
    const byte = number(1);
    value += (byte & 0x7f) * 128 ** shift;
    if (byte < 128) return value;
  }
  throw malformed("announces its length in more than 5 bytes");
}

function malformed(what: string): FormatError {
  return new FormatError("malformed", `snappy block ${what}`);
}
