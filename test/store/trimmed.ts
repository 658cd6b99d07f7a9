import { expect } from "bun:test";
import type { LogItem, ReadLogOptions, SubscribeOptions } from "../../store/event-store.ts";
import { hashShard } from "../../store/ids.ts";
import type { Position } from "../../store/position.ts";
import { type Trimmed, type TrimOptions, trimLog } from "../../store/trim/trim.ts";
import { eventually } from "../mesh/eventually.ts";
import { event, type TestProcess, type TestRegion } from "./region.ts";

/** What the tests of trimmed logs write, trim and read. */

export const settings = { shards: 4, bytesMax: 50 << 20 };
export const put = ({ store }: TestProcess, stream: string, ...ids: string[]) =>
  store.append({ stream, expected: "any", events: ids.map((id) => event(id)) });

/** A stream of each shard. */
export const streams = [0, 1, 2, 3].map((shard) => {
  for (let at = 0; ; at++) if (hashShard(`s-${at}`, 4) === shard) return `s-${at}`;
});

/** Batches in all shards, of which one has been idle for long. */
export async function fill(process: TestProcess, region: TestRegion, prefix: string): Promise<void> {
  await put(process, streams[3]!, `${prefix}-idle`);
  for (let round = 0; round < 12; round++) {
    for (const stream of streams.slice(0, 3)) await put(process, stream, `${prefix}-${round}a`, `${prefix}-${round}b`);
  }
  await archived(region);
}

export async function archived({ archive, log }: TestRegion): Promise<void> {
  await eventually("the archive has everything", async () => {
    const last = await Promise.all([0, 1, 2, 3].map((shard) => log.lastMessage(shard)));
    return last.every((message, shard) => (message?.sequence ?? 0) === archive.checkpoints()[shard]);
  });
}

export function trim(region: TestRegion, process: TestProcess, more: Partial<TrimOptions> = {}): Promise<Trimmed> {
  const { log, archive } = region;
  const key = { tenant: "acme", ...log.name, identity: log.identity };
  const below = { sequence: Number.MAX_SAFE_INTEGER };
  return trimLog({
    ...{ connection: process.connection, log, key, archive, copies: [], consumers: [], below, dryRun: false },
    ...more,
  });
}

export interface Read {
  readonly ids: string[];
  readonly positions: Position[];
  readonly streams: string[];
}

export async function read({ store }: TestProcess, options: ReadLogOptions): Promise<Read> {
  const items: LogItem[] = await Array.fromAsync(store.readLog(options));
  const events = items.flatMap((item) => (item.kind === "event" ? [item.event] : []));
  return {
    ids: events.map(({ id }) => id),
    positions: events.map(({ position }) => position),
    streams: events.map(({ stream }) => stream),
  };
}

/** Until it has caught up. */
export async function subscribe({ store }: TestProcess, asked: Partial<SubscribeOptions> = {}): Promise<string[]> {
  const stop = new AbortController();
  const ids: string[] = [];
  let isDone = false;
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(5_000)]);
  for await (const notice of store.subscribe({ ...asked, signal })) {
    if (notice.kind === "event") ids.push(notice.event.id);
    isDone ||= notice.kind === "caught-up";
    if (isDone) stop.abort();
  }
  expect(isDone).toBe(true);
  return ids;
}
