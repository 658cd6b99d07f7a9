import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { frame } from "../../store/format/codec.ts";
import { encodeEvents, encodeSent } from "../../store/format/encode.ts";

const program = join(import.meta.dir, "..", "..", "cli", "meridian.ts");

function batch(
  codec: "none" | "snappy" | "zstd",
  events: { stream: string; data: string | Uint8Array; contentType?: string }[],
) {
  const head = {
    log: new Uint8Array(16).fill(7),
    shard: 1,
    epoch: 3,
    previous: 4,
    owner: 5n,
    number: 1,
    timeUs: 1_700_000_000_000_000,
  };
  const packed = events.map(({ stream, data, contentType }, revision) => ({
    stream,
    revision,
    recordedUs: head.timeUs + revision,
    append: 0,
    digest: 1n,
    sent: encodeSent({ id: `id-${revision}`, type: "order.created", data: Buffer.from(data), contentType }),
  }));
  return frame(encodeEvents(head, packed), codec);
}

async function decode(...chunks: (string | Uint8Array)[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [program, "decode"], { stdio: "pipe" });
  let out = "";
  let err = "";
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (err += data));
  for (const chunk of chunks) child.stdin.write(chunk);
  child.stdin.end();
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, out, err };
}

test("batches on stdin, in a row and with newlines between them, come out as a JSON line an event", async () => {
  const first = batch("zstd", [
    { stream: "order-1", data: '{"amount":"1.10","big":12345678901234567890}' },
    { stream: "order-2", data: '{\n  "pretty": true\n}' },
  ]);
  const second = batch("snappy", [
    { stream: "note-1", data: Buffer.from([0xff, 0x00]), contentType: "application/octet-stream" },
  ]);
  // Cut in the middle of a preamble: what arrives in pieces is put together.
  const bytes = Buffer.concat([first, Buffer.from("\n"), second, Buffer.from("\n")]);
  const { code, out, err } = await decode(bytes.subarray(0, first.length + 5), bytes.subarray(first.length + 5));
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const lines = out.trimEnd().split("\n");
  expect(lines[0]).toBe(
    '{"stream":"order-1","revision":0,"type":"order.created","id":"id-0","recorded":"2023-11-14T22:13:20.000Z","data":{"amount":"1.10","big":12345678901234567890}}',
  );
  expect(JSON.parse(lines[1]!).data).toEqual({ pretty: true });
  expect(JSON.parse(lines[2]!)).toMatchObject({ stream: "note-1", data_base64: "/wA=" });
  expect(lines).toHaveLength(3);
});

test("damaged bytes end with exit code 1 and one clear line; what was whole before them is shown", async () => {
  const good = batch("none", [{ stream: "order-1", data: "{}" }]);
  const flipped = Buffer.from(good);
  flipped[good.length - 1]! ^= 1;
  for (const [name, bytes] of [
    ["flipped", flipped],
    ["cut off", good.subarray(0, good.length - 3)],
    ["foreign", Buffer.from("hello, world")],
  ] as const) {
    const { code, out, err } = await decode(Buffer.concat([good, bytes]));
    expect({ name, code, lines: out.trimEnd().split("\n").length }).toEqual({ name, code: 1, lines: 1 });
    expect(err).toMatch(/^meridian: cannot decode a batch after byte \d+: .+\n$/);
  }
});

test("nothing on stdin is nothing on stdout", async () => {
  expect(await decode()).toEqual({ code: 0, out: "", err: "" });
});
