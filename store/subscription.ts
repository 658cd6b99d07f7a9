import type { Log } from "../mesh/log.ts";
import type { Logger } from "../mesh/logger.ts";
import { decodeBatch } from "./decode.ts";
import { StoreError } from "./error.ts";
import type { Notice, RecordedEvent, SubscribeOptions } from "./event-store.ts";
import { streamCategory } from "./ids.ts";
import { checkpointEveryMs } from "./limits.ts";
import { followMessages } from "./log-reader.ts";
import type { Position } from "./position.ts";
import { recordedEvents } from "./recorded.ts";

/** Index of a position that stands for a whole batch: everything in it was seen. */
const wholeBatch = 0xffffffff;

/**
 * Follows one log from a position: catches up, says so, goes on live. The reader's pace is the log's: nothing is buffered
 * for a slow one beyond what the consumer has in flight. Ends quietly when the signal aborts.
 */
export async function* subscribe(log: Log, options: SubscribeOptions, logger: Logger): AsyncGenerator<Notice> {
  const { signal } = options;
  const wanted = filter(options);
  const shards = Array.from({ length: log.shards }, (_, shard) => shard);
  const stand = await Promise.all(shards.map(async (shard) => (await log.lastMessage(shard))?.sequence ?? 0));
  const from = startOf(log, options, stand);
  const at = from.map((start) => start.sequence);
  const caughtUp = () => at.every((sequence, shard) => sequence >= stand[shard]!);
  const positions = (): Position[] =>
    at.flatMap((sequence, shard) =>
      sequence === 0 ? [] : [{ log: log.identity, shard, sequence, index: wholeBatch }],
    );

  for (const shard of shards)
    for (const event of await rest(log, shard, from[shard]!, wanted)) yield { kind: "event", event };
  let told = caughtUp();
  if (told) yield { kind: "caught-up", positions: positions() };
  let checkpointMs = performance.now();
  for await (const { message, batch } of followMessages(log, { after: at.slice(), logger, signal })) {
    const place = { home: log.name.home, log: log.identity, shard: message.shard, sequence: message.sequence };
    if (batch === undefined) {
      // A stray at the end of a shard must not keep the notice back for ever.
      if (message.sequence >= stand[message.shard]!) stand[message.shard] = at[message.shard]!;
    } else {
      for (const event of recordedEvents(batch, place, wanted)) yield { kind: "event", event };
      at[message.shard] = message.sequence;
    }
    if (!told && caughtUp()) {
      told = true;
      yield { kind: "caught-up", positions: positions() };
    } else if (performance.now() - checkpointMs > checkpointEveryMs) {
      checkpointMs = performance.now();
      yield { kind: "checkpoint", positions: positions() };
    }
  }
}

interface Start {
  readonly sequence: number;
  readonly index: number;
}

function startOf(log: Log, options: SubscribeOptions, stand: readonly number[]): Start[] {
  if (options.from === "end") return stand.map((sequence) => ({ sequence, index: wholeBatch }));
  const starts: Start[] = stand.map(() => ({ sequence: 0, index: wholeBatch }));
  for (const position of options.from ?? []) {
    if (Buffer.compare(position.log, log.identity) !== 0 || position.shard >= log.shards) {
      throw new StoreError("invalid", "a position to resume from belongs to another log", { field: "from" });
    }
    if (position.sequence > stand[position.shard]!) {
      throw new StoreError(
        "invalid",
        `a position to resume from (${position.sequence}) lies beyond the log, which is at ${stand[position.shard]}`,
        { field: "from" },
      );
    }
    starts[position.shard] = position;
  }
  return starts;
}

/** What is left of the batch that a position stands in: the events behind it. */
async function rest(
  log: Log,
  shard: number,
  start: Start,
  wanted: (event: { stream: string; type: string }) => boolean,
): Promise<RecordedEvent[]> {
  if (start.sequence === 0) return [];
  const message = await log.message(start.sequence);
  if (message === undefined || message.shard !== shard) {
    throw new StoreError("invalid", "a position to resume from is not in the log", { field: "from" });
  }
  const place = { home: log.name.home, log: log.identity, shard, sequence: start.sequence };
  const events = recordedEvents(decodeBatch(message.data), place, wanted);
  return events.filter((event) => event.position.index > start.index);
}

function filter(options: SubscribeOptions): (event: { stream: string; type: string }) => boolean {
  const streams = set(options.streams);
  const categories = set(options.categories);
  const types = set(options.types);
  return ({ stream, type }) =>
    (streams?.has(stream) ?? true) && (categories?.has(streamCategory(stream)) ?? true) && (types?.has(type) ?? true);
}

const set = (names: readonly string[] | undefined) =>
  names === undefined || names.length === 0 ? undefined : new Set(names);
