import { connect, type Socket } from "node:net";
import { Writable } from "node:stream";
import postgres from "postgres";
import { deadline } from "./clock.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";

export type Parameter = string | number | boolean | null | Uint8Array;
export type Row = Record<string, unknown>;

/**
 * One connection, used by one caller at a time, never used again after any connection error. This is on purpose not
 * the driver's own pool: postgres.js 3.4.9 reconnects silently (a statement then lands outside its transaction), and a
 * connection whose backend was killed can stay in its pool and swallow every later query without an answer.
 */
export interface Connection {
  readonly alive: boolean;
  /** Runs one statement. Rejects with ProjectionError; after "away" the connection is dead. */
  run(statement: string, parameters: readonly Parameter[]): Promise<Row[]>;
  /**
   * Runs statements of which one is `copy … from stdin (format binary)` and takes `rows`. They are one transaction, the
   * implicit one of PostgreSQL's simple protocol: a lost connection leaves nothing of it. Rejects as run() does.
   */
  copy(statements: string, rows: Uint8Array): Promise<void>;
  discard(): void;
}

export interface ConnectionOptions {
  readonly url: string;
  readonly application: string;
  readonly statementMs: number;
}

export function openConnection(options: ConnectionOptions): Connection {
  let alive = true;
  let socket: Socket | undefined;
  const sql = postgres(options.url, {
    max: 1,
    // The driver's type look-up runs in a promise that nobody holds: killed at that moment it would end the process.
    fetch_types: false,
    max_lifetime: null,
    idle_timeout: 0,
    connect_timeout: limits.connectMs / 1000,
    onnotice: () => {},
    onclose: () => {
      alive = false;
    },
    connection: {
      application_name: options.application,
      default_transaction_isolation: "serializable",
      // A scan of a small table locks all of it for whoever is serializable, and every write of every projection then meets
      // the others. PostgreSQL changes to one when it first counts the rows. CockroachDB locks keys, and does not know this.
      enable_seqscan: "off",
      statement_timeout: options.statementMs,
    },
    // Ours to destroy: the driver forgets a socket that is still connecting when it is ended.
    socket: async (settings: { host: string[]; port: number[] }) => {
      socket = await openSocket(settings.host[0]!, Number(settings.port[0]));
      if (!alive) socket.destroy();
      return socket;
    },
  } as postgres.Options<Record<string, never>>);

  const discard = () => {
    alive = false;
    // end() settles what is in flight; the socket is cut because a half-dead server would never close it.
    sql.end({ timeout: 0 }).catch(() => {});
    socket?.destroy();
  };

  async function answered<T>(answer: Promise<T>, statement: string): Promise<T> {
    const late = () => new ProjectionError("away", `the database did not answer within ${options.statementMs} ms`);
    try {
      return await deadline(answer, options.statementMs + limits.answerMarginMs, late);
    } catch (error) {
      const failure = asProjectionError(error, statement);
      if (failure.code === "away") discard();
      throw failure;
    }
  }

  return {
    get alive() {
      return alive;
    },
    async run(statement, parameters) {
      const given = parameters as (string | number | boolean | null)[];
      const how = { prepare: true, simple: false } as postgres.UnsafeQueryOptions;
      const rows: Row[] = await answered(sql.unsafe(statement, given, how).execute(), statement);
      // After a statement that failed behind its first rows (40001 at its end, say), the driver counts on: the next answer has
      // as many holes before its own rows.
      return rows.filter((row) => row !== undefined);
    },
    async copy(statements, rows) {
      const query = sql.unsafe(statements) as postgres.PendingQuery<Row[]> & DriverQuery;
      const finish = query.resolve;
      // The driver answers with a stream when the server wants the rows, and again at the end, which it has no promise for.
      query.resolve = (answer) => (answer instanceof Writable ? sendRows(answer, rows) : finish(answer));
      await answered(query.execute(), statements);
    },
    discard,
  };
}

/** What postgres.js 3.4.9 calls when a query gets an answer. */
interface DriverQuery {
  resolve(answer: unknown): void;
}

function sendRows(stream: Writable, rows: Uint8Array): void {
  // An error of the server rejects the query as well; without a listener this one would end the process.
  stream.on("error", () => {});
  // A stream that has ended well is destroyed too, and the driver then tells the server that the COPY failed: too late for its
  // own, and in the middle of the next one where that has begun. After a COPY that was refused at its end, the driver ends
  // the stream only when the connection's next statement is done: that would fail, and the one after it, for ever.
  const destroy = stream._destroy.bind(stream);
  stream._destroy = (error, callback) => (error === null ? callback(null) : destroy(error, callback));
  for (let at = 0; at < rows.length; at += limits.copyChunkBytes)
    stream.write(rows.subarray(at, at + limits.copyChunkBytes));
  stream.end();
}

async function openSocket(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  // TLS takes its server name from here.
  Object.assign(socket, { host, port });
  const connected = new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.once("connect", () => resolve());
  });
  const late = () => new ProjectionError("away", `no connection to ${host}:${port} within ${limits.connectMs} ms`);
  try {
    await deadline(connected, limits.connectMs, late);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return socket;
}

/** Connection exceptions, shutdown of the server or the backend, and what a server says while it starts or is full. */
const awayStates = /^(08|57P|28|3D000$|53300$|25006$)/;

function asProjectionError(error: unknown, statement: string): ProjectionError {
  if (error instanceof ProjectionError) return error;
  const { code, message } = error as { code?: unknown; message?: string };
  const sqlState = error instanceof postgres.PostgresError && typeof code === "string" ? code : undefined;
  // What does not come from the server came from the socket or from the driver's inside: the connection is not trusted.
  if (sqlState === undefined || awayStates.test(sqlState)) {
    const what = message === undefined || message === "" ? String(code) : message;
    return new ProjectionError("away", `the database is away: ${what}`, {}, { cause: error });
  }
  const at = statement.trim().split(/\s+/).slice(0, 6).join(" ");
  if (sqlState === "40001" || sqlState === "40P01") {
    return new ProjectionError(
      "serialization",
      `"${at} …" met a concurrent one: ${message}`,
      { sqlState },
      { cause: error },
    );
  }
  const kind = sqlState === "57014" ? "timeout" : "statement";
  return new ProjectionError(kind, `"${at} …" failed: ${message} (${sqlState})`, { sqlState }, { cause: error });
}
