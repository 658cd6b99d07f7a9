import { archivedBatches } from "./archived-batches.ts";
import { delay, jitter } from "./clock.ts";
import type { Database } from "./database.ts";
import { isTransient } from "./error.ts";
import { limits } from "./limits.ts";
import { readCheckpoints } from "./logs.ts";
import type { ModelWriter } from "./model-writer.ts";

export interface ArchiveFold {
  readonly db: Database;
  readonly log: number;
  readonly writer: ModelWriter;
  /** Where the build stands, by shard; moved on with every write. */
  readonly checkpoints: number[];
  /** How far, by shard; the archive must have come so far. */
  readonly upTo: ReadonlyMap<number, number>;
  readonly signal: AbortSignal;
  /** After each write. */
  written?(shard: number, sequence: number, events: number, alarms: readonly string[]): void;
}

export async function archiveCheckpoints(
  db: Database,
  log: number,
  signal?: AbortSignal,
): Promise<ReadonlyMap<number, number>> {
  const rows = await db.query(readCheckpoints, [log, "archive"], { signal });
  return new Map(rows.map((row) => [row.shard as number, Number(row.sequence)]));
}

/**
 * Folds what the archive has into a build, without the log: JetStream may have dropped all of it. A few shards at a time,
 * the next page read while the last one is written.
 */
export async function foldArchive(fold: ArchiveFold): Promise<void> {
  const shards = [...fold.upTo].filter(([shard, to]) => (fold.checkpoints[shard] ?? Number.POSITIVE_INFINITY) < to);
  await eachShard(shards, ([shard, upTo]) => foldShard(fold, shard, upTo));
}

/** A few at a time. */
export async function eachShard<Shard>(shards: readonly Shard[], work: (shard: Shard) => Promise<void>): Promise<void> {
  const waiting = [...shards];
  const workers = Array.from({ length: limits.modelConnections }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await work(next);
  });
  // None may still be writing when whoever called reads the checkpoints again.
  const failed = (await Promise.allSettled(workers)).find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

export interface InsistentFold extends Omit<ArchiveFold, "upTo"> {
  /** Asked again after a failure. */
  upTo(): Promise<ReadonlyMap<number, number>>;
}

/** The same, however long the database is away: what was written is noted in the checkpoints. */
export async function insistOnFold(fold: InsistentFold): Promise<void> {
  const { db, log, writer, checkpoints, signal } = fold;
  for (let failures = 0; ; failures += 1) {
    signal.throwIfAborted();
    try {
      const written: ArchiveFold["written"] = (...write) => {
        failures = 0;
        fold.written?.(...write);
      };
      await foldArchive({ ...fold, upTo: await fold.upTo(), written });
      return;
    } catch (error) {
      if (!isTransient(error) || signal.aborted) throw error;
      await delay(jitter(failures, limits.retryFirstMs, limits.retryMaxMs), signal);
      const rows = await db.query(readCheckpoints, [log, writer.name], { signal }).catch(() => []);
      for (const row of rows) checkpoints[row.shard as number] = Number(row.sequence);
    }
  }
}

async function foldShard(fold: ArchiveFold, shard: number, upTo: number): Promise<void> {
  const { db, log, writer, checkpoints, signal } = fold;
  const range = { log, shard, after: checkpoints[shard]!, upTo };
  for await (const batches of archivedBatches(db, range, { signal })) {
    if (signal.aborted) return;
    const from = checkpoints[shard]!;
    const to = batches.at(-1)!.sequence;
    const write = writer.fold(batches);
    if (await write.write(db, { log, shard, from, to }, { signal })) {
      checkpoints[shard] = to;
      const events = batches.reduce((sum, batch) => sum + batch.events.length, 0);
      fold.written?.(shard, to, events, write.alarms);
      continue;
    }
    // Another projector has moved it, or the build is sealed for a moment: whoever called goes on from where it stands.
    checkpoints[shard] = await writer.look(db, { log, shard }, { signal });
    return;
  }
}
