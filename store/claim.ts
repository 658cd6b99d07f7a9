import { setTimeout as wait } from "node:timers/promises";
import type { Lease, Leases } from "../mesh/lease.ts";
import type { Log, StoredMessage } from "../mesh/log.ts";
import type { Logger } from "../mesh/logger.ts";
import type { Archive, LogKey } from "./archive.ts";
import { createChain, strayAlarm } from "./chain.ts";
import { type CodecName, frame } from "./codec.ts";
import { backoffMs, commit } from "./commit.ts";
import { decodeBatch } from "./decode.ts";
import { encodeEpoch } from "./encode.ts";
import { StoreError } from "./error.ts";
import { FormatError } from "./format-error.ts";
import { clockRetryMs, clockSkewMsMax, epochTriesMax } from "./limits.ts";
import { createStreamIndex, type StreamIndex } from "./stream-index.ts";

/** What an owner begins with. */
export interface Claimed {
  readonly lease: Lease;
  /** Stream sequence of the epoch batch. */
  readonly epoch: number;
  readonly index: StreamIndex;
  /** The owner's clock never goes behind this, microseconds. */
  readonly timeUs: number;
  /** Checkpoint of the archive when the index was built. */
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

/** Undefined: somebody else holds the lease. Rejects (StoreError, MeshError, or as the archive does) when it cannot be done now. */
export async function claim(options: ClaimOptions): Promise<Claimed | undefined> {
  // First, as an epoch that cannot be built upon only fills the log. An older checkpoint means more to read, nothing else.
  const archived = await options.archive.checkpoint(options.key, options.shard);
  const lease = await options.leases.acquire(options.leaseKey, options.ownerName);
  if (lease === undefined) return undefined;
  try {
    const epoch = await beginEpoch(options);
    return { lease, epoch, archived, ...(await recover(options, archived, epoch)) };
  } catch (error) {
    await lease.release().catch((cause) => options.logger.warn({ cause }, "could not release a lease; it will expire"));
    throw error;
  }
}

/** Counts the epochs that this process has begun, or tried to: no two of its epoch batches are alike. */
let epochs = 0;

/** From the accepted epoch batch on, every publish of an earlier owner is refused by the fence. */
async function beginEpoch(options: ClaimOptions): Promise<number> {
  const { log, shard, owner } = options;
  for (let attempt = 1; ; attempt++) {
    // May be old where a leader was cut off: only the accepted epoch batch proves it.
    const message = await log.lastMessage(shard);
    const last = message?.sequence ?? 0;
    const timeUs = Math.max(Date.now() * 1000, endOf(message));
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

/** Rebuilds the index from the archive's checkpoint to exactly the epoch batch. */
async function recover(
  options: ClaimOptions,
  archived: number,
  epoch: number,
): Promise<Pick<Claimed, "index" | "timeUs">> {
  const { log, shard } = options;
  const floor = archived === 0 ? undefined : await log.message(archived);
  // By the clock that let ids in, the owner's of that time: a minted id below the floor is at most `clockSkewMsMax` younger.
  let timeUs = floor === undefined ? (archived === 0 ? 0 : Date.now() * 1000) : endOf(floor);
  const index = createStreamIndex({ sequence: archived, timeMs: timeUs / 1000 });
  const chain = createChain(log.identity, shard, archived);
  for await (const message of log.read(shard, { from: archived + 1, to: epoch, signal: options.signal })) {
    const next = chain.next(message);
    if (!("batch" in next)) {
      strayAlarm(options.logger, message, next.stray);
      continue;
    }
    index.add(next.batch, message.sequence);
    timeUs = Math.max(timeUs, endOf(message));
    if (message.sequence === epoch) await checkClock(message.timeMs, options);
  }
  if (chain.accepted() !== epoch) {
    throw new StoreError(
      "unavailable",
      `shard ${shard} was read to ${chain.accepted()}, not to its epoch batch ${epoch}: the log and the archive (at ${archived}) do not fit`,
    );
  }
  return { index, timeUs };
}

/** Recorded time of the last event of a message, microseconds; 0 where it is no batch. */
function endOf(message: StoredMessage | undefined): number {
  if (message === undefined) return 0;
  try {
    const batch = decodeBatch(message.data);
    return batch.events.at(-1)?.recordedUs ?? batch.timeUs;
  } catch (error) {
    if (error instanceof FormatError) return 0;
    throw error;
  }
}

async function checkClock(brokerMs: number, { shard, signal }: ClaimOptions): Promise<void> {
  const off = Date.now() - brokerMs;
  if (Math.abs(off) <= clockSkewMsMax) return;
  await wait(clockRetryMs, undefined, { signal });
  throw new StoreError(
    "unavailable",
    `shard ${shard} is not claimed: this process's clock is ${off} ms off the broker's, more than ${clockSkewMsMax}`,
  );
}
