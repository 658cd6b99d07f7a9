import { expect, test } from "bun:test";
import { StoreError } from "../../store/error.ts";
import {
  checkStreamId,
  derivedId,
  hashShard,
  mintId,
  parseTag,
  streamCategory,
  uuidv5,
  uuidv7,
} from "../../store/ids.ts";
import { formatPosition, parsePosition } from "../../store/position.ts";
import { createRegions } from "../../store/regions.ts";

const tags = new Set(["use", "euw"]);
const codeOf = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    return error instanceof StoreError ? error.code : error;
  }
  return "accepted";
};

test("hashShard() is CRC-32 of the key modulo the shards", () => {
  // Computed with another program: zlib.crc32 of Python over the key.
  const vectors: [string, number, number][] = [
    ["order-536365", 4, 2],
    ["order-536366", 4, 0],
    ["order-C536379", 4, 0],
    ["note", 7, 2],
    ["cart-{42}-a", 64, 8],
    ["a-{}x", 64, 7],
    ["a-{}{7}", 64, 2],
    ["a-{7", 64, 59],
  ];
  for (const [stream, shards, shard] of vectors) expect([stream, hashShard(stream, shards)]).toEqual([stream, shard]);
});

test("a key in braces keeps streams together, and an empty one is passed over", () => {
  expect(hashShard("cart-{42}-a", 64)).toBe(hashShard("order-{42}-b", 64));
  expect(hashShard("a-{}x", 64)).toBe(hashShard("a-{}x", 64));
  expect(hashShard("a-{}{7}", 64)).toBe(hashShard("b-{7}", 64));
  expect(hashShard("{7}", 64)).toBe(hashShard("7", 64));
  expect(hashShard("a-{7", 4096)).toBe(hashShard("a-{7", 4096));
});

test("a minted id says its region, its shard and its time, and sorts by time", () => {
  const ids = Array.from({ length: 5_000 }, () => mintId("use", 3, 1_764_000_000_000));
  expect(new Set(ids).size).toBe(5_000);
  expect([...ids].sort()).toEqual(ids);
  const tag = parseTag(`order-${ids[0]}`, tags, 4);
  expect(tag).toMatchObject({ tag: "use", shard: 3 });
  expect(tag!.timeMs).toBe(1_764_000_000_000);
  expect(ids[0]).toMatch(/^use-03-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("an id that looks tagged must be valid as such", () => {
  const uuid = uuidv7(Date.now());
  expect(codeOf(() => parseTag(`order-xyz-01-${uuid}`, tags, 4))).toBe("invalid");
  expect(codeOf(() => parseTag(`order-use-04-${uuid}`, tags, 4))).toBe("invalid");
  expect(codeOf(() => parseTag("order-use-01-6f1d8f0e-4c1b-4f6d-9a7e-2b3c5d4e6f70", tags, 4))).toBe("invalid");
  expect(parseTag("order-536365", tags, 4)).toBeUndefined();
  expect(parseTag(`order-${uuid}`, tags, 4)).toBeUndefined();
});

test("checkStreamId() takes what the pattern allows and nothing else", () => {
  for (const good of ["order-1", "a", "a-b-c", "x~y.z_-{k}", "o".repeat(128)])
    expect(codeOf(() => checkStreamId(good))).toBe("accepted");
  for (const bad of ["", "-order", "order 1", "order/1", "ordér-1", "o".repeat(129), "a\n", "order-1\0"]) {
    expect([bad, codeOf(() => checkStreamId(bad))]).toEqual([bad, "invalid"]);
  }
  expect(streamCategory("order-use-01-x")).toBe("order");
  expect(streamCategory("order")).toBe("order");
});

test("uuidv5() is stable, and parts do not run together", () => {
  expect(uuidv5("a", "b")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(uuidv5("a", "b")).toBe(uuidv5("a", "b"));
  expect(uuidv5("ab", "")).not.toBe(uuidv5("a", "b"));
  // The expected one was computed with Python: hashlib.sha1 and uuid.
  const cause = { tenant: "acme", home: "us-east", log: "orders", stream: "order-1", event: "e", purpose: "created" };
  expect(derivedId(cause)).toBe("4a55fc6c-ddc7-52db-bc9e-190e9fe30344");
  for (const field of Object.keys(cause)) expect(derivedId({ ...cause, [field]: "other" })).not.toBe(derivedId(cause));
});

test("a position survives the wire, and anything else is refused", () => {
  const position = { log: new Uint8Array(16).fill(9), shard: 3, sequence: 2 ** 52 + 1, index: 4_000_000_000 };
  expect(parsePosition(formatPosition(position))).toEqual(position);
  const wire = formatPosition(position);
  for (const bad of [
    "",
    "x",
    wire.slice(1),
    `${wire}A`,
    `B${wire.slice(1)}`,
    wire.replace(/./g, "_"),
    "%".repeat(40),
  ]) {
    expect([bad, codeOf(() => parsePosition(bad))]).toEqual([bad, "invalid"]);
  }
});

test("the home of a stream is its tag, else what the request says, else the tenant's default", () => {
  const regions = createRegions({
    regions: [
      { name: "us-east", tag: "use" },
      { name: "eu-west", tag: "euw" },
    ],
    defaultRegion: "eu-west",
  });
  const minted = `order-${mintId("use", 0, Date.now())}`;
  expect(regions.homeOf(minted)).toBe("us-east");
  expect(regions.homeOf(minted, "us-east")).toBe("us-east");
  expect(codeOf(() => regions.homeOf(minted, "eu-west"))).toBe("invalid");
  expect(regions.homeOf("order-1", "us-east")).toBe("us-east");
  expect(regions.homeOf("order-1")).toBe("eu-west");
  expect(codeOf(() => regions.homeOf("order-1", "mars"))).toBe("unknown-region");
});
