import type { Log } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { wholeBatch } from "../chain/decoded-batch.ts";
import type { LogBatch } from "../chain/follow-log.ts";
import { type WalkOptions, walkDown, walkUp } from "../chain/log-walk.ts";
import { createProof } from "../chain/proof.ts";
import { recordedEvents } from "../chain/recorded.ts";
import { StoreError } from "../error.ts";
import type { LogItem, ReadLogOptions } from "../event-store.ts";
import { passedEventsMax, passedMs } from "../limits.ts";
import type { Position } from "../position.ts";
import { createFilter } from "./event-filter.ts";
import { type GivenPosition, mayLag, messageAt, positionField, positionsByLog } from "./given-positions.ts";
import { known, refuse } from "./mesh-away.ts";

export interface ReadableLog {
  readonly log: Log;
  /** Stream sequence of its last message. */
  last(): Promise<number>;
}

/** Reads logs one after the other. A client that is slow or gone holds the reading back: no more is read than a portion. */
export async function* readLogs(
  choose: () => readonly ReadableLog[],
  options: ReadLogOptions,
  logger: Logger,
): AsyncGenerator<LogItem> {
  const { backwards = false, limit = Number.POSITIVE_INFINITY, signal } = options;
  const logs = choose();
  const given = positionsByLog(
    logs.map(({ log }) => log),
    options.after ?? [],
    "log",
  );
  const first = logs.map(({ log }) => given.get(log)![0]);
  const starts = first.map((one) => one?.position);
  const walks = await begin(logs, first, options, logger).catch((cause) => refuse(cause, signal));
  const filter = createFilter(options).event;
  const said = createProgress(starts);
  let left = limit;
  for (const [number, { log }] of logs.entries()) {
    const walk = walks[number]!;
    const rest = partOf(walk.after, starts[number], backwards);
    const batches = known(backwards ? walkDown(log, walk) : walkUp(log, walk), signal);
    for await (const { message, batch, within } of parts(rest, batches)) {
      const place = { home: log.name.home, log: log.identity, shard: message.shard, sequence: message.sequence };
      const events = recordedEvents(batch, place, filter);
      if (backwards) events.reverse();
      for (const event of events) {
        if (!within(event.position.index)) continue;
        yield { kind: "event", event };
        if (--left > 0) continue;
        said.reached(number, event.position);
        return yield said.checkpoint();
      }
      said.reached(number, { ...place, index: backwards ? 0 : wholeBatch });
      if (said.due(events.length, batch.events.length)) yield said.checkpoint();
    }
  }
  yield said.checkpoint();
}

/** Where each walk begins and ends; everything is asked at once, and nothing is read before every start is known to be good. */
function begin(
  logs: readonly ReadableLog[],
  given: readonly (GivenPosition | undefined)[],
  { signal }: ReadLogOptions,
  logger: Logger,
): Promise<WalkOptions[]> {
  const walk = async (readable: ReadableLog, start: GivenPosition | undefined): Promise<WalkOptions> => {
    const { log } = readable;
    const last = await readable.last();
    return { after: await locate(log, start, last), last, logger, signal };
  };
  return Promise.all(logs.map((log, number) => walk(log, given[number])));
}

/** How far a read has come in each log, and when it has to say so. */
function createProgress(starts: readonly (Position | undefined)[]) {
  const at = [...starts];
  let passed = 0;
  let saidMs = performance.now();
  const said = () => {
    passed = 0;
    saidMs = performance.now();
  };
  return {
    reached(log: number, { log: identity, shard, sequence, index }: Position): void {
      at[log] = { log: identity, shard, sequence, index };
    },
    checkpoint(): LogItem {
      said();
      return { kind: "checkpoint", positions: at.filter((position) => position !== undefined) };
    },
    /** Of a batch's events so many were given. */
    due(given: number, all: number): boolean {
      if (given > 0) said();
      passed += all - given;
      return passed >= passedEventsMax || (passed > 0 && performance.now() - saidMs > passedMs);
    },
  };
}

interface Part extends LogBatch {
  /** Which of its events are to be read. */
  within(index: number): boolean;
}

const everything = () => true;

/** What is left of the batch that the start stands in. */
function partOf(batch: LogBatch | undefined, start: Position | undefined, backwards: boolean): Part | undefined {
  if (batch === undefined || start === undefined) return undefined;
  return { ...batch, within: (index) => (backwards ? index < start.index : index > start.index) };
}

async function* parts(first: Part | undefined, batches: AsyncIterable<LogBatch>): AsyncGenerator<Part> {
  if (first !== undefined) yield first;
  for await (const { message, batch } of batches) yield { message, batch, within: everything };
}

/** The batch that a position stands in. */
async function locate(log: Log, given: GivenPosition | undefined, last: number): Promise<LogBatch | undefined> {
  if (given === undefined) return undefined;
  const { sequence } = given.position;
  const details = { field: positionField(given.number) };
  if (sequence > last) {
    const text = `a position to read on from (${sequence}) lies beyond the log, which is at ${last}`;
    if (!mayLag(log)) throw new StoreError("invalid", text, details);
    throw new StoreError("unavailable", `${text}, or this region has not come to it yet`, {
      ...details,
      retryAfterMs: 1_000,
    });
  }
  const message = await messageAt(log, given);
  const judged = await createProof(log).judge(message);
  if ("batch" in judged) return { message, batch: judged.batch };
  throw new StoreError("invalid", "a position to read on from stands in no batch of the log", details);
}
