/** A text to be looked for, or kept, by its bytes: no string is made of what the log already has as bytes. */
export interface TextKey {
  /** Where its UTF-8 stands: from `from` to before `to`. */
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly hash: number;
}

let scratch = Buffer.allocUnsafeSlow(4_096);

/** Of a string: good until the next one is made, so use it at once. */
export function keyOf(text: string): TextKey {
  // No character takes more than three bytes.
  if (text.length * 3 > scratch.length) scratch = Buffer.allocUnsafeSlow(text.length * 3);
  return keyOfBytes(scratch, 0, scratch.write(text));
}

/** Of its own in each process: nobody can choose texts that meet in one slot. */
const seed = Math.floor(Math.random() * 2 ** 32);

/** The hash is FNV-1a. */
export function keyOfBytes(bytes: Uint8Array, from: number, to: number): TextKey {
  let hash = seed | 0;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return { bytes, from, to, hash };
}
