import { setTimeout as wait } from "node:timers/promises";
import type { Lease, Leases } from "../../mesh/lease.ts";
import type { Log } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import type { Archive, LogKey } from "../archive.ts";
import { shardFloor } from "../chain/log-floor.ts";
import { StoreError } from "../error.ts";
import { frame } from "../format/codec.ts";
import { encodeEpoch } from "../format/encode.ts";
import { inTime } from "../in-time.ts";
import { archiveAnswerMs, clockSkewMsMax, epochTriesMax } from "../limits.ts";
import type { CodecName } from "../store-options.ts";
import { backoffMs, commit } from "./commit.ts";
import { type Recovered, recordedUs, recover } from "./recover.ts";
import { createShardClock, type ShardClock } from "./shard-clock.ts";

/** What an owner begins with. */
export interface Claimed extends Recovered {
  readonly lease: Lease;
  /** Stream sequence of the epoch batch. */
  readonly epoch: number;
  readonly clock: ShardClock;
  /** Checkpoint of the archive before it was claimed; 0: it did not answer. */
  readonly archived: number;
}

export interface ClaimOptions {
  readonly log: Log;
  readonly key: LogKey;
  readonly shard: number;
  readonly leases: Leases;
  readonly leaseKey: string;
  readonly owner: bigint;
  readonly ownerName: string;
  readonly codec: CodecName;
  readonly archive: Archive;
  readonly writer: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/**
 * Undefined: somebody else holds the lease. Rejects (StoreError, MeshError) when it cannot be done now; with nothing written
 * to the log where the archive or this process's clock is the reason.
 */
export async function claim(options: ClaimOptions): Promise<Claimed | undefined> {
  const archived = await askArchive(options);
  const clock = await checkClock(options);
  const lease = await options.leases.acquire(options.leaseKey, options.ownerName);
  if (lease === undefined) return undefined;
  try {
    const epoch = await beginEpoch(options, clock);
    const { index, timeUs } = await recover({ ...options, archived, epoch });
    return { lease, epoch, index, timeUs, clock, archived: archived ?? 0 };
  } catch (error) {
    await lease.release().catch((cause) => options.logger.warn({ cause }, "could not release a lease; it will expire"));
    throw error;
  }
}

/**
 * The archive's checkpoint; undefined where it does not answer in time: a shard needs an owner then as well, see recover.ts.
 * An older one means more to read, nothing else. Rejects with StoreError where it is of another history than the log.
 */
async function askArchive({ archive, key, log, shard, logger }: ClaimOptions): Promise<number | undefined> {
  const archived = await inTime(archive.checkpoint(key, shard), archiveAnswerMs).catch((error: unknown) => {
    if (error instanceof StoreError) throw error;
    logger.warn({ error, shard }, `the archive does not answer: shard ${shard} is claimed with what its log says`);
    return undefined;
  });
  if (archived === undefined) return archived;
  const floor = await shardFloor(log, shard);
  if (archived < floor) {
    const text = `shard ${shard} is not claimed: its log was trimmed up to ${floor}, but the archive has it up to ${archived} only. Put the database back as it was`;
    throw new StoreError("unavailable", text);
  }
  if (archived === 0) return archived;
  // An archive is behind its log, always: this one belongs to another, or the log was put back to an older state.
  const last = (await log.lastMessage(shard))?.sequence ?? 0;
  const message = archived > last ? undefined : await log.message(archived);
  if (archived <= last && (message === undefined || message.shard === shard)) return archived;
  const found = archived > last ? `the log ends at ${last}` : `that is a message of shard ${message?.shard}`;
  throw new StoreError(
    "unavailable",
    `shard ${shard} is not claimed: the archive has it up to ${archived}, but ${found}. One of the two is not of this log's history`,
  );
}

/** Counts the epochs that this process has begun, or tried to: no two of its epoch batches are alike. */
let epochs = 0;

/** From the accepted epoch batch on, every publish of an earlier owner is refused by the fence. */
async function beginEpoch(options: ClaimOptions, clock: ShardClock): Promise<number> {
  const { log, shard, owner } = options;
  for (let attempt = 1; ; attempt++) {
    // May be old where a leader was cut off: only the accepted epoch batch proves it.
    const message = await log.lastMessage(shard);
    const last = message?.sequence ?? 0;
    const timeUs = Math.max(Math.floor(clock.nowMs() * 1000), message === undefined ? 0 : recordedUs(message));
    const number = ++epochs;
    const head = { log: log.identity, shard, epoch: 0, previous: last, owner, number, timeUs };
    const fate = await commit({
      log,
      shard,
      message: frame(encodeEpoch(head, options.writer), options.codec),
      id: `${options.leaseKey}-epoch-${options.ownerName}-${number}`,
      last,
      owner,
      epoch: 0,
      number,
      logger: options.logger,
      signal: options.signal,
    });
    if (fate.kind === "stored") return fate.sequence;
    if (fate.kind === "refused") {
      throw new StoreError("unavailable", `cannot begin an epoch of shard ${shard}: ${fate.reason}`);
    }
    if (attempt === epochTriesMax)
      throw new StoreError("unavailable", `shard ${shard} is written by others; claimed ${attempt} times in vain`);
    await wait(backoffMs(attempt), undefined, { signal: options.signal });
  }
}

/**
 * The owner's clock, if this process's is right. Compared before anything is written: the time of a batch is taken over by
 * every later owner, as recorded time never goes back.
 */
async function checkClock({ log, shard }: ClaimOptions): Promise<ShardClock> {
  const askedMs = Date.now();
  const { timeMs } = await log.state();
  const begunMs = performance.now();
  const answeredMs = Date.now();
  // The broker answered at some time between the two.
  const off = timeMs > answeredMs ? answeredMs - timeMs : Math.max(0, askedMs - timeMs);
  if (Math.abs(off) <= clockSkewMsMax) return createShardClock(answeredMs, begunMs);
  throw new StoreError(
    "unavailable",
    `shard ${shard} is not claimed: this process's clock is ${off} ms off the broker's, more than ${clockSkewMsMax}`,
  );
}
