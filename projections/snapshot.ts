import type { Connection, Parameter, Row } from "./connection.ts";
import { ProjectionError } from "./error.ts";

/** Answers a read: from a snapshot, or as the database stands. Rejects with ProjectionError. */
export type RunQuery = (statement: string, parameters?: readonly Parameter[]) => Promise<Row[]>;

/** Reads that all see the database at one moment. To dispose of it ends it, and whatever it is answering. */
export interface Snapshot extends AsyncDisposable {
  readonly query: RunQuery;
}

export interface SnapshotOptions {
  /**
   * On CockroachDB the moment may lie some seconds back: then the nearest replica answers, no write is waited for, and none
   * waits. PostgreSQL has only the present.
   */
  readonly past?: boolean;
  /** Ends it, too. */
  readonly signal?: AbortSignal;
}

export const beginSnapshot = "begin transaction isolation level repeatable read, read only";

/** Of CockroachDB alone. */
export const beginPastSnapshot = "begin transaction read only, as of system time follower_read_timestamp()";

/** Of PostgreSQL alone; CockroachDB does so by itself. A statement ends within a second when its client has gone. */
export const endWithClient = "select set_config('client_connection_check_interval', '1s', true)";

/** What it begins with, by the server that it runs on. */
export function snapshotStatements(postgres: boolean, { past = false }: SnapshotOptions): readonly string[] {
  if (postgres) return [beginSnapshot, endWithClient];
  return [past ? beginPastSnapshot : beginSnapshot];
}

/** On a connection of its own, which nobody else gets. Rejects with ProjectionError. */
export async function openSnapshot(
  connection: Connection,
  statements: readonly string[],
  signal?: AbortSignal,
): Promise<Snapshot> {
  const discard = () => connection.discard();
  const givenUp = () => signal?.aborted === true;
  const query: RunQuery = async (statement, parameters = []) => {
    if (givenUp()) throw new ProjectionError("cancelled", "the snapshot was given up");
    // The driver would go on with another connection, and so with another snapshot.
    if (!connection.alive) throw new ProjectionError("away", "the connection of a snapshot was lost");
    try {
      return await connection.run(statement, parameters);
    } catch (error) {
      if (!givenUp()) throw error;
      throw new ProjectionError("cancelled", "the snapshot was given up", {}, { cause: error });
    }
  };
  const end = async () => {
    signal?.removeEventListener("abort", discard);
    discard();
  };
  signal?.addEventListener("abort", discard, { once: true });
  try {
    for (const statement of statements) await query(statement);
  } catch (error) {
    await end();
    throw error;
  }
  return { query, [Symbol.asyncDispose]: end };
}
