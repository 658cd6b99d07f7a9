import { type Logger, silent } from "../../mesh/logger.ts";
import { type Database, openDatabase, type Row } from "../../projections/database.ts";
import { ProjectionError } from "../../projections/error.ts";
import { readModels } from "../../projections/models/read-models.ts";
import { type Projector, startProjector } from "../../projections/project.ts";
import type { ReadModel } from "../../projections/read-model.ts";
import type { MemoryLog } from "./batches.ts";

export interface Running extends AsyncDisposable {
  readonly projector: Projector;
}

/** The same database as CockroachDB is written to: each write is one statement, none is a COPY. */
export function withoutCopy(db: Database): Database {
  return { ...db, copies: async () => false };
}

/** Both ways to write the archive. */
export const ways = [
  ["COPY", (db: Database) => db],
  ["one statement", withoutCopy],
] as const;

export const modelNamed = (name: string): ReadModel => readModels.find((model) => model.name === name)!;
export const context = { currency: "GBP" };

/** A projector over a log in memory, stopped at the end of its scope. `projection`: "archive", a model or its name. */
export function run(db: Database, log: MemoryLog, projection: string | ReadModel, logger: Logger = silent): Running {
  const model = typeof projection === "string" ? modelNamed(projection) : projection;
  const stop = new AbortController();
  const projector = startProjector({
    db,
    log: log.key,
    source: log.source,
    ...(projection === "archive" ? {} : { model: { ...model, context } }),
    logger,
    signal: stop.signal,
  });
  return {
    projector,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await projector.done;
    },
  };
}

/** Until every checkpoint stands at the log's end. */
export async function caughtUp({ projector }: Running, log: MemoryLog, limitMs = 30_000): Promise<void> {
  await until(() => projector.positions().every((position, shard) => position >= log.ends()[shard]!), limitMs);
}

/** Projects all that the log holds now. */
export async function projectAll(db: Database, log: MemoryLog, projection: string | ReadModel): Promise<Projector> {
  await using running = run(db, log, projection);
  await caughtUp(running, log);
  return running.projector;
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof ProjectionError ? error.code : `no ProjectionError: ${error}`;
}

export async function until(holds: () => boolean | Promise<boolean>, limitMs = 30_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`it did not come true within ${limitMs} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Every event of the archive is there once, with dense revisions, and none lies above its shard's checkpoint. */
export async function archiveFaults(url: string, log: MemoryLog): Promise<string[]> {
  await using db = openDatabase({ url, logger: silent });
  const faults: string[] = [];
  const rows = await db.query(
    "select stream, revision, event_id, sequence, shard, encode(data, 'hex') as data from events",
  );
  const expected = new Map<string, string>();
  for (const { message, batch } of log.batches) {
    for (const event of batch.events) {
      const data = Buffer.from(event.data).toString("hex");
      expected.set(`${event.stream}/${event.revision}`, `${event.id}/${message.sequence}/${data}`);
    }
  }
  for (const row of rows) {
    const place = `${row.stream}/${row.revision}`;
    if (expected.get(place) !== `${row.event_id}/${row.sequence}/${row.data}`) faults.push(`wrong or double: ${place}`);
    expected.delete(place);
  }
  for (const place of expected.keys()) faults.push(`missing: ${place}`);
  return [...faults, ...(await aboveCheckpoint(db))];
}

async function aboveCheckpoint(db: Database): Promise<string[]> {
  const rows = await db.query(`select e.stream, e.sequence, c.sequence as checkpoint from events e
    join checkpoints c on c.log = e.log and c.name = 'archive' and c.shard = e.shard where e.sequence > c.sequence`);
  return rows.map((row: Row) => `${row.stream} at ${row.sequence} lies above the checkpoint ${row.checkpoint}`);
}
