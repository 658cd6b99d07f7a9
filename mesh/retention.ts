/** What an operator takes away from a log, and who still needs it. Only the role "operator" may do any of this. */
import type { Connection } from "./connection.ts";
import { type ConsumerInfo, call, callPatiently } from "./jetstream-api.ts";
import type { LogName } from "./log.ts";
import { api, logStream, logSubject, shardOf } from "./subjects.ts";

/** A consumer of a log that keeps its place: a worker's, or a mirror's. */
export interface ConsumerPlace {
  readonly name: string;
  /** Undefined: it takes all shards. */
  readonly shard: number | undefined;
  /** Stream sequence up to which it has taken everything. */
  readonly sequence: number;
  /** True: nothing of what it takes is behind that. */
  readonly done: boolean;
}

export async function consumerPlaces(c: Connection, name: LogName): Promise<ConsumerPlace[]> {
  const durable = (await listConsumers(c, logStream(name))).filter(({ config }) => config.durable_name !== undefined);
  return durable.map(({ name: consumer, config, ack_floor, num_pending, num_ack_pending }) => ({
    name: consumer,
    shard: typeof config.filter_subject === "string" ? shardOf(config.filter_subject) : undefined,
    sequence: ack_floor.stream_seq,
    done: num_pending + num_ack_pending === 0,
  }));
}

/** Every consumer of a stream, page by page. */
export async function listConsumers(c: Connection, stream: string): Promise<ConsumerInfo[]> {
  const all: ConsumerInfo[] = [];
  for (;;) {
    const asked = { offset: all.length };
    const page = await call<{ total: number; consumers?: ConsumerInfo[] }>(
      c,
      api.consumerList(c.region, stream),
      asked,
    );
    const consumers = page.consumers ?? [];
    all.push(...consumers);
    if (consumers.length === 0 || all.length >= page.total) return all;
  }
}

/** Removes a shard's messages below a stream sequence for ever; answers how many. Repeated, it removes nothing more. */
export async function purgeShard(c: Connection, name: LogName, shard: number, below: number): Promise<number> {
  const stream = logStream(name);
  const asked = { filter: logSubject(name, shard), seq: below };
  return (await callPatiently<{ purged: number }>(c, api.streamPurge(c.region, stream), asked)).purged;
}
