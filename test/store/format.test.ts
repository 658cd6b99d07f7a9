import { expect, test } from "bun:test";
import { crc32, zstdCompressSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import snappy from "snappyjs";
import { kinds } from "../../store/format/batch.ts";
import { codecs, frame, preambleBytes } from "../../store/format/codec.ts";
import { decodeBatch, splitBatches } from "../../store/format/decode.ts";
import { encodeEvents, encodeSent, type PackedEvent } from "../../store/format/encode.ts";
import { FormatError, type FormatErrorCode } from "../../store/format/format-error.ts";
import { decodeMeta, encodeMeta } from "../../store/format/meta.ts";
import { WireWriter } from "../../store/format/wire.ts";
import { EventBatchSchema } from "../../store/gen/meridian/log/v1/batch_pb.ts";
import { decodeForIndex, type RecoveredBatch } from "../../store/owner/recovered-batch.ts";
import type { CodecName } from "../../store/store-options.ts";
import vectors from "./vectors.json" with { type: "json" };

const log = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");
const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const plain = bytesOf(vectors.batches[0]!.message);

function codeOf(bytes: Uint8Array): FormatErrorCode | "accepted" {
  try {
    decodeBatch(bytes);
    return "accepted";
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
}

for (const { codec, message } of vectors.batches) {
  test(`decodeBatch() reads the ${codec} vector field by field`, () => {
    const batch = decodeBatch(bytesOf(message));
    expect(bytesOf(message)[3]).toBe(codecs[codec as CodecName]);
    expect(Buffer.from(batch.log).toString("hex")).toBe("000102030405060708090a0b0c0d0e0f");
    expect(batch).toMatchObject({ shard: 2, epoch: 41, previous: 57, owner: 0x1122334455667788n, number: 3 });
    expect(batch).toMatchObject({
      kind: kinds.events,
      timeUs: 1_764_000_000_123_456,
      streams: ["order-17", "note-{7}"],
    });
    expect(batch.events.map(({ stream, revision, append }) => [stream, revision, append])).toEqual([
      ["order-17", 0, 0],
      ["note-{7}", 6, 1],
      ["order-17", 1, 2],
    ]);
    expect(new TextDecoder().decode(batch.events[0]!.data)).toBe('{"order_id":"17","amount":"139.12"}');
    const { data, recordedUs, digest, ...rich } = batch.events[1]!;
    expect([...data]).toEqual([0, 255, 10]);
    expect(recordedUs).toBe(1_764_000_000_123_461);
    // SHA-256 of the event's fields 6 to 17, computed with Python's hashlib.
    expect(digest).toBe(0x9e86211b2084bf7cn);
    expect(rich).toMatchObject({ id: "ü-1", type: "note.taken", contentType: "application/octet-stream", schema: 2 });
    expect(rich).toMatchObject({
      occurredUs: 1_763_999_999_000_000,
      correlation: "c",
      causation: "created",
      actor: "ann",
    });
    expect(rich.attributes).toEqual([
      { name: "channel", value: "web" },
      { name: "empty", value: "" },
    ]);
    expect(rich.dataKey).toBe("k1");
    expect(batch.events[2]!.digest).toBe(1n);
  });
}

test("decodeBatch() reads the vector of an epoch batch", () => {
  const batch = decodeBatch(bytesOf(vectors.epoch));
  expect(batch).toMatchObject({
    kind: kinds.epoch,
    epoch: 0,
    previous: 40,
    number: 0,
    writer: "meridian 0.1.0 on host",
  });
  expect(batch.events).toEqual([]);
});

const text = fc.string({ unit: "binary", maxLength: 20 }).filter((s) => s.isWellFormed());
const anyEvent = fc.record({
  id: text,
  type: text,
  data: fc.uint8Array({ maxLength: 200 }),
  contentType: text,
  schema: fc.nat(),
  occurredUs: fc.maxSafeNat(),
  correlation: text,
  causation: text,
  traceparent: text,
  attributes: fc.array(fc.record({ name: text, value: text }), { maxLength: 3 }),
  actor: text,
  dataKey: text,
});

test("the hand-made encoder and decoder agree with the generated code on any batch", () => {
  const property = fc.property(
    fc.array(
      fc.tuple(anyEvent, fc.nat(3), fc.maxSafeNat(), fc.nat(2 ** 32 - 1), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
      {
        maxLength: 6,
      },
    ),
    fc.maxSafeNat(),
    fc.constantFrom<CodecName>("none", "snappy", "zstd"),
    (list, previous, codec) => {
      const head = { log, shard: 1, epoch: previous, previous, owner: 7n, number: 1, timeUs: 1_764_000_000_000_000 };
      const events: PackedEvent[] = list.map(([event, stream, revision, delta, digest], append) => ({
        stream: `s-${stream}`,
        revision,
        recordedUs: head.timeUs + delta,
        append,
        digest,
        sent: encodeSent(event),
      }));
      const body = encodeEvents(head, events);
      const generated = fromBinary(EventBatchSchema, body);
      const decoded = decodeBatch(frame(body, codec));
      expect(generated.previous).toBe(BigInt(previous));
      expect(decoded.streams).toEqual(generated.streams);
      decoded.events.forEach((event, at) => {
        const [sent, , revision, delta, digest] = list[at]!;
        const other = generated.events[at]!;
        const { stream: _, append: __, ...rest } = event;
        const recordedUs = head.timeUs + delta;
        expect({ ...rest, data: [...rest.data] }).toEqual({
          ...sent,
          data: [...sent.data],
          revision,
          digest,
          recordedUs,
        });
        expect(other).toMatchObject({
          id: sent.id,
          type: sent.type,
          contentType: sent.contentType,
          schema: sent.schema,
        });
        expect(other).toMatchObject({
          occurredUs: BigInt(sent.occurredUs),
          actor: sent.actor,
          dataKey: sent.dataKey,
          digest,
        });
        expect(other.attributes.map(({ name, value }) => ({ name, value }))).toEqual(sent.attributes);
        expect(Buffer.compare(other.data, sent.data)).toBe(0);
        expect(decodeMeta(encodeMeta(event))).toMatchObject({
          contentType: sent.contentType,
          attributes: sent.attributes,
        });
      });
      expect(decoded.events.length).toBe(list.length);
    },
  );
  fc.assert(property, { numRuns: 200 });
});

test("decodeBatch() names each kind of damage, and never crashes on it", () => {
  const changed = (at: number, byte: number) => {
    const copy = plain.slice();
    copy[at] = byte;
    return copy;
  };
  expect(codeOf(changed(0, 0x4e))).toBe("magic");
  expect(codeOf(changed(2, 2))).toBe("version");
  expect(codeOf(changed(3, 3))).toBe("codec");
  expect(codeOf(changed(5, plain[5]! ^ 1))).toBe("checksum");
  expect(codeOf(changed(40, plain[40]! ^ 1))).toBe("checksum");
  expect(codeOf(plain.slice(0, 11))).toBe("truncated");
  expect(codeOf(plain.slice(0, -1))).toBe("truncated");
  expect(codeOf(new Uint8Array(0))).toBe("truncated");
  expect(codeOf(new Uint8Array([...plain, 0x0a]))).toBe("trailing");
  expect(codeOf(frame(new Uint8Array(0), "none"))).toBe("malformed");
  // The right checksum around bytes that are no batch.
  expect(codeOf(frame(Buffer.from("no protobuf at all"), "zstd"))).toBe("malformed");
});

test("decodeBatch() refuses a batch whose event names a stream that it does not have", () => {
  const out = new WireWriter(64);
  out.bytesField(1, log);
  out.bytesField(10, new Uint8Array([8, 5]));
  expect(codeOf(frame(out.done(), "none"))).toBe("malformed");
});

function framed(codec: number, packed: Uint8Array): Uint8Array {
  // frame() of "none" with the codec's number put in, and the checksum made anew by framing twice.
  const message = Buffer.from(frame(packed, "none"));
  message[3] = codec;
  message.writeUInt32BE(crc32(packed, crc32(message.subarray(8, 12), crc32(message.subarray(0, 4)))), 4);
  return message;
}

test("a snappy block with a literal of a negative length is refused, and keeps no reader busy", () => {
  // Length 10, then a literal whose four bytes of length are all ones.
  expect(codeOf(framed(codecs.snappy, new Uint8Array([10, 63 << 2, 0xff, 0xff, 0xff, 0xff, 1])))).toBe("malformed");
});

test("decodeBatch() refuses a bomb without blowing it up", () => {
  const zeros = new Uint8Array(64 << 20);
  expect(codeOf(framed(codecs.zstd, zstdCompressSync(zeros)))).toBe("too-large");
  // A snappy block that claims 4 GiB less one.
  expect(codeOf(framed(codecs.snappy, new Uint8Array([0xff, 0xff, 0xff, 0xff, 0x0f, 0])))).toBe("too-large");
  expect(codeOf(framed(codecs.snappy, snappy.compress(zeros.subarray(0, 9 << 20))))).toBe("too-large");
  expect(codeOf(framed(codecs.none, zeros.subarray(0, 9 << 20)))).toBe("too-large");
});

test("decodeBatch() answers any damaged bytes with a FormatError or a batch", () => {
  const messages = [...vectors.batches.map(({ message }) => bytesOf(message)), bytesOf(vectors.epoch)];
  const property = fc.property(fc.nat(3), fc.nat(), fc.nat(255), fc.boolean(), (which, at, byte, refit) => {
    const message = messages[which]!.slice();
    const place = preambleBytes + (at % (message.length - preambleBytes));
    message[place] = byte;
    // Half of them with the checksum made right again, so that the damage reaches the decoder.
    const bytes = refit ? framed(message[3]!, message.subarray(preambleBytes)) : message;
    const code = codeOf(bytes);
    if (!refit && byte !== messages[which]![place]) expect(code).toBe("checksum");
  });
  fc.assert(property, { numRuns: 3_000 });
});

test("what an owner takes of a batch is what others read, and it refuses what they refuse, byte for byte", () => {
  const textOf = ({ bytes, from, to }: RecoveredBatch["streams"][number]) =>
    Buffer.from(bytes).toString("utf8", from, to);
  const attempt = (decode: () => unknown) => {
    try {
      return decode();
    } catch (error) {
      return `${error}`;
    }
  };
  const body = Buffer.from(plain.subarray(preambleBytes));
  let refused = 0;
  for (let at = 0; at < body.length; at++) {
    for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
      const damaged = Buffer.from(body);
      damaged[at]! ^= bit;
      const message = frame(damaged, "none");
      const whole = attempt(() => {
        const { streams, events, ...head } = decodeBatch(message);
        const taken = events.map(({ stream, id, revision, digest, recordedUs }) => {
          return { stream, id, revision, digest, recordedUs };
        });
        return { ...head, streams, events: taken };
      });
      const part = attempt(() => {
        const { streams, events, ...head } = decodeForIndex(message);
        const taken = events.map((event) => ({ ...event, stream: textOf(event.stream), id: textOf(event.id) }));
        return { ...head, streams: streams.map(textOf), events: taken };
      });
      if (typeof whole === "string") refused++;
      expect(part).toEqual(whole);
    }
  }
  expect(refused).toBeGreaterThan(500);
});

test("splitBatches() takes several batches in a row, newlines between them, and says what is wrong in the middle", () => {
  const epoch = bytesOf(vectors.epoch);
  const newline = new Uint8Array([0x0a]);
  const joined = Buffer.concat([plain, newline, epoch, plain, newline, newline]);
  expect([...splitBatches(joined)].map((batch) => batch.events.length)).toEqual([3, 0, 3]);
  const damaged = splitBatches(Buffer.concat([plain, Buffer.from("oops, no batch")]));
  expect(damaged.next().value?.events.length).toBe(3);
  expect(() => damaged.next()).toThrow('a batch begins with "MB"');
});
