import { mkdirSync } from "node:fs";
import type { Logger } from "../../mesh/logger.ts";
import { findServer } from "../../mesh/server-binary.ts";
import type { Mesh } from "../../mesh/topology.ts";
import { openDatabase } from "../../projections/database.ts";
import { type PreparedPostgres, preparePostgres } from "../../projections/embedded.ts";
import { migrate } from "../../projections/migrate.ts";
import { CliError } from "../error.ts";
import { closingWords } from "./closing-words.ts";
import { type Endpoints, writeEndpoints } from "./endpoints.ts";
import { databaseName, type Layout, layout } from "./layout.ts";
import { startLive } from "./live.ts";
import { lockFolder } from "./lock.ts";
import type { DemoOptions } from "./options.ts";
import { checkOrdersFile } from "./orders-file.ts";
import { checkPorts } from "./ports.ts";
import { endpointsOf, type Prepared, portsOf, prepareMesh, writeRegionFile } from "./prepare.ts";
import { natsProcesses, postgresProcess, providerProcess, regionProcesses } from "./processes.ts";
import { runOrders } from "./run-orders.ts";
import { type Voice, voiceLogger } from "./say.ts";
import { createSupervisor, reapLeftovers, type Supervisor } from "./supervisor.ts";
import { openWatch } from "./watch.ts";

export interface DemoSurroundings {
  readonly voice: Voice;
  readonly logger: Logger;
  /** Ctrl-C, or the end of the terminal. */
  readonly signal: AbortSignal;
}

/** The whole demo. Resolves with true when everything held; rejects with CliError. Nothing it started is left behind. */
export async function demo(options: DemoOptions, around: DemoSurroundings): Promise<boolean> {
  const { voice, logger, signal } = around;
  if (options.orders !== undefined) await checkOrdersFile(options.orders);
  const files = layout(options.dir);
  mkdirSync(files.dir, { recursive: true, mode: 0o700 });
  using _lock = lockFolder(files.dir);
  const reaped = await reapLeftovers(files.dir);
  if (reaped > 0) voice.step(`stopped ${reaped} processes that an earlier demo had left behind`);

  voice.heading("Meridian: three regions on this machine");
  const binary = await findServer({ logger: voiceLogger(voice) });
  voice.step(`nats-server ${binary.version}: ${binary.path} (${binary.source})`);
  const prepared = await prepareMesh(files, options.ports);
  await checkPorts(portsOf(prepared, options), "127.0.0.1");
  voice.step(`keys, credentials and server configurations are in ${files.dir}`);

  await using supervisor = createSupervisor(files.dir);
  const stop = () => void supervisor.stop();
  signal.addEventListener("abort", stop, { once: true });
  signal.throwIfAborted();
  const postgres = await preparePostgres({ dir: files.postgres, port: prepared.postgresPort, logger });
  await supervisor.start([...natsProcesses(prepared.mesh, binary, prepared.servers), postgresProcess(postgres)]);
  voice.step(
    `${prepared.mesh.hubs.length} hubs, ${prepared.mesh.regions.length} regions of NATS and PostgreSQL are up`,
  );
  await prepareDatabases(prepared.mesh, files, postgres, around);
  voice.step("a database for each region, with its schema");
  await startRegions(supervisor, prepared, files, options, voice);

  const endpoints = endpointsOf(prepared, files, postgres.url);
  const publish = (): Endpoints => {
    const current = { ...endpoints, processes: supervisor.list() };
    writeEndpoints(files.dir, current);
    return current;
  };
  publish();
  supervisor.onChange(publish);
  if (options.orders === undefined) {
    voice.line(closingWords(files.dir, publish(), undefined));
    tellRestarts(supervisor, voice);
    await untilAborted(signal);
    await supervisor.stop();
    return true;
  }
  await using watch = openWatch(publish(), logger);
  const { orders: file } = options;
  const outcome = await runOrders({ options, file, around, endpoints, watch, supervisor, mesh: prepared.mesh });
  if (!options.exit) {
    voice.line(closingWords(files.dir, publish(), outcome.example));
    await using _live = startLive(outcome.look, voice.out);
    await untilAborted(signal);
  }
  await supervisor.stop();
  return outcome.held;
}

async function startRegions(
  supervisor: Supervisor,
  prepared: Prepared,
  files: Layout,
  options: DemoOptions,
  voice: Voice,
): Promise<void> {
  const admin = `127.0.0.1:${prepared.providerPort}`;
  await supervisor.start([providerProcess(files, admin, options.providerFaults)]);
  voice.step("the payment provider is up");
  const specs = regionProcesses(prepared.mesh, files, options);
  await supervisor.start(specs, (name) => voice.step(`${name} is ready`));
}

/** The regions migrate too; done here first, a failure is told in one line and not in a region's log. */
async function prepareDatabases(
  mesh: Mesh,
  files: Layout,
  postgres: PreparedPostgres,
  { logger, signal }: DemoSurroundings,
): Promise<void> {
  for (const { name } of mesh.regions) {
    const url = await postgres.createDatabase(databaseName(name), signal);
    await using database = openDatabase({ url, application: "meridian demo", logger });
    await migrate(database, { logger, signal });
    writeRegionFile(files, name, url);
  }
}

/** Without orders there is no live view to show what ended and was started again. */
export function tellRestarts(supervisor: Supervisor, voice: Pick<Voice, "step">): void {
  const known = new Map(supervisor.list().map(({ name, restarts }) => [name, { restarts, runs: restarts }]));
  supervisor.onChange(() => {
    for (const { name, pid, state, restarts } of supervisor.list()) {
      const told = known.get(name);
      if (told === undefined) continue;
      if (restarts > told.restarts) voice.step(`${name} has ended and is started again`);
      told.restarts = restarts;
      if (state !== "running" || restarts === told.runs) continue;
      told.runs = restarts;
      voice.step(`${name} runs again as process ${pid}`);
    }
  });
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Whatever broke once a stop was asked for: the stop broke it, and its reason is what counts. */
export function interrupted(signal: AbortSignal, error: unknown): unknown {
  if (!signal.aborted) return error;
  if (signal.reason instanceof CliError) return signal.reason;
  return new CliError("interrupted", "stopped before it was done", { cause: error });
}
