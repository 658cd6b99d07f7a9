import { leaseBuild } from "./build-lease.ts";
import { readLiveBuild, readLiveCheckpoints, retireBuild } from "./build-sql.ts";
import { liveCheckpoints, sweepBuilds } from "./builds.ts";
import { delay, monotonicMs } from "./clock.ts";
import { compareTable, type Difference } from "./compare-builds.ts";
import type { Database, Row } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { archiveCheckpoints, insistOnFold } from "./fold-archive.ts";
import { limits } from "./limits.ts";
import { openCheckpoints } from "./logs.ts";
import { createModelWriter, type ModelWriter } from "./model-writer.ts";
import type { ModelContext, ReadModel } from "./read-model.ts";
import type { RunQuery } from "./snapshot.ts";

export interface VerifyOptions {
  readonly db: Database;
  /** The log's number. */
  readonly log: number;
  readonly shards: number;
  readonly model: ReadModel;
  readonly context: ModelContext;
  readonly signal: AbortSignal;
  /** Rows compared, and deleted, at once; the default is the limit. */
  readonly rowsMax?: number;
  /** Called for every row that differs, table by table, in the order of the keys. */
  differs(difference: Difference): void;
}

export interface Verified {
  readonly build: number;
  /** Events that were folded again. */
  readonly events: number;
  readonly differences: number;
}

/**
 * Folds the archive again, into a build beside that never goes live, and compares every row with the live ones. Projectors go
 * on meanwhile: the live rows and their checkpoints are read in one snapshot, and the fold ends exactly at those checkpoints.
 * Rejects with "rebuilding" where somebody else verifies the same.
 */
export async function verify(options: VerifyOptions): Promise<Verified> {
  const { db, log, model, signal } = options;
  await using lease = await leaseBuild({ db, log, model, state: "checking", signal });
  try {
    const writer = createModelWriter(model, lease.build, options.context);
    const checkpoints = await openCheckpoints(db, log, writer.name, options.shards, { signal });
    const making: Making = { options, signal: lease.signal, writer, checkpoints, events: 0 };
    // Most of it before the snapshot, which is to be short.
    await foldTo(making, await liveCheckpoints(db, log, model.name, { signal }), 0);
    await using snapshot = await db.snapshot();
    return await compare(making, lease.build, snapshot.query);
  } finally {
    await db.write(retireBuild, [log, model.name, lease.build, lease.holder]).catch(() => {}); // the next one does it
    await sweepBuilds(db, log, model, signal, options.rowsMax).catch(() => {});
  }
}

interface Making {
  readonly options: VerifyOptions;
  readonly signal: AbortSignal;
  readonly writer: ModelWriter;
  readonly checkpoints: number[];
  events: number;
}

async function compare(making: Making, build: number, query: RunQuery): Promise<Verified> {
  const { db, log, model, differs, rowsMax } = making.options;
  const [live] = await query(readLiveBuild, [log, model.name]);
  if (live === undefined || Number(live.version) !== model.version) throw unlike(model, live);
  const target = (await query(readLiveCheckpoints, [log, model.name])).map(
    (row) => [row.shard as number, Number(row.sequence)] as const,
  );
  await foldTo(making, new Map(target), limits.verifyWaitMs);
  let differences = 0;
  for (const table of model.tables) {
    const folded = { build, query: (...asked: Parameters<RunQuery>) => db.query(...asked) };
    for await (const difference of compareTable(table, log, { build: Number(live.build), query }, folded, rowsMax)) {
      making.signal.throwIfAborted();
      differences += 1;
      differs(difference);
    }
  }
  return { build: Number(live.build), events: making.events, differences };
}

const unlike = (model: ReadModel, live: Row | undefined) =>
  new ProjectionError(
    "newer",
    live === undefined
      ? `there is no live build of ${model.name} yet: start the region's projectors`
      : `the live rows of ${model.name} are of version ${live.version}, this program folds version ${model.version}: rebuild it first`,
  );

/** Up to `target` and no further, as far as the archive has it; waits for that at most so long. */
async function foldTo(making: Making, target: ReadonlyMap<number, number>, waitMs: number): Promise<void> {
  const { options, signal, writer, checkpoints } = making;
  const { db, log } = options;
  const upTo = async () => {
    const archive = await archiveCheckpoints(db, log, signal);
    return new Map([...target].map(([shard, sequence]) => [shard, Math.min(sequence, archive.get(shard) ?? 0)]));
  };
  const written = (_shard: number, _sequence: number, events: number) => {
    making.events += events;
  };
  const level = () => [...target].every(([shard, sequence]) => (checkpoints[shard] ?? sequence) >= sequence);
  const until = monotonicMs() + waitMs;
  do {
    await insistOnFold({ db, log, writer, checkpoints, upTo, signal, written });
    if (level() || waitMs === 0) return;
    await delay(limits.sealedPollMs, signal);
  } while (monotonicMs() < until);
  throw new ProjectionError(
    "behind",
    `the archive of this log has not come as far as ${options.model.name} within ${waitMs / 1_000} s: are its projectors up?`,
  );
}
