import { createHash } from "node:crypto";
import type { LogKey } from "../../store/archive.ts";
import type { LogBatch } from "../../store/chain/follow-log.ts";
import type { Batch, BatchEvent } from "../../store/format/batch.ts";
import { kinds } from "../../store/format/batch.ts";
import { hashShard } from "../../store/ids.ts";

export const startUs = 1_763_740_000_000_000;

/** A log in memory, which hands out its batches as `followLog` does: after a checkpoint, then live until aborted. */
export interface MemoryLog {
  readonly key: LogKey & { readonly shards: number };
  readonly batches: readonly LogBatch[];
  /** One batch of events of one shard; answers it. */
  add(shard: number, events: readonly PartialEvent[]): LogBatch;
  /** In the shards that the streams hash to, in batches of `size`. */
  addAll(events: readonly PartialEvent[], size: number): void;
  /** Sequence of each shard's last batch. */
  ends(): number[];
  source(after: readonly number[], signal: AbortSignal): AsyncGenerator<LogBatch>;
}

export type PartialEvent = Pick<BatchEvent, "stream" | "type"> & Partial<BatchEvent>;

export function createMemoryLog(options: Partial<LogKey> & { shards?: number } = {}): MemoryLog {
  const { shards = 4, tenant = "acme", home = "us-east", log = "orders", generation = 1 } = options;
  const name = `${tenant}/${home}/${log}/${generation}`;
  const identity = options.identity ?? new Uint8Array(createHash("sha256").update(name).digest().subarray(0, 16));
  const key = { tenant, home, log, generation, identity, shards };
  const batches: LogBatch[] = [];
  const ends = Array.from({ length: shards }, () => 0);
  const revisions = new Map<string, number>();
  const waiting: (() => void)[] = [];

  function put(shard: number, kind: number, events: BatchEvent[]): LogBatch {
    const sequence = batches.length + 1;
    const batch: Batch = {
      log: identity,
      shard,
      epoch: kind === kinds.epoch ? 0 : 1,
      previous: ends[shard]!,
      owner: 1n,
      number: sequence,
      kind,
      timeUs: startUs,
      streams: [],
      events,
      otherLog: new Uint8Array(),
      otherSequence: 0,
      writer: "",
    };
    const message = { subject: `x.${shard}`, shard, sequence, timeMs: 0, data: new Uint8Array(), id: "" };
    const item = { message, batch };
    batches.push(item);
    ends[shard] = sequence;
    for (const wake of waiting.splice(0)) wake();
    return item;
  }

  function complete(event: PartialEvent, index: number): BatchEvent {
    const revision = event.revision ?? (revisions.get(event.stream) ?? -1) + 1;
    revisions.set(event.stream, revision);
    const id = event.id ?? `${event.stream}-${revision}`;
    return {
      revision,
      recordedUs: startUs + batches.length * 1_000 + index,
      append: 0,
      digest: createHash("sha256").update(id).digest().readBigUInt64BE(),
      data: Buffer.from("{}"),
      contentType: "",
      schema: 0,
      occurredUs: 0,
      correlation: "",
      causation: "",
      traceparent: "",
      attributes: [],
      actor: "",
      dataKey: "",
      ...event,
      id,
    };
  }

  const add = (shard: number, events: readonly PartialEvent[]) => put(shard, kinds.events, events.map(complete));
  for (let shard = 0; shard < shards; shard += 1) put(shard, kinds.epoch, []);
  return {
    key,
    batches,
    add,
    addAll(events, size) {
      const queues = Array.from({ length: shards }, (): PartialEvent[] => []);
      for (const event of events) queues[hashShard(event.stream, shards)]!.push(event);
      for (let at = 0; queues.some((queue) => queue.length > at); at += size) {
        for (const [shard, queue] of queues.entries()) {
          if (queue.length > at) add(shard, queue.slice(at, at + size));
        }
      }
    },
    ends: () => [...ends],
    async *source(after, signal) {
      for (let at = 0; !signal.aborted; ) {
        const item = batches[at];
        if (item === undefined) {
          await new Promise<void>((resolve) => {
            signal.addEventListener("abort", () => resolve(), { once: true });
            waiting.push(resolve);
          });
          continue;
        }
        at += 1;
        if (item.message.sequence > after[item.message.shard]!) yield item;
      }
    },
  };
}

export interface TestOrder {
  readonly id: string;
  readonly customer?: string;
  readonly amount?: string;
  readonly note?: string;
}

/** order.created with data as the gateway records it. */
export function created(order: TestOrder, more: { day?: number; currency?: string } = {}): PartialEvent {
  const { day = 1, currency = "GBP" } = more;
  const data = {
    order_id: order.id,
    customer_id: order.customer ?? "17850",
    country: "United Kingdom",
    region: "us-east",
    created_at: `2010-12-${String(day).padStart(2, "0")}T08:26:00Z`,
    currency,
    items: [{ product_code: "85123A", name: order.note ?? "HOLDER", unit_price: order.amount ?? "2.55", quantity: 1 }],
    amount: order.amount ?? "2.55",
  };
  return { stream: `order-${order.id}`, type: "order.created", data: Buffer.from(JSON.stringify(data)) };
}

export function happened(id: string, type: string): PartialEvent {
  return { stream: `order-${id}`, type, data: Buffer.from(JSON.stringify({ order_id: id })) };
}

/** A rule puts the order before a person. */
export function reviewAsked(id: string, detail: string): PartialEvent {
  const data = { order_id: id, reason: "amount-limit", detail };
  return { stream: `order-${id}`, type: "order.review-requested", data: Buffer.from(JSON.stringify(data)) };
}

/** Nothing has happened to it in that status for as long as its deadline. */
export function overdue(id: string, status: string): PartialEvent {
  return { ...happened(id, "order.overdue"), data: Buffer.from(JSON.stringify({ order_id: id, status })) };
}

/** A worker's step that is parked, or what a person decides of it. */
export function stepped(id: string, type: string, worker: string, reason = "no answer"): PartialEvent {
  const errors = [`OrderError: ${reason}`, 'the cause, "quoted"'];
  const about = { event: `e-${id}`, type: "order.created", reason, errors, attempts: 3, deliveries: 10 };
  const data = { order_id: id, worker, ...about, traceparent: "00-1-2-01" };
  return { stream: `order-${id}`, type, data: Buffer.from(JSON.stringify(data)) };
}
