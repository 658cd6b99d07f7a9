import { FormatError } from "./format-error.ts";
import { keyOfBytes, type TextKey } from "./text-key.ts";

/** Protobuf's wire format by hand: five times the speed of a generated decoder, and held to one by a test. */

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Reads fields of a message from `at` to `end`. Every read checks the bounds and throws FormatError. */
export class WireReader {
  private readonly view: Buffer;
  constructor(
    bytes: Uint8Array,
    public at = 0,
    public end = bytes.length,
  ) {
    this.view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A varint as a safe integer. */
  uint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      if (this.at >= this.end) throw cutOff("a varint");
      const byte = this.view[this.at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new FormatError("malformed", `number ${value} exceeds 2^53`);
        return value;
      }
      scale *= 128;
    }
    throw new FormatError("malformed", "a varint has more than 10 bytes");
  }

  fixed64(): bigint {
    if (this.end - this.at < 8) throw cutOff("a fixed64");
    this.at += 8;
    return this.view.readBigUInt64LE(this.at - 8);
  }

  /** Length of a length-delimited field, checked to end within the message. */
  length(): number {
    const length = this.uint();
    if (length > this.end - this.at) throw cutOff("a field");
    return length;
  }

  /** A view, not a copy. */
  bytes(): Uint8Array {
    const length = this.length();
    this.at += length;
    return this.view.subarray(this.at - length, this.at);
  }

  text(): string {
    const length = this.length();
    const from = this.at;
    this.at += length;
    // Ids and types are short ASCII: latin1 is much the fastest way, and right while no byte has its high bit.
    const text = this.view.toString("latin1", from, this.at);
    for (let i = from; i < this.at; i++) if (this.view[i]! > 0x7f) return this.utf8(from, this.at);
    return text;
  }

  /** A text where it stands, no less checked. */
  key(): TextKey {
    const length = this.length();
    const from = this.at;
    this.at += length;
    for (let i = from; i < this.at; i++) {
      if (this.view[i]! <= 0x7f) continue;
      this.utf8(from, this.at);
      break;
    }
    return keyOfBytes(this.view, from, this.at);
  }

  private utf8(from: number, to: number): string {
    try {
      return decoder.decode(this.view.subarray(from, to));
    } catch (cause) {
      throw new FormatError("malformed", "a text field is not valid UTF-8", { cause });
    }
  }

  /** Passes over a field that this reader does not know. */
  skip(tag: number): void {
    const type = tag & 7;
    if (type === 0) this.uint64Skip();
    else if (type === 1) this.advance(8);
    else if (type === 2) this.advance(this.length());
    else if (type === 5) this.advance(4);
    else throw new FormatError("malformed", `field ${tag >> 3} has wire type ${type}`);
  }

  private uint64Skip(): void {
    for (let count = 0; count < 10; count++) {
      if (this.at >= this.end) throw cutOff("a varint");
      if (this.view[this.at++]! < 0x80) return;
    }
    throw new FormatError("malformed", "a varint has more than 10 bytes");
  }

  private advance(count: number): void {
    if (count > this.end - this.at) throw cutOff("a field");
    this.at += count;
  }
}

function cutOff(what: string): FormatError {
  return new FormatError("malformed", `${what} runs over the end of its message`);
}

/** Writes fields into a buffer that grows. */
export class WireWriter {
  private buffer: Buffer;
  private at = 0;
  constructor(bytes: number) {
    this.buffer = cutFromSlab(bytes);
  }

  /** Begins anew in the same memory: what done() gave before is overwritten. */
  reset(): void {
    this.at = 0;
  }

  private need(count: number): void {
    if (this.at + count <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + count));
    larger.set(this.buffer.subarray(0, this.at));
    this.buffer = larger;
  }

  uint(value: number): void {
    this.need(10);
    let rest = value;
    while (rest > 0x7f) {
      this.buffer[this.at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.buffer[this.at++] = rest;
  }

  /** A field that is left out when it is 0, as proto3 does. */
  uintField(field: number, value: number): void {
    if (value === 0) return;
    this.uint(field << 3);
    this.uint(value);
  }

  fixed64Field(field: number, value: bigint): void {
    if (value === 0n) return;
    this.uint((field << 3) | 1);
    this.need(8);
    this.at = this.buffer.writeBigUInt64LE(value, this.at);
  }

  bytesField(field: number, value: Uint8Array): void {
    if (value.length === 0) return;
    this.uint((field << 3) | 2);
    this.uint(value.length);
    this.raw(value);
  }

  /** Also an empty element: for repeated fields. */
  element(field: number, value: string): void {
    const length = Buffer.byteLength(value);
    this.uint((field << 3) | 2);
    this.uint(length);
    this.need(length);
    this.buffer.write(value, this.at, length, length === value.length ? "latin1" : "utf8");
    this.at += length;
  }

  textField(field: number, value: string): void {
    if (value.length > 0) this.element(field, value);
  }

  raw(value: Uint8Array): void {
    this.need(value.length);
    this.buffer.set(value, this.at);
    this.at += value.length;
  }

  /** What was written: a view of the buffer, which this writer no longer touches. */
  done(): Uint8Array {
    return this.buffer.subarray(0, this.at);
  }
}

const slabBytes = 256 << 10;
let slab = Buffer.allocUnsafeSlow(slabBytes);
let cut = 0;

/** Small buffers are cut from one: hundreds of allocations a millisecond cost more than what is written into them. */
function cutFromSlab(bytes: number): Buffer {
  if (bytes > slabBytes >> 4) return Buffer.allocUnsafeSlow(bytes);
  if (cut + bytes > slabBytes) {
    slab = Buffer.allocUnsafeSlow(slabBytes);
    cut = 0;
  }
  cut += bytes;
  return slab.subarray(cut - bytes, cut);
}

/** Bytes that `value` takes as a varint. */
export function uintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}
