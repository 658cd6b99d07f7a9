/** Writes test/store/vectors.json: run once when the format was fixed; the tests hold every later build to it. */
import { frame } from "../../store/format/codec.ts";
import { digestOf, encodeEpoch, encodeEvents, encodeSent } from "../../store/format/encode.ts";

const log = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");
const owner = 0x1122334455667788n;
const head = { log, shard: 2, epoch: 41, previous: 57, owner, number: 3, timeUs: 1_764_000_000_123_456 };
const created = encodeSent({
  id: "created",
  type: "order.created",
  data: Buffer.from('{"order_id":"17","amount":"139.12"}'),
});
const rich = encodeSent({
  id: "ü-1",
  type: "note.taken",
  data: Buffer.from([0, 255, 10]),
  contentType: "application/octet-stream",
  schema: 2,
  occurredUs: 1_763_999_999_000_000,
  correlation: "c",
  causation: "created",
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  attributes: [
    { name: "channel", value: "web" },
    { name: "empty", value: "" },
  ],
  actor: "ann",
  dataKey: "k1",
});
const events = [
  { stream: "order-17", revision: 0, recordedUs: head.timeUs, append: 0, digest: digestOf(created), sent: created },
  { stream: "note-{7}", revision: 6, recordedUs: head.timeUs + 5, append: 1, digest: digestOf(rich), sent: rich },
  { stream: "order-17", revision: 1, recordedUs: head.timeUs + 5, append: 2, digest: 1n, sent: created },
];
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const body = encodeEvents(head, events);
const epoch = encodeEpoch({ ...head, epoch: 0, previous: 40, number: 0 }, "meridian 0.1.0 on host");
const vectors = {
  batches: (["none", "snappy", "zstd"] as const).map((codec) => ({ codec, message: hex(frame(body, codec)) })),
  epoch: hex(frame(epoch, "none")),
};
process.stdout.write(`${JSON.stringify(vectors, null, 2)}\n`);
