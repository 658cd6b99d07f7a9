import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { EventStore } from "../../store/event-store.ts";
import { mintId, parseTag } from "../../store/ids.ts";
import { appends, repeats } from "./conformance-appends.ts";
import { type At, append, home, read, refusal, tag } from "./conformance-calls.ts";
import { logs } from "./conformance-logs.ts";
import { manyAppends, severalStreams } from "./conformance-many.ts";
import { reads } from "./conformance-reads.ts";
import { shardInfo } from "./conformance-shards.ts";
import { streams } from "./conformance-streams.ts";
import { subscriptions } from "./conformance-subscriptions.ts";
import { event } from "./region.ts";

/** An event store whose log is empty, in a mesh that has at least the region us-east with the tag "use". */
export interface Opened extends AsyncDisposable {
  readonly store: EventStore;
}

/** How the subscriptions of a store under test are to be set: nobody waits 15 s for a sign of life. */
export const quickly = { heartbeatMs: 400, checkpointMs: 100, lookMs: 50 };

/**
 * What every EventStore promises, whatever is behind it; registers the tests. Over a wire those are skipped that need what
 * its messages cannot say: a digest, text that is not UTF-8, a number that its field cannot hold.
 */
export function conformance(name: string, open: () => Promise<Opened>, { wire = false } = {}): void {
  describe(name, () => {
    let opened: Opened;
    beforeAll(async () => {
      opened = await open();
    }, 30_000);
    afterAll(() => opened[Symbol.asyncDispose]());
    const at = (): EventStore => opened.store;

    describe("append()", () => appends(at, wire));
    describe("append() again", () => repeats(at, wire));
    describe("appendMany()", () => manyAppends(at));
    describe("appendStreams()", () => severalStreams(at));
    describe("readStream()", () => reads(at, wire));
    describe("readLog()", () => logs(at, wire));
    describe("streamInfo() and listStreams()", () => streams(at, wire));
    describe("subscribe()", () => subscriptions(at));
    describe("shardInfo()", () => shardInfo(at));
    describe("ids and homes", () => ids(at));
  });
}

function ids(at: At): void {
  const order = (id: string) => `order-${id}`;

  test("a minted id names its home and is new; one from the future, or of no region, is refused", async () => {
    const minted = order(at().mint());
    expect(parseTag(minted, new Set([tag]), 256)).toMatchObject({ tag });
    expect([at().taggedHome(minted), at().homeOf(minted)]).toEqual([home, home]);
    expect(await append(at, minted, "no-stream", event("created"))).toMatchObject({ home, repeated: false });
    const details = { field: "stream" };
    const future = order(mintId(tag, 0, Date.now() + 60_000));
    expect(await refusal(append(at, future, "no-stream", event("a")))).toMatchObject({ code: "invalid", details });
    const nowhere = order(mintId("zz", 0, Date.now()));
    expect(await refusal(append(at, nowhere, "no-stream", event("a")))).toMatchObject({ code: "invalid", details });
    const noShard = order(mintId(tag, 255, Date.now()));
    expect(await refusal(append(at, noShard, "no-stream", event("a")))).toMatchObject({ code: "invalid", details });
  });

  test("a stream without a tag is at home where the request says, else in the default region", async () => {
    expect([at().taggedHome("note-1"), at().homeOf("note-1"), at().homeOf("note-1", home)]).toEqual([
      undefined,
      home,
      home,
    ]);
    const details = { field: "home" };
    const mars = { stream: "note-8", expected: "any", events: [event("a")], home: "mars" } as const;
    expect(await refusal(() => at().homeOf("note-8", "mars"))).toMatchObject({ code: "unknown-region", details });
    expect(await refusal(at().append(mars))).toMatchObject({ code: "unknown-region", details });
    expect((await refusal(read(at, "note-8", { home: "mars" }))).code).toBe("unknown-region");
  });
}
