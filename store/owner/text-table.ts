import type { TextKey } from "../format/text-key.ts";

/**
 * Texts, numbered from 0 as they are added, each within a scope: two of one scope differ. They are bytes and numbers in
 * pages, however many there are: as strings in a Map the garbage collector looks at each of them again and again. Exact:
 * a hash only says where to look.
 */
export class TextTable {
  size = 0;
  private readonly pages: Page[] = [];
  /** The texts as UTF-8, and where the last chunk is free. */
  private readonly chunks: Uint8Array[] = [];
  private free = chunkBytes;
  /** Open addressing with linear probing; a text's number and one, 0: free. A power of two, half of it free. */
  private slots = new Int32Array(pageRows);

  /** The text's number; -1: it is not here. */
  find(key: TextKey, scope = 0): number {
    const mask = this.slots.length - 1;
    for (let slot = mixed(key.hash, scope) & mask; ; slot = (slot + 1) & mask) {
      const number = this.slots[slot]! - 1;
      if (number === -1 || this.is(number, key, scope)) return number;
    }
  }

  /** Adds a text that is not here; its number is the size before. */
  add({ bytes, from, to, hash }: TextKey, scope = 0): void {
    const number = this.size++;
    if (this.size * 2 > this.slots.length) this.growSlots(number);
    const row = number & rowMask;
    if (row === 0) this.pages[number >> pageBits] = new Page();
    const page = this.pages[number >> pageBits]!;
    const length = to - from;
    if (this.free + length > chunkBytes) {
      this.chunks.push(new Uint8Array(Math.max(chunkBytes, length)));
      this.free = 0;
    }
    const chunk = this.chunks.at(-1)!;
    page.begins[row] = (this.chunks.length - 1) * chunkBytes + this.free;
    page.lengths[row] = length;
    page.scopes[row] = scope;
    page.hashes[row] = hash;
    // Short texts: a loop is quicker than a call.
    for (let at = from; at < to; at++) chunk[this.free++] = bytes[at]!;
    this.place(number, hash, scope);
  }

  key(number: number): TextKey {
    const page = this.pages[number >> pageBits]!;
    const row = number & rowMask;
    const from = page.begins[row]! % chunkBytes;
    const bytes = this.chunks[page.begins[row]! >>> chunkBits]!;
    return { bytes, from, to: from + page.lengths[row]!, hash: page.hashes[row]! };
  }

  scope(number: number): number {
    return this.pages[number >> pageBits]!.scopes[number & rowMask]!;
  }

  /** Takes the last ones back, with their bytes: none of those before them has passed over their slots. */
  truncate(size: number): void {
    if (size === this.size) return;
    const mask = this.slots.length - 1;
    const begin = this.pages[size >> pageBits]!.begins[size & rowMask]!;
    while (this.size > size) {
      const number = --this.size;
      let slot = mixed(this.key(number).hash, this.scope(number)) & mask;
      while (this.slots[slot] !== number + 1) slot = (slot + 1) & mask;
      this.slots[slot] = 0;
    }
    this.chunks.length = (begin >>> chunkBits) + 1;
    this.free = begin % chunkBytes;
  }

  private is(number: number, key: TextKey, scope: number): boolean {
    const page = this.pages[number >> pageBits]!;
    const row = number & rowMask;
    const length = key.to - key.from;
    if (page.hashes[row] !== key.hash || page.scopes[row] !== scope || page.lengths[row] !== length) return false;
    const { bytes, from } = this.key(number);
    for (let at = 0; at < length; at++) if (bytes[from + at] !== key.bytes[key.from + at]) return false;
    return true;
  }

  private place(number: number, hash: number, scope: number): void {
    const mask = this.slots.length - 1;
    let slot = mixed(hash, scope) & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = number + 1;
  }

  private growSlots(count: number): void {
    this.slots = new Int32Array(this.slots.length * 2);
    for (let number = 0; number < count; number++) {
      const page = this.pages[number >> pageBits]!;
      this.place(number, page.hashes[number & rowMask]!, page.scopes[number & rowMask]!);
    }
  }
}

/** Rows are kept in pages: nothing is copied as they become more. */
export const pageBits = 10;
export const pageRows = 1 << pageBits;
export const rowMask = pageRows - 1;

class Page {
  readonly scopes = new Int32Array(pageRows);
  readonly hashes = new Int32Array(pageRows);
  /** Where a text begins: the chunk's number, and the place in it. */
  readonly begins = new Uint32Array(pageRows);
  readonly lengths = new Int32Array(pageRows);
}

/** Hundreds of texts a chunk: little is left over at its end. */
const chunkBits = 16;
const chunkBytes = 1 << chunkBits;

/** As murmur3 ends: the low bits become as good as the high ones. */
function mixed(hash: number, scope: number): number {
  const both = hash ^ Math.imul(scope, 0x9e3779b1);
  const half = Math.imul(both ^ (both >>> 16), 0x85ebca6b);
  return half ^ (half >>> 13);
}
