import { expect, test } from "bun:test";
import type { ListOptions, StreamSummary } from "../../store/event-store.ts";
import { eventually } from "../mesh/eventually.ts";
import { type At, append, home, read, refusal } from "./conformance-calls.ts";
import { event } from "./region.ts";

/** What a store says of streams. */
export function streams(at: At, wire: boolean): void {
  test("streamInfo() has everything that was acknowledged before", async () => {
    for (let i = 0; i < 3; i++) {
      await append(at, "info-1", "any", event(`e${i}`), event(`f${i}`));
      const events = await read(at, "info-1");
      const [first, last] = [events[0]!, events.at(-1)!];
      expect(await at().streamInfo("info-1")).toEqual({
        stream: "info-1",
        home,
        log: expect.any(String),
        shard: last.position.shard,
        lastRevision: 2 * i + 1,
        firstRecordedUs: first.recordedUs,
        lastRecordedUs: last.recordedUs,
        position: last.position,
      } satisfies StreamSummary);
    }
    expect(await at().streamInfo("info-1", { home })).toMatchObject({ lastRevision: 5 });
  });

  test("streamInfo() of no such stream is not-found, of no stream id or no region invalid", async () => {
    const none = await refusal(at().streamInfo("info-none"));
    expect(none).toMatchObject({ code: "not-found", details: { stream: "info-none" } });
    const wrong = await refusal(Promise.try(() => at().streamInfo("a b")));
    expect(wrong).toMatchObject({ code: "invalid", details: { field: "stream" } });
    expect(await refusal(Promise.try(() => at().streamInfo("info-1", { home: "mars" })))).toMatchObject({
      code: "unknown-region",
      details: { field: "home" },
    });
  });

  const listed = ["List", "List-", "List-1", "List-1-a", "List-1.a", "List-10", "List-2", "List-Z", "List-a", "List-~"];
  const aside = ["Lis", "Lis-1", "List.1", "List0", "Lisu", "list-1"];

  async function pages(options: ListOptions): Promise<string[]> {
    const ids: string[] = [];
    let pageToken: string | undefined;
    do {
      const page = await at().listStreams({ ...options, pageToken });
      expect(page.streams.length).toBeLessThanOrEqual(options.pageSize ?? 100);
      ids.push(...page.streams.map(({ stream }) => stream));
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
    return ids;
  }

  test("listStreams() has a category's streams in the order of their bytes, whatever the page's size", async () => {
    for (const stream of [...listed, ...aside].toReversed()) await append(at, stream, "any", event("a"), event("b"));
    await eventually("the archive has them", async () => {
      const found = await Promise.all(
        ["Lis", "List", "List.1", "List0", "Lisu", "list"].map((category) => pages({ category })),
      );
      return found.flat().length === listed.length + aside.length;
    });
    for (const pageSize of [1, 3, listed.length, 1_000]) {
      expect(await pages({ category: "List", pageSize })).toEqual(listed);
    }
    const { streams } = await at().listStreams({ category: "List", pageSize: 3 });
    expect(streams).toEqual(await Promise.all(listed.slice(0, 3).map((stream) => at().streamInfo(stream))));
  });

  test("listStreams() has the streams that begin with a prefix, of the category too where both are given", async () => {
    expect(await pages({ prefix: "List-1", pageSize: 2 })).toEqual(["List-1", "List-1-a", "List-1.a", "List-10"]);
    expect(await pages({ prefix: "Lis", category: "List" })).toEqual(listed);
    expect(await pages({ prefix: "Lis" })).toEqual([...listed, ...aside].filter((id) => id.startsWith("Lis")).sort());
    expect(await pages({ prefix: "List-", category: "List0" })).toEqual([]);
    expect(await pages({ prefix: "List-~" })).toEqual(["List-~"]);
    const { log } = await at().streamInfo("List-1");
    expect(await pages({ prefix: "List-1", log, home })).toHaveLength(4);
  });

  test("listStreams() refuses what it cannot list, by the field's name", async () => {
    const field = async (options: ListOptions) => {
      const { code, details } = await refusal(Promise.try(() => at().listStreams(options)));
      return [code, details.field];
    };
    const { nextPageToken } = await at().listStreams({ category: "List", pageSize: 3 });
    const forged = `${nextPageToken!.slice(0, -2)}zz`;
    for (const [options, named] of [
      [{ category: "Li-st" }, "category"],
      [{ category: "ü" }, "category"],
      [{ category: "x".repeat(129) }, "category"],
      [{ prefix: "-" }, "prefix"],
      [{ prefix: "x".repeat(129) }, "prefix"],
      [{ pageSize: 1_001 }, "page_size"],
      [{ category: "List", pageToken: "nonsense" }, "page_token"],
      [{ category: "Lis", pageToken: nextPageToken }, "page_token"],
      [{ category: "List", prefix: "List-", pageToken: nextPageToken }, "page_token"],
      [{ category: "Lisu", pageToken: forged }, "page_token"],
      [{ log: "nowhere" }, "log"],
    ] as const) {
      expect(await field(options)).toEqual(["invalid", named]);
    }
    if (!wire) expect(await field({ pageSize: 0 })).toEqual(["invalid", "page_size"]);
    expect((await field({ home: "mars" }))[0]).toBe("unknown-region");
  });
}
