import { boundedUs, withoutNul } from "./column.ts";

/**
 * Rows in the format of `copy … from stdin (format binary)`: a signature, each row as the number of its fields and each
 * field as its length and bytes, an end. Nothing is quoted and nothing parsed, so it costs both sides half as much as an
 * array of texts. The server checks lengths only: every field must be written as its column is declared.
 *
 * Source: PostgreSQL's documentation of COPY, "Binary Format".
 */
export class CopyRows {
  private buffer: Buffer;
  private at = 0;

  /** `bytes`: a guess of the size of it all. */
  constructor(bytes: number) {
    this.buffer = Buffer.allocUnsafe(bytes + signature.length + 2);
    this.raw(signature);
  }

  /** Begins a row. */
  row(fields: number): void {
    this.need(2);
    this.at = this.buffer.writeInt16BE(fields, this.at);
  }

  int2(value: number): void {
    this.begin(2);
    this.at = this.buffer.writeInt16BE(value, this.at);
  }

  int4(value: number): void {
    this.begin(4);
    this.at = this.buffer.writeInt32BE(value, this.at);
  }

  /** A safe integer. */
  int8(value: number): void {
    this.begin(8);
    const high = Math.floor(value / 2 ** 32);
    this.at = this.buffer.writeInt32BE(high, this.at);
    this.at = this.buffer.writeUInt32BE(value - high * 2 ** 32, this.at);
  }

  /** 64 unsigned bits into a signed column: the same bits. */
  bits(value: bigint): void {
    this.begin(8);
    this.at = this.buffer.writeBigUInt64BE(value, this.at);
  }

  text(value: string): void {
    const text = withoutNul(value);
    const length = Buffer.byteLength(text);
    this.begin(length);
    this.buffer.write(text, this.at, length, length === text.length ? "latin1" : "utf8");
    this.at += length;
  }

  /** Microseconds since 1970. */
  time(us: number): void {
    this.int8(boundedUs(us) - year2000Us);
  }

  bytes(value: Uint8Array | undefined): void {
    if (value === undefined) {
      this.need(4);
      this.at = this.buffer.writeInt32BE(-1, this.at);
      return;
    }
    this.begin(value.length);
    this.raw(value);
  }

  /** The rows with their end: a view of a buffer that is no longer written to. */
  done(): Uint8Array {
    this.row(-1);
    return this.buffer.subarray(0, this.at);
  }

  private begin(length: number): void {
    this.need(4 + length);
    this.at = this.buffer.writeInt32BE(length, this.at);
  }

  private raw(value: Uint8Array): void {
    this.need(value.length);
    this.buffer.set(value, this.at);
    this.at += value.length;
  }

  private need(count: number): void {
    if (this.at + count <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + count));
    larger.set(this.buffer.subarray(0, this.at));
    this.buffer = larger;
  }
}

/** Eleven bytes that show what a transfer broke, then no flags and no extension. */
const signature = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const year2000Us = Date.UTC(2000, 0, 1) * 1_000;
