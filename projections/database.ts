import type { Logger } from "../store/event-store.ts";
import { deadline, delay, jitter } from "./clock.ts";
import { type Connection, openConnection, type Parameter, type Row } from "./connection.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import { createProgress, type Progress } from "./progress.ts";
import { openSnapshot, type Snapshot, type SnapshotOptions, snapshotStatements } from "./snapshot.ts";

export type { Parameter, Row } from "./connection.ts";

export interface RunOptions {
  /** Reads of the store ("store"), which appends wait for, have clients of their own; so have the writes of each read model. */
  readonly lane?: string;
  readonly signal?: AbortSignal;
}

export const serverVersion = "select version() as version";

/**
 * A region's database. Every statement is a transaction of its own at SERIALIZABLE; none that writes has more of them, so that
 * a lost connection can never leave half of one behind. Nothing here waits without a bound.
 */
export interface Database extends AsyncDisposable {
  /** Reads: repeated once on a fresh connection when the one it got had died. Rejects with ProjectionError. */
  query(statement: string, parameters?: readonly Parameter[], options?: RunOptions): Promise<Row[]>;
  /** Writes, on clients of their own. After "away" the outcome is unknown: the caller looks at its checkpoint. */
  write(statement: string, parameters?: readonly Parameter[], options?: RunOptions): Promise<Row[]>;
  /**
   * Statements of which one is `copy … from stdin (format binary)` and takes `rows`, as one transaction. Only where
   * copies() says so; otherwise as write().
   */
  copy(statements: string, rows: Uint8Array, options?: RunOptions): Promise<void>;
  /**
   * Whether the server is PostgreSQL. CockroachDB takes a binary COPY in steps of 100 rows, and not surely as a part of a
   * transaction: its archive is written by one statement.
   */
  copies(): Promise<boolean>;
  /**
   * Reads that all see the database as it stands at the first of them, on a connection of their own, while everybody else goes
   * on. It writes nothing, so a lost connection only ends it: then it rejects with "away". Vacuuming waits for it: keep it short.
   */
  snapshot(options?: SnapshotOptions): Promise<Snapshot>;
  /** Checkpoints that this process has moved. */
  readonly progress: Progress;
  /** False from the first statement that found the database away until one that got an answer. */
  reachable(): boolean;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly url: string;
  readonly connections?: {
    readonly queries?: number;
    readonly store?: number;
    readonly writers?: number;
  };
  readonly application?: string;
  /** What a read may take at the server. Default: `limits.queryMs`. */
  readonly queryMs?: number;
  readonly logger: Logger;
}

/** Opens no connection yet: the first statement does. */
export function openDatabase(options: DatabaseOptions): Database {
  const application = options.application ?? "meridian";
  const open = (statementMs: number) => openConnection({ url: options.url, application, statementMs });
  const pool = (size: number, statementMs: number) => createLanes(size, () => open(statementMs));
  const queryMs = options.queryMs ?? limits.queryMs;
  const queries = pool(options.connections?.queries ?? limits.queryConnections, queryMs);
  const store = pool(options.connections?.store ?? limits.storeConnections, limits.queryMs);
  const writers = pool(options.connections?.writers ?? limits.writerConnections, limits.writeMs);
  const models = new Map<string, Lanes>();
  const closing = new AbortController();
  let reachable = true;

  const note = (now: boolean, error?: ProjectionError) => {
    if (now === reachable) return;
    reachable = now;
    if (now) options.logger.info({}, "the database answers again");
    else options.logger.warn({ reason: error?.message }, "the database is away");
  };

  /** `repeats`: how often it is tried again on a fresh connection when the one it got had died. */
  async function run<T>(lanes: Lanes, repeats: number, act: (connection: Connection) => Promise<T>, o: RunOptions) {
    let left = repeats;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const answer = await lanes.use(act, closing.signal, o.signal);
        note(true);
        return answer;
      } catch (error) {
        if (!(error instanceof ProjectionError)) throw error;
        if (error.code === "away" && left-- > 0) continue;
        if (error.code === "away") note(false, error);
        if (error.code !== "serialization" || attempt + 1 >= limits.serializationAttempts) throw error;
        await delay(jitter(attempt, limits.serializationDelayMs, 1_280), o.signal);
      }
    }
  }

  /** A model that writes much, as the lines of orders, does not keep another waiting. */
  const writersOf = (lane: string | undefined): Lanes => {
    if (lane === undefined) return writers;
    const own = models.get(lane) ?? pool(limits.modelConnections, limits.writeMs);
    models.set(lane, own);
    return own;
  };
  const close = async () => {
    closing.abort();
    await Promise.all([queries, store, writers, ...models.values()].map((lanes) => lanes.close()));
  };
  const query: Database["query"] = (statement, parameters = [], o = {}) =>
    run(o.lane === "store" ? store : queries, 1, (connection) => connection.run(statement, parameters), o);
  const copies = askPostgres(query);
  return {
    query,
    write: (statement, parameters = [], o = {}) =>
      run(writersOf(o.lane), 0, (connection) => connection.run(statement, parameters), o),
    copy: (statements, rows, o = {}) => run(writers, 0, (connection) => connection.copy(statements, rows), o),
    copies,
    snapshot: async (o = {}) => openSnapshot(open(queryMs), snapshotStatements(await copies(), o), o.signal),
    progress: createProgress(),
    reachable: () => reachable,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Asked once: a server stays what it is. */
function askPostgres(query: Database["query"]): () => Promise<boolean> {
  let postgres: boolean | undefined;
  return async () => {
    postgres ??= String((await query(serverVersion))[0]?.version).startsWith("PostgreSQL");
    return postgres;
  };
}

interface Lanes {
  use<T>(act: (connection: Connection) => Promise<T>, closing: AbortSignal, signal?: AbortSignal): Promise<T>;
  close(): Promise<void>;
}

/** A fixed number of places for connections; who finds none free waits in line. A dead connection is replaced at its next use. */
function createLanes(size: number, open: () => Connection): Lanes {
  const free: (Connection | undefined)[] = Array.from({ length: size }, () => undefined);
  const waiting: ((lane: Connection | undefined) => void)[] = [];
  const busy = new Set<Connection>();

  const give = (lane: Connection | undefined) => {
    const next = waiting.shift();
    if (next === undefined) free.push(lane);
    else next(lane);
  };

  async function take(closing: AbortSignal, signal?: AbortSignal): Promise<Connection | undefined> {
    // The last one put back comes first: with little to do, one warm connection does it all.
    if (free.length > 0) return free.pop();
    let mine: (lane: Connection | undefined) => void = () => {};
    const turn = new Promise<Connection | undefined>((resolve) => {
      mine = resolve;
      waiting.push(resolve);
    });
    const either = signal === undefined ? closing : AbortSignal.any([closing, signal]);
    const late = () => {
      const at = waiting.indexOf(mine);
      if (at >= 0) waiting.splice(at, 1);
      // It was handed over in this very moment: it must not be lost.
      else void turn.then(give);
      return either.aborted
        ? new ProjectionError("cancelled", "the statement was given up before it got a connection")
        : new ProjectionError(
            "busy",
            `no database connection became free within ${limits.laneWaitMs} ms (${size} in use)`,
          );
    };
    return deadline(turn, limits.laneWaitMs, late, either);
  }

  return {
    async use(act, closing, signal) {
      if (closing.aborted) throw new ProjectionError("cancelled", "the database is closed");
      const lane = await take(closing, signal);
      if (closing.aborted) {
        lane?.discard();
        throw new ProjectionError("cancelled", "the database is closed");
      }
      const connection = lane?.alive === true ? lane : open();
      busy.add(connection);
      try {
        return await act(connection);
      } finally {
        busy.delete(connection);
        if (closing.aborted) connection.discard();
        give(connection.alive ? connection : undefined);
      }
    },
    async close() {
      const until = Date.now() + limits.closeMs;
      while (busy.size > 0 && Date.now() < until) await delay(10);
      for (const connection of [...busy, ...free]) connection?.discard();
    },
  };
}
