import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import snappy from "snappyjs";
import { compressions } from "../../gateway/rpc-compressions.ts";
import { toFrames } from "../../gateway/snappy-frames.ts";
import { uncompressBlock } from "../../store/format/snappy-block.ts";

const named = (name: string) => compressions.find((one) => one.name === name)!;
const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const repeated = "Meridian, Meridian. ".repeat(10);

async function refused(name: string, bytes: Uint8Array, readMaxBytes = 1 << 20): Promise<ConnectError> {
  try {
    const plain = await named(name).decompress(bytes, readMaxBytes);
    throw new Error(`${name} took ${bytes.length} bytes for ${plain.length}`);
  } catch (error) {
    if (error instanceof ConnectError) return error;
    throw error;
  }
}

/** A snappy stream of one chunk. */
function chunk(type: number, body: Uint8Array): Uint8Array {
  const head = Buffer.alloc(4);
  head[0] = type;
  head.writeUIntLE(body.length, 1, 3);
  return Buffer.concat([hex("ff060000 734e61507059"), head, body]);
}

for (const { name } of compressions) {
  test(`${name} gives back what it was given, of every size`, async () => {
    const { compress, decompress } = named(name);
    for (const size of [0, 1, 59, 60, 61, 65_535, 65_536, 65_537, 300_000]) {
      const noise = new Uint8Array(randomBytes(size));
      const zeros = new Uint8Array(size);
      for (const bytes of [noise, zeros]) {
        expect(Buffer.compare(await decompress(await compress(bytes), Math.max(1, size)), bytes)).toBe(0);
      }
    }
  });

  test(`${name} refuses what would become larger than a message may be`, async () => {
    const bomb = await named(name).compress(new Uint8Array(4 << 20));
    expect(bomb.length).toBeLessThan(256 << 10);
    expect((await refused(name, bomb, (4 << 20) - 1)).code).toBe(Code.ResourceExhausted);
  });

  test(`${name} refuses bytes of another format`, async () => {
    expect((await refused(name, new TextEncoder().encode("hello, world"))).code).toBe(Code.InvalidArgument);
  });
}

for (const name of ["zstd", "snappy"]) {
  test(`${name} refuses a message that was cut off, wherever`, async () => {
    const whole = await named(name).compress(Buffer.concat([randomBytes(400), Buffer.alloc(400)]));
    // Before the first chunk, a snappy stream is whole, and empty; no bytes at all are an empty message.
    const first = name === "snappy" ? 11 : 1;
    for (let length = first; length < whole.length; length++) {
      expect((await refused(name, whole.subarray(0, length))).code).toBe(Code.InvalidArgument);
    }
  });
}

test("snappy and zstd are read as Go's implementations write them", async () => {
  // golang/snappy 1.0.0, NewBufferedWriter: a compressed chunk and an uncompressed one.
  const packed = "ff060000734e61507059 00200000 6c51c97d c801244d6572696469616e2c20110a002e150afe1400fe1400ae1400";
  expect(text(await named("snappy").decompress(hex(packed), 1_000))).toBe(repeated);
  const plain = "ff060000734e61507059 01070000 6e57f121 616263";
  expect(text(await named("snappy").decompress(hex(plain), 1_000))).toBe("abc");
  // klauspost/compress 1.20.3, its frame flushed in the middle: two blocks, and no length at its beginning.
  const flushed = "28b52ffd0468b40000584d6572696469616e2c202e0300a99b145aca2d519045000000015400072bc55b3f847c1f";
  expect(text(await named("zstd").decompress(hex(flushed), 1_000))).toBe(repeated + repeated);
});

test("snappy writes what Go's implementation writes of bytes that do not compress", () => {
  expect(Buffer.from(toFrames(new TextEncoder().encode("abc"))).toString("hex")).toBe(
    "ff060000734e61507059010700006e57f121616263",
  );
});

test("a snappy stream may hold padding and skippable chunks, and its identifier twice", async () => {
  const padded = Buffer.concat([chunk(0xfe, new Uint8Array(9)), chunk(0x80, hex("00")), toFrames(hex("616263"))]);
  expect(text(await named("snappy").decompress(padded, 3))).toBe("abc");
});

test("a snappy stream is refused with what is wrong with it", async () => {
  const wrong: [string, Uint8Array][] = [
    ["checksum", chunk(0x01, hex("00000000 616263"))],
    ["of the unknown type 2", chunk(0x02, hex("6e57f121 616263"))],
    ["begins with ff060000", hex("01070000 6e57f121 616263")],
    ["begins with ff060000", chunk(0xff, hex("734e61507058"))],
    ["in the middle of the chunk", chunk(0x00, hex("6e57f1"))],
    ["has 65537 bytes", chunk(0x01, new Uint8Array(4 + 65_537))],
    ["decompresses to 65537 bytes", chunk(0x00, hex("00000000 818004 00"))],
  ];
  for (const [what, bytes] of wrong) expect((await refused("snappy", bytes)).message).toContain(what);
});

test("a snappy block of others neither hangs nor passes when it is wrong", () => {
  const wrong: [string, string][] = [
    // A literal of "-5" bytes, at which snappyjs 0.7.0 goes back to where it was, for ever.
    ["holds more than the 10 bytes", "0a fc faffffff 0000"],
    ["ends before the 4 bytes", "04 0c 6162"],
    ["holds 2 bytes, it announces 4", "04 04 6162"],
    ["copies from 2 bytes back, 1 are there", "05 00 61 01 02"],
    ["copies from 0 bytes back", "05 00 61 01 00"],
    ["in the middle of an element", "05 00 61 02 01"],
    ["in more than 5 bytes", "ffffffffff 01"],
    ["decompresses to 4294967295 bytes", "ffffffff0f"],
    ["in the middle of an element", ""],
  ];
  for (const [what, bytes] of wrong) expect(() => uncompressBlock(hex(bytes), 1_000)).toThrow(what);
});

test("a snappy block is read as snappyjs reads it, with copies that overlap and that do not", () => {
  for (let round = 0; round < 300; round++) {
    const words = Array.from({ length: round }, () => randomBytes(1 + (round % 7)).toString("hex"));
    const plain = Buffer.from(words.map((word, at) => word + words[at >> 1]! + "z".repeat(at % 90)).join(""));
    expect(Buffer.compare(uncompressBlock(snappy.compress(plain), plain.length), plain)).toBe(0);
  }
});

test("a zstd message may be of some frames, and one bound holds for all of them", async () => {
  const frame = zstdCompressSync(Buffer.from("abc"));
  const empty = zstdCompressSync(Buffer.alloc(0));
  const skipped = hex("5a2a4d18 02000000 0102");
  const { decompress } = named("zstd");
  expect(text(await decompress(Buffer.concat([skipped, frame, empty, frame, empty]), 6))).toBe("abcabc");
  expect((await refused("zstd", Buffer.concat([frame, frame]), 5)).code).toBe(Code.ResourceExhausted);
  expect((await refused("zstd", Buffer.concat([frame, zstdCompressSync(hex("00"))]), 3)).code).toBe(
    Code.ResourceExhausted,
  );
  // Stopped while it runs, not counted when it has run.
  const bomb = zstdCompressSync(Buffer.alloc(4 << 20));
  expect((await refused("zstd", bomb, 1_000)).cause).toMatchObject({ code: "ERR_BUFFER_TOO_LARGE" });
  expect((await refused("zstd", Buffer.concat([frame, hex("28b52f")]))).message).toContain("is cut off");
  expect((await refused("zstd", Buffer.concat([frame, new Uint8Array(9)]))).message).toContain("begins with 28b52ffd");
  const many = Buffer.concat(Array.from({ length: 17 }, () => empty));
  expect((await refused("zstd", many)).message).toContain("more than 16 frames");
});

test("a zstd message may ask for the window that a content coding may have, and no larger one", async () => {
  expect((await refused("zstd", hex("28b52ffd 0058 070000"))).message).toContain("is of no known type");
  // An empty frame that asks for 16 MiB, and one that asks for 8.
  expect((await refused("zstd", hex("28b52ffd 0070 010000"))).code).toBe(Code.InvalidArgument);
  expect((await named("zstd").decompress(hex("28b52ffd 0068 010000"), 1)).length).toBe(0);
});
