import type { Log } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type DecodedBatch, wholeBatch } from "../chain/decoded-batch.ts";
import { decodeLog } from "../chain/follow-log.ts";
import type { Position } from "../position.ts";
import type { LiveTail } from "./live-tail.ts";
import type { Start } from "./subscription-start.ts";
import type { Turn, Turns } from "./turns.ts";

/**
 * One log of a subscription. Its states, and who moves it:
 *
 *   reading ── it has come to where the window of the shared tail begins ──► live
 *      ▲                                                                      │
 *      └──────────── the window has moved past its place (it was slow) ◄──────┘
 *
 * While it reads it takes its turn, and has a consumer of its own, one batch ahead of its reader. Live it is a place in the
 * window, and holds nothing. In both it is asked for the next batch, and wakes who asks when there is one.
 */
export interface Part {
  /** Resolves when it knows where to begin. Rejects with StoreError or MeshError. */
  begin(): Promise<void>;
  /** The next batch; undefined: not yet. Throws what keeps it from going on. */
  take(): DecodedBatch | undefined;
  /** Everything up to here has been given to the reader. */
  passed(place: Omit<Position, "log">): void;
  live(): boolean;
  /** Live, and everything has been given that was recorded when it began, or when it last fell behind. */
  caughtUp(): boolean;
  /** Live, and not all of the window has been looked at: what came since was not for it. */
  behind(): boolean;
  /** Live no longer, although it does not know yet: the window has moved past its place. */
  dropped(): boolean;
  /** Messages of the log behind its place. */
  waiting(): Promise<number>;
  positions(): Position[];
  close(): void;
}

export interface PartOptions {
  readonly log: Log;
  readonly tail: LiveTail;
  readonly turns: Turns;
  /** Those that may hold what is asked for; absent: all. */
  readonly shards: ReadonlySet<number> | undefined;
  /** Where it begins; "end": behind what is recorded now. */
  readonly start: () => Promise<Start | "end">;
  /** Stream sequence of the log's last message. */
  readonly last: () => Promise<number>;
  /** False: surely nothing in it is for the reader. */
  readonly wants: (batch: DecodedBatch) => boolean;
  readonly logger: Logger;
  readonly wake: () => void;
}

// long: one state machine, whose states share what they set and read
export function createPart(options: PartOptions): Part {
  const { log, tail, turns, shards, wake } = options;
  const at: { sequence: number; index: number }[] = Array.from({ length: log.shards }, () => ({
    sequence: 0,
    index: wholeBatch,
  }));
  /** Every message below this stream sequence has been looked at. */
  let next = 1;
  /** What it must have passed to have caught up; undefined: to be asked for. */
  let stand: number | undefined;
  /** Up to here nothing is given: it was recorded before a subscription from the end began. */
  let silentUpTo = 0;
  let ready: DecodedBatch | undefined;
  let rests: DecodedBatch[] = [];
  let pages: Start["pages"];
  let joined = false;
  let live = false;
  let number = 0;
  let turn: Turn | undefined;
  let reading: { readonly batches: AsyncGenerator<DecodedBatch, void>; readonly stop: AbortController } | undefined;
  let busy = false;
  let closed = false;
  let failure: unknown;

  const wants = (shard: number) => shards?.has(shard) ?? true;
  const seen = ({ shard, sequence, index }: DecodedBatch) =>
    !wants(shard) || sequence < at[shard]!.sequence || (sequence === at[shard]!.sequence && index <= at[shard]!.index);

  const caughtUp = () => live && stand !== undefined && next > stand;

  function passed({ shard, sequence, index }: Omit<Position, "log">): void {
    at[shard] = { sequence, index };
  }

  async function begin(): Promise<void> {
    const start = await options.start();
    if (start === "end") return beginAtEnd();
    for (const place of start.places) passed(place);
    ({ next, stand, pages } = start);
    rests = start.rests.slice();
  }

  async function beginAtEnd(): Promise<void> {
    await join();
    if (closed) return;
    tail.accepted().forEach((sequence, shard) => {
      if (wants(shard)) at[shard] = { sequence, index: wholeBatch };
    });
    next = tail.next();
    number = tail.end();
    live = true;
    stand = await options.last();
    silentUpTo = stand;
  }

  async function join(): Promise<void> {
    joined = true;
    // Who has not caught up has to hear of everything: it is to be told as soon as it has.
    await tail.join(wake, (batch) => !caughtUp() || options.wants(batch));
    if (closed) tail.leave(wake);
  }

  /** Fetches the next batch, or goes live; one step at a time. */
  async function advance(): Promise<void> {
    if (busy || closed) return;
    busy = true;
    try {
      await step();
    } catch (error) {
      failure = error;
    } finally {
      busy = false;
      wake();
    }
  }

  async function step(): Promise<void> {
    stand ??= await options.last();
    if (pages === undefined && !joined && next > stand) await join();
    if (closed) return;
    if (pages === undefined && joined && tail.covers(next)) return goLive();
    if (turn === undefined) {
      turn = turns.take(stopReading);
      await turn.begun;
      if (closed || turn === undefined) return;
    }
    if (pages !== undefined) {
      const page = await pages();
      ({ batch: ready, pages } = page);
      if (page.next !== undefined) next = page.next;
      return;
    }
    reading ??= read();
    const { batches } = reading;
    const result = await batches.next();
    // Its turn may have been lost meanwhile: then the batch comes again.
    if (reading?.batches === batches && result.done !== true) ready = result.value;
  }

  function read() {
    const stop = new AbortController();
    const after = at.map(({ sequence }) => sequence);
    const { logger } = options;
    return { stop, batches: decodeLog(log, { from: next, after, shards, logger, signal: stop.signal }) };
  }

  function stopReading(): void {
    reading?.stop.abort();
    // Not awaited: what it holds is let go as soon as it rests, and nobody needs to know when.
    void reading?.batches.return().catch(() => undefined);
    if (reading !== undefined) ready = undefined;
    reading = undefined;
    turn?.over();
    turn = undefined;
  }

  function goLive(): void {
    stopReading();
    number = tail.find(next);
    live = true;
  }

  function fallBehind(): void {
    live = false;
    joined = false;
    tail.leave(wake);
    stand = undefined;
    void advance();
  }

  function takeLive(): DecodedBatch | undefined {
    for (;;) {
      const batch = tail.read(number);
      if (batch === undefined) {
        next = Math.max(next, tail.next());
        return undefined;
      }
      if (batch === "dropped") {
        fallBehind();
        return undefined;
      }
      number += 1;
      next = Math.max(next, batch.sequence + 1);
      const given = offer(batch);
      if (given !== undefined) return given;
    }
  }

  /** The batch, unless nothing of it is for the reader. */
  function offer(batch: DecodedBatch): DecodedBatch | undefined {
    if (seen(batch) || !batch.accepted) return undefined;
    if (batch.sequence > silentUpTo) return batch;
    passed(batch);
    return undefined;
  }

  function takeRead(): DecodedBatch | undefined {
    const rest = rests.shift();
    if (rest !== undefined) return rest;
    const batch = ready;
    ready = undefined;
    // What comes of pages is of the time before it reads the log.
    if (batch !== undefined && reading !== undefined) next = Math.max(next, batch.sequence + 1);
    const given = batch === undefined ? undefined : offer(batch);
    // Also while it waits for the next batch: the tail may have been opened anew.
    if (reading !== undefined && joined && tail.covers(next)) goLive();
    // A page's events have to be passed before the log is read behind them.
    else if (reading !== undefined || given === undefined) void advance();
    return given;
  }

  return {
    begin,
    take() {
      if (failure !== undefined) throw failure;
      const read = live ? undefined : takeRead();
      return read === undefined && live ? takeLive() : read;
    },
    passed,
    live: () => live,
    caughtUp,
    behind: () => live && number < tail.end(),
    dropped: () => live && number < tail.first(),
    waiting: async () => (await options.last()) + 1 - next,
    positions: () =>
      at.flatMap(({ sequence, index }, shard) =>
        sequence === 0 ? [] : [{ log: log.identity, shard, sequence, index }],
      ),
    close() {
      if (closed) return;
      closed = true;
      stopReading();
      ready = undefined;
      if (joined) tail.leave(wake);
      live = false;
    },
  };
}
