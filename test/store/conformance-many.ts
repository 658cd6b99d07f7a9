import { expect, test } from "bun:test";
import { type ExpectedRevision, StoreError } from "../../store/error.ts";
import type { AppendOutcome, AppendRequest, AppendResult, NewEvent } from "../../store/event-store.ts";
import * as limits from "../../store/limits.ts";
import { type At, append, home, idsOf, read, refusal } from "./conformance-calls.ts";
import { event } from "./region.ts";

export const to = (stream: string, expected: ExpectedRevision, ...events: NewEvent[]): AppendRequest => ({
  stream,
  expected,
  events,
});

/** What became of each: its first and last revision, or the code of its refusal. */
const shapes = (outcomes: readonly AppendOutcome[]) =>
  outcomes.map((one) => (one instanceof StoreError ? one.code : `${one.firstRevision}-${one.lastRevision}`));

export function manyAppends(at: At): void {
  test("are each answered in the order of the request, and a refused one spoils none of the others", async () => {
    await append(at, "many-1", "no-stream", event("a"));
    const outcomes = await at().appendMany([
      to("many-2", "no-stream", event("a"), event("b")),
      to("many-1", "no-stream", event("x")),
      to("many-1", 0, event("b")),
      to("many 3", "any", event("a")),
      to("many-2", "any", { ...event("a"), type: "" }),
      { ...to("many-2", "any", event("c")), home: "mars" },
      to("many-1", "any", event("a", "other")),
      to("many-2", 1, event("c")),
      to("many-1", "any", event("a")),
    ]);
    const ok = ["0-1", "wrong-revision", "1-1", "invalid", "invalid", "unknown-region", "already-exists", "2-2", "0-0"];
    expect(shapes(outcomes)).toEqual(ok);
    expect(outcomes[1]).toMatchObject({ details: { stream: "many-1", expected: "no-stream", actual: 0 } });
    expect(outcomes[3]).toMatchObject({ details: { field: "stream" } });
    expect(outcomes[4]).toMatchObject({ details: { field: "events/0/type" } });
    expect(outcomes[5]).toMatchObject({ details: { field: "home" } });
    expect(outcomes[6]).toMatchObject({ details: { stream: "many-1", eventId: "a", eventRevision: 0 } });
    expect(outcomes[8]).toMatchObject({ repeated: true, home });
    expect(idsOf(await read(at, "many-1"))).toEqual(["a", "b"]);
    expect(idsOf(await read(at, "many-2"))).toEqual(["a", "b", "c"]);
    const { position } = outcomes[7] as AppendResult;
    expect((await read(at, "many-2", { from: 2 }))[0]!.position).toEqual(position);
  });

  test("to one stream are decided in the order of the request, whatever else they wait for", async () => {
    const streams = ["row-1", "row-2", "row-3"];
    await append(at, "row-2", "no-stream", event("first"), event("second"));
    const last = new Map<string, number>([["row-2", 1]]);
    const steps = Array.from({ length: 150 }, (_, step) => {
      const stream = streams[step % 3]!;
      const before = last.get(stream) ?? -1;
      // Some of two events and some of one: the archive is asked differently for them.
      const events = step % 4 === 0 ? [event(`e${step}`), event(`f${step}`)] : [event(`e${step}`)];
      last.set(stream, before + events.length);
      return to(stream, before === -1 ? "no-stream" : before, ...events);
    });
    const outcomes = await at().appendMany(steps);
    expect(outcomes.filter((one) => one instanceof StoreError)).toEqual([]);
    for (const stream of streams) {
      const ids = steps.filter((one) => one.stream === stream).flatMap((one) => one.events.map(({ id }) => id));
      expect(idsOf(await read(at, stream))).toEqual([...(stream === "row-2" ? ["first", "second"] : []), ...ids]);
    }
    const again = await at().appendMany(steps);
    expect(again).toEqual(outcomes.map((one) => ({ ...(one as AppendResult), repeated: true })));
  });

  test("of more than one batch takes keep their order too", async () => {
    const data = new Uint8Array(500_000);
    const steps = Array.from({ length: 10 }, (_, step) =>
      to("heavy-1", step === 0 ? "no-stream" : step - 1, { ...event(`e${step}`), data }),
    );
    expect(shapes(await at().appendMany(steps))).toEqual(steps.map((_, step) => `${step}-${step}`));
    expect(await read(at, "heavy-1")).toHaveLength(10);
  });

  test("are 1 to 1,000, each with limits of its own", async () => {
    const many = Array.from({ length: limits.appendManyMax + 1 }, (_, i) => to(`crowd-${i}`, "any", event("a")));
    for (const requests of [[], many]) {
      const refused = await refusal(at().appendMany(requests));
      expect(refused).toMatchObject({ code: "invalid", details: { field: "appends" } });
      expect(refused.message).toContain(`1 to ${limits.appendManyMax}`);
    }
    expect((await refusal(read(at, "crowd-0"))).code).toBe("not-found");
    const outcomes = await at().appendMany(many.slice(1));
    expect(new Set(shapes(outcomes))).toEqual(new Set(["0-0"]));
  });

  test("that are all refused are refused each for itself", async () => {
    const outcomes = await at().appendMany([to("", "any", event("a")), to("none-1", 7, event("a"))]);
    expect(shapes(outcomes)).toEqual(["invalid", "wrong-revision"]);
    expect(shapes(await at().appendMany([to("none-1", "stream-exists", event("a"))]))).toEqual(["wrong-revision"]);
  });
}

export function severalStreams(at: At): void {
  const several = (...requests: AppendRequest[]) => at().appendStreams(requests);

  test("are recorded all at once, each with its own expected revision, and answered in the order of the request", async () => {
    await append(at, "cart-{1}", "no-stream", event("a"));
    const results = await several(
      to("stock-{1}", "no-stream", event("a"), event("b")),
      to("cart-{1}", 0, event("b")),
      to("bill-{1}", "any", event("a")),
    );
    expect(shapes(results)).toEqual(["0-1", "1-1", "0-0"]);
    expect(results).toMatchObject([{ home, repeated: false }, { home }, { home }]);
    for (const [which, stream] of ["stock-{1}", "cart-{1}", "bill-{1}"].entries()) {
      const last = (await read(at, stream)).at(-1)!;
      expect(last.position).toEqual(results[which]!.position);
    }
    expect(idsOf(await read(at, "cart-{1}"))).toEqual(["a", "b"]);
  });

  test("are refused together where one expected revision is wrong, and nothing is written", async () => {
    await append(at, "cart-{2}", "no-stream", event("a"));
    const refused = await refusal(
      several(to("stock-{2}", "no-stream", event("a")), to("cart-{2}", 3, event("b")), to("bill-{2}", 7, event("a"))),
    );
    const details = { stream: "cart-{2}", expected: 3, actual: 0 };
    expect(refused).toMatchObject({ code: "wrong-revision", details });
    expect((await refusal(read(at, "stock-{2}"))).code).toBe("not-found");
    expect(idsOf(await read(at, "cart-{2}"))).toEqual(["a"]);
  });

  test("repeated as a whole are answered as the first time; repeated in part they are refused", async () => {
    const first = [to("stock-{3}", "no-stream", event("a")), to("cart-{3}", "no-stream", event("a"), event("b"))];
    const results = await several(...first);
    await append(at, "cart-{3}", 1, event("c"));
    expect(await several(...first)).toEqual(results.map((one) => ({ ...one, repeated: true })));
    const reversed = await several(...first.toReversed());
    expect(reversed).toEqual(results.toReversed().map((one) => ({ ...one, repeated: true })));
    const parts: [AppendRequest, object][] = [
      [to("bill-{3}", "any", event("a")), { stream: "stock-{3}", eventId: "a", eventRevision: 0 }],
      [to("bill-{3}", 9, event("a")), { stream: "stock-{3}", eventId: "a", eventRevision: 0 }],
      [to("cart-{3}", "any", event("d")), { stream: "stock-{3}", eventId: "a", eventRevision: 0 }],
      [to("cart-{3}", "any", event("b"), event("e")), { stream: "cart-{3}", eventId: "b", eventRevision: 1 }],
      [to("cart-{3}", "any", event("c", "other")), { stream: "cart-{3}", eventId: "c", eventRevision: 2 }],
    ];
    for (const [other, details] of parts) {
      expect(await refusal(several(first[0]!, other))).toMatchObject({ code: "already-exists", details });
    }
    expect((await refusal(read(at, "bill-{3}"))).code).toBe("not-found");
    expect(await read(at, "cart-{3}")).toHaveLength(3);
  });

  test("many at once to the same streams: one wins, and each of the others wrote nothing", async () => {
    const all = Array.from({ length: 20 }, (_, i) =>
      several(to("stock-{4}", "no-stream", event(`s${i}`)), to("cart-{4}", "no-stream", event(`c${i}`))),
    );
    const won = (await Promise.allSettled(all)).map(({ status }) => status).indexOf("fulfilled");
    expect(idsOf(await read(at, "stock-{4}"))).toEqual([`s${won}`]);
    expect(idsOf(await read(at, "cart-{4}"))).toEqual([`c${won}`]);
    const same = Array.from({ length: 10 }, () =>
      several(to("stock-{4}", "any", event("x")), to("cart-{4}", "any", event("x"))),
    );
    const results = await Promise.all(same);
    expect(results.filter(([first]) => !first!.repeated)).toHaveLength(1);
    expect(await read(at, "stock-{4}")).toHaveLength(2);
  });

  test("of several shards are refused, and told which is where and what keeps them together", async () => {
    const streams = Array.from({ length: 12 }, (_, i) => to(`apart-${i}`, "any", event("a")));
    const refused = await refusal(several(...streams));
    expect(refused).toMatchObject({ code: "invalid", details: { field: "appends" } });
    expect((await refusal(read(at, "apart-0"))).code).toBe("not-found");
  });

  test("are 1 to 100, each another, and fit into one batch", async () => {
    const key = (i: number) => to(`lot-{5}-${i}`, "any", event("a"));
    const many = Array.from({ length: limits.appendStreamsMax + 1 }, (_, i) => key(i));
    const huge = Array.from({ length: 2 }, (_, i) => ({
      ...key(i),
      events: Array.from({ length: 6_000 }, (_, n) => event(`e${n}`)),
    }));
    for (const requests of [[], many, huge]) {
      expect(await refusal(several(...requests))).toMatchObject({ code: "invalid", details: { field: "appends" } });
    }
    const twice = { code: "invalid", details: { field: "appends/2/stream" } };
    expect(await refusal(several(key(1), key(2), key(1)))).toMatchObject(twice);
    const broken = { code: "invalid", details: { field: "appends/1/events/0/type" } };
    const untyped = { ...event("a"), type: "" };
    expect(await refusal(several(key(1), to("lot-{5}-2", "any", untyped)))).toMatchObject(broken);
    const nowhere = { code: "unknown-region", details: { field: "appends/1/home" } };
    expect(await refusal(several(key(1), { ...key(2), home: "mars" }))).toMatchObject(nowhere);
    expect((await refusal(read(at, "lot-{5}-1"))).code).toBe("not-found");
    expect(await several(...many.slice(1))).toHaveLength(100);
  });
}
