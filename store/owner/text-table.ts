/**
 * Texts, numbered from 0 as they are added, each within a scope: two of one scope differ. They are bytes and numbers in
 * pages, however many there are: as strings in a Map the garbage collector looks at each of them again and again. Exact:
 * a hash only says where to look.
 */
export class TextTable {
  size = 0;
  private readonly pages: Page[] = [];
  /** The texts as UTF-8, and where the last chunk is free. */
  private readonly chunks: Buffer[] = [];
  private free = chunkBytes;
  /** Open addressing with linear probing; a text's number and one, 0: free. A power of two, half of it free. */
  private slots = new Int32Array(pageRows);

  /** The text's number; -1: it is not here. `hash`: of the text and its scope. */
  find(text: string, hash: number, scope = 0): number {
    for (let slot = this.home(hash); ; slot = this.after(slot)) {
      const number = this.slots[slot]! - 1;
      if (number === -1) return -1;
      const page = this.pages[number >> pageBits]!;
      const row = number & rowMask;
      if (page.hashes[row] === hash && page.scopes[row] === scope && this.text(number) === text) return number;
    }
  }

  /** Adds a text that is not here; its number is the size before. */
  add(text: string, hash: number, scope = 0): void {
    const number = this.size++;
    if (this.size * 2 > this.slots.length) this.growSlots(number);
    const row = number & rowMask;
    if (row === 0) this.pages[number >> pageBits] = new Page();
    const page = this.pages[number >> pageBits]!;
    // No character takes more than three bytes.
    if (this.free + text.length * 3 > chunkBytes) {
      this.chunks.push(Buffer.allocUnsafeSlow(chunkBytes));
      this.free = 0;
    }
    page.begins[row] = (this.chunks.length - 1) * chunkBytes + this.free;
    page.lengths[row] = this.chunks.at(-1)!.write(text, this.free);
    this.free += page.lengths[row]!;
    page.scopes[row] = scope;
    page.hashes[row] = hash;
    this.place(number, hash);
  }

  text(number: number): string {
    const page = this.pages[number >> pageBits]!;
    const begin = page.begins[number & rowMask]!;
    const at = begin % chunkBytes;
    return this.chunks[begin >>> chunkBits]!.toString("utf8", at, at + page.lengths[number & rowMask]!);
  }

  scope(number: number): number {
    return this.pages[number >> pageBits]!.scopes[number & rowMask]!;
  }

  /** Takes the last ones back: none of those before them has passed over their slots. Their bytes stay where they are. */
  truncate(size: number): void {
    while (this.size > size) {
      const number = --this.size;
      let slot = this.home(this.hash(number));
      while (this.slots[slot] !== number + 1) slot = this.after(slot);
      this.slots[slot] = 0;
    }
  }

  private hash(number: number): number {
    return this.pages[number >> pageBits]!.hashes[number & rowMask]!;
  }

  private home(hash: number): number {
    return hash & (this.slots.length - 1);
  }

  private after(slot: number): number {
    return (slot + 1) & (this.slots.length - 1);
  }

  private place(number: number, hash: number): void {
    let slot = this.home(hash);
    while (this.slots[slot] !== 0) slot = this.after(slot);
    this.slots[slot] = number + 1;
  }

  private growSlots(count: number): void {
    this.slots = new Int32Array(this.slots.length * 2);
    for (let number = 0; number < count; number++) this.place(number, this.hash(number));
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
  readonly lengths = new Uint16Array(pageRows);
}

/** Many texts a chunk, so that little is left over at its end; a text is much shorter. */
const chunkBits = 16;
const chunkBytes = 1 << chunkBits;

/** Of its own in each process: nobody can choose texts that meet in one slot. */
const seed = Math.floor(Math.random() * 2 ** 32);

/** FNV-1a over the characters; then as murmur3 ends, so that the low bits are as good as the high ones. */
export function hashOf(text: string, scope = 0): number {
  let hash = seed ^ Math.imul(scope, 0x9e3779b1);
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}
