import { parentPort, workerData } from "node:worker_threads";
import type { Connection } from "../mesh/connection.ts";
import type { Tenant } from "../mesh/topology.ts";
import { openDatabase } from "../projections/database.ts";
import type { Progress } from "../projections/progress.ts";
import { describeError } from "./error.ts";
import { limits } from "./limits.ts";
import { createThreadLogger } from "./logger.ts";
import type { FromProjectors, Move, ProjectorThreadData, ToProjectors } from "./projector-messages.ts";
import { type Projectors, startProjectors } from "./projectors.ts";
import { guardRejections } from "./rejections.ts";
import { connectAs, type Surroundings } from "./tenant-logs.ts";

/**
 * What runs in the projectors' thread (projector-thread.ts starts it): the projectors of every tenant, on connections of
 * the thread's own. It ends when it is told to stop, or when it cannot go on; then the process starts another.
 */
const { config } = workerData as ProjectorThreadData;
const port = parentPort!;
const say = (message: FromProjectors) => port.postMessage(message);
const logger = createThreadLogger({
  name: config.region.name,
  level: config.log.level,
  thread: "projectors",
  write: (line) => say({ kind: "log", line }),
});
guardRejections(logger, "thread");

const stopping = new AbortController();
const database = openDatabase({
  url: config.database.url,
  connections: { queries: limits.projectorQueryConnections },
  application: `meridian ${config.region.name} projectors`,
  logger,
});
const around: Surroundings = {
  config,
  database: { ...database, progress: telling(database.progress) },
  logger,
  signal: stopping.signal,
};

interface Projecting {
  readonly connection: Connection;
  readonly projectors: Projectors;
  running: boolean;
}
const tenants = new Map<string, Projecting>();

port.on("message", (message: ToProjectors) => {
  if (message.kind === "stop") void stop();
  else void answer(message.ask, message.tenant);
});
setInterval(beat, limits.beatMs);
const opened = Promise.all(config.tenants.map(project));
opened.catch((error) => {
  if (!stopping.signal.aborted) throw error; // to the guard, which ends the thread
});

async function project(tenant: Tenant): Promise<void> {
  const connection = await connectAs(around, tenant, "projector");
  const projecting = { connection, projectors: startProjectors(around, connection, tenant), running: false };
  tenants.set(tenant.name, projecting);
  await projecting.projectors.running;
  projecting.running = true;
  beat();
}

async function stop(): Promise<void> {
  stopping.abort();
  await opened.catch(() => {}); // nothing opens any more
  await Promise.all(
    [...tenants.values()].map(async ({ connection, projectors }) => {
      await projectors[Symbol.asyncDispose]();
      await connection.close();
    }),
  );
  await database.close();
  process.exit(0); // of a thread: ends it alone
}

function beat(): void {
  say({ kind: "check", check: check() });
}

function check(): string {
  for (const { name } of config.tenants) {
    const projecting = tenants.get(name);
    if (projecting?.running !== true) return `opening ${name}`;
    if (!projecting.connection.connected()) return `not connected to NATS for ${name}`;
  }
  return database.reachable() ? "ok" : "the database does not answer";
}

async function answer(ask: number, tenant: string): Promise<void> {
  try {
    say({ kind: "status", ask, projections: (await tenants.get(tenant)?.projectors.status()) ?? [] });
  } catch (error) {
    say({ kind: "status", ask, error: describeError(error) });
  }
}

/** Tells the process of the moves, those of one turn of the event loop in one message: nobody waits in this thread. */
function telling(progress: Progress): Progress {
  let moves: Move[] = [];
  const tell = () => {
    say({ kind: "moved", moves });
    moves = [];
  };
  return {
    ...progress,
    moved(projection, log, shard, sequence) {
      if (moves.push({ projection, log, shard, sequence }) === 1) setImmediate(tell);
    },
  };
}
