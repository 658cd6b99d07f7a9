import { expect, test } from "bun:test";
import type { NewEvent } from "../../store/event-store.ts";
import { digestOf, encodeSent } from "../../store/format/encode.ts";
import * as limits from "../../store/limits.ts";
import { type At, append, home, idsOf, read, refusal, whole } from "./conformance-calls.ts";
import { event } from "./region.ts";

export function appends(at: At, wire: boolean): void {
  test("records events with dense revisions and says where they stand", async () => {
    const first = await append(at, "note-1", "no-stream", event("a"), event("b"));
    expect(first).toMatchObject({ home, firstRevision: 0, lastRevision: 1, repeated: false });
    expect(first.durability).toEqual({ fsync: true, replicas: 1 });
    const second = await append(at, "note-1", 1, event("c"));
    const events = await read(at, "note-1");
    expect(events.map(({ id, revision }) => [id, revision])).toEqual([
      ["a", 0],
      ["b", 1],
      ["c", 2],
    ]);
    expect([events[1]!.position, events[2]!.position]).toEqual([first.position, second.position]);
  });

  test("keeps every field of an event as it was sent, and its time", async () => {
    await append(at, "note-2", "no-stream", event("bare"), whole);
    const [bare, full] = await read(at, "note-2");
    expect(full).toMatchObject({ ...whole, stream: "note-2", home, digest: digestOf(encodeSent(whole)) });
    const nothing = { contentType: "", schema: 0, occurredUs: 0, correlation: "", causation: "", attributes: [] };
    expect(bare).toMatchObject({ ...event("bare"), ...nothing, traceparent: "", actor: "", dataKey: "" });
    expect(Math.abs(bare!.recordedUs / 1_000 - Date.now())).toBeLessThan(60_000);
  });

  test("refuses a wrong expected revision, tells the actual one, and writes nothing", async () => {
    await append(at, "note-3", "no-stream", event("a"));
    for (const [stream, expected, actual] of [
      ["note-3", "no-stream", 0],
      ["note-3", 1, 0],
      ["note-none", 0, -1],
      ["note-none", "stream-exists", -1],
    ] as const) {
      const details = { stream, expected, actual };
      expect(await refusal(append(at, stream, expected, event("b")))).toMatchObject({
        code: "wrong-revision",
        details,
      });
    }
    expect(idsOf(await read(at, "note-3"))).toEqual(["a"]);
    expect((await append(at, "note-3", "stream-exists", event("b"))).lastRevision).toBe(1);
    expect((await append(at, "note-3", "any", event("c"))).lastRevision).toBe(2);
    expect((await append(at, "note-4", "any", event("a"))).lastRevision).toBe(0);
  });

  test("decides many at once to one stream one after the other", async () => {
    const first = Array.from({ length: 50 }, (_, i) => append(at, "note-5", "no-stream", event(`e${i}`)));
    const outcomes = await Promise.allSettled(first);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const anyhow = await Promise.all(
      Array.from({ length: 100 }, (_, i) => append(at, "note-5", "any", event(`f${i}`))),
    );
    expect(new Set(anyhow.map(({ lastRevision }) => lastRevision)).size).toBe(100);
    const revisions = (await read(at, "note-5")).map(({ revision }) => revision);
    expect(revisions).toEqual(Array.from({ length: 101 }, (_, i) => i));
  });

  const long = (bytes: number) => "x".repeat(bytes);
  /** The last: the limit that the refusal must name, where it is one. */
  const broken: [string, Partial<NewEvent>, field: string, limit: number | undefined][] = [
    ["no id", { id: "" }, "id", undefined],
    ["a long id", { id: long(limits.eventIdBytesMax + 1) }, "id", limits.eventIdBytesMax],
    ["an id with NUL", { id: "nul\0" }, "id", undefined],
    ["no type", { type: "" }, "type", undefined],
    ["a long type", { type: long(limits.eventTypeBytesMax + 1) }, "type", limits.eventTypeBytesMax],
    ["much data", { data: new Uint8Array(limits.eventBytesMax + 1) }, "data", limits.eventBytesMax],
    [
      "a long content type",
      { contentType: long(limits.eventTextBytesMax + 1) },
      "content_type",
      limits.eventTextBytesMax,
    ],
    ["a long data key", { dataKey: long(limits.eventTextBytesMax + 1) }, "data_key", limits.eventTextBytesMax],
    ["a time before 1970", { occurredUs: -1 }, "occurred_us", undefined],
    ["a time beyond 2^53", { occurredUs: 2 ** 53 }, "occurred_us", undefined],
    ["an attribute without a name", { attributes: [{ name: "", value: "v" }] }, "attributes", undefined],
    [
      "large attributes",
      { attributes: [{ name: "n", value: long(limits.attributesBytesMax) }] },
      "attributes",
      limits.attributesBytesMax,
    ],
    [
      "many attributes",
      { attributes: Array.from({ length: limits.attributesMax + 1 }, (_, i) => ({ name: `n${i}`, value: "" })) },
      "attributes",
      limits.attributesMax,
    ],
  ];
  const unsaid: typeof broken = [
    ["half a character", { correlation: "\ud800" }, "correlation", undefined],
    ["a schema beyond 2^32", { schema: 2 ** 32 }, "schema", undefined],
  ];
  const namesTheField = async (_: string, change: Partial<NewEvent>, field: string, limit?: number) => {
    const refused = await refusal(append(at, "note-6", "any", event("good"), { ...event("bad"), ...change }));
    expect(refused).toMatchObject({ code: "invalid", details: { field: `events/1/${field}` } });
    if (limit !== undefined) expect(refused.message).toContain(`${limit}`);
    expect((await refusal(read(at, "note-6"))).code).toBe("not-found");
  };
  test.each(broken)("refuses an event with %s and names the field", namesTheField);
  (wire ? test.skip : test).each(unsaid)("refuses an event with %s and names the field", namesTheField);

  test("refuses no events, too many, too many bytes, and one id twice", async () => {
    const many = Array.from({ length: limits.appendEventsMax + 1 }, (_, i) => event(`e${i}`));
    const large = Array.from({ length: 4 }, (_, i) => ({ ...event(`e${i}`), data: new Uint8Array(900_000) }));
    const refusals: [NewEvent[], string][] = [
      [[], `1 to ${limits.appendEventsMax} events`],
      [many, `1 to ${limits.appendEventsMax} events`],
      [large, `at most ${limits.appendBytesMax} bytes`],
      [[event("d"), event("d")], "same id"],
    ];
    for (const [events, rule] of refusals) {
      const refused = await refusal(append(at, "note-7", "any", ...events));
      expect(refused).toMatchObject({ code: "invalid", details: { field: "events" } });
      expect(refused.message).toContain(rule);
    }
    expect((await refusal(read(at, "note-7"))).code).toBe("not-found");
  });

  test.each(["", "a b", "-1", "note-ü", "x".repeat(129)])("refuses the stream id %p", async (stream) => {
    const details = { field: "stream" };
    expect(await refusal(append(at, stream, "any", event("a")))).toMatchObject({ code: "invalid", details });
    expect(await refusal(read(at, stream))).toMatchObject({ code: "invalid", details });
  });
}

export function repeats(at: At, wire: boolean): void {
  test("answers what the first was answered, whatever it expects", async () => {
    const first = await append(at, "again-1", "no-stream", event("a"), event("b"));
    await append(at, "again-1", 1, event("c"));
    for (const expected of ["no-stream", "stream-exists", "any", 1, 7] as const) {
      expect(await append(at, "again-1", expected, event("a"), event("b"))).toEqual({ ...first, repeated: true });
    }
    expect(await read(at, "again-1")).toHaveLength(3);
  });

  test("joins the first while that is still in flight, and is stored once", async () => {
    const all = Array.from({ length: 20 }, () => append(at, "again-2", "no-stream", event("only")));
    const results = await Promise.all(all);
    expect(results.filter(({ repeated }) => !repeated)).toHaveLength(1);
    for (const { position } of results) expect(position).toEqual(results[0]!.position);
    expect(await read(at, "again-2")).toHaveLength(1);
  });

  test("is refused where any field differs, where only a part was recorded, and in another order", async () => {
    await append(at, "again-3", "no-stream", whole, event("b"));
    const other: Partial<NewEvent>[] = [
      { type: "thing.else" },
      { data: new Uint8Array([1]) },
      { contentType: "" },
      { schema: 4 },
      { occurredUs: 1 },
      { correlation: "" },
      { attributes: [] },
      { actor: "b" },
    ];
    for (const change of other) {
      const refused = await refusal(append(at, "again-3", "any", { ...whole, ...change }));
      const details = { stream: "again-3", eventId: "whole", eventRevision: 0 };
      expect(refused).toMatchObject({ code: "already-exists", details });
    }
    expect((await refusal(append(at, "again-3", "any", event("b"), event("c")))).code).toBe("already-exists");
    expect((await refusal(append(at, "again-3", "any", event("b"), whole))).code).toBe("already-exists");
    expect(idsOf(await read(at, "again-3"))).toEqual(["whole", "b"]);
  });

  test.skipIf(wire)("is known by the digest that the event carries, where it carries one", async () => {
    const first = await append(at, "again-4", "no-stream", { ...event("a", "first"), digest: 17n });
    const again = await append(at, "again-4", "no-stream", { ...event("a", "second"), digest: 17n });
    expect(again).toEqual({ ...first, repeated: true });
    const refused = await refusal(append(at, "again-4", "any", { ...event("a", "first"), digest: 18n }));
    expect(refused.code).toBe("already-exists");
    expect(await read(at, "again-4")).toMatchObject([{ ...event("a", "first"), digest: 17n }]);
  });

  test("of the same id in another stream is another event", async () => {
    await append(at, "again-5", "no-stream", event("a"));
    expect(await append(at, "again-6", "no-stream", event("a", "other"))).toMatchObject({ repeated: false });
  });
}
