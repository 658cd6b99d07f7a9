import { dirname, join, resolve } from "node:path";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type Region, readMesh, type Tenant } from "../../mesh/topology.ts";
import { openProvider } from "../../orders/workers/provider.ts";
import type { FaultPlan } from "../../orders/workers/provider-faults.ts";
import manifest from "../../package.json" with { type: "json" };
import { serveAdmin } from "../admin.ts";
import { type Address, readText } from "../config.ts";
import { CliError } from "../error.ts";
import { type FaultWords, readFaultPlan } from "../fault-options.ts";
import { keepTrying } from "../keep-trying.ts";
import { ledgerFile } from "../ledger-file.ts";
import { createLogger, type ProcessLogger } from "../logger.ts";
import { guardRejections } from "../rejections.ts";
import { type Opened, runUntilStopped } from "./up.ts";

export interface ProviderWords extends FaultWords {
  readonly mesh: string;
  readonly credentials?: string;
  readonly dir: string;
  readonly admin?: string;
}

export async function runPaymentProvider(words: ProviderWords): Promise<void> {
  const plan = readFaultPlan(words);
  const logger = createLogger({ name: "payment-provider", level: "info" });
  guardRejections(logger);
  await runUntilStopped(logger, (signal) => openProviderProcess(words, plan, logger, signal));
}

/**
 * Serves every region for every tenant, each over a connection of its own (a tenant's account is closed to the others)
 * and as soon as that region's NATS answers: a region that is away holds up nobody's payments elsewhere.
 */
async function openProviderProcess(
  words: ProviderWords,
  plan: FaultPlan,
  logger: ProcessLogger,
  signal: AbortSignal,
): Promise<Opened> {
  const mesh = readMesh(readText(words.mesh), words.mesh);
  const credentials = resolve(words.credentials ?? join(dirname(words.mesh), "credentials"));
  const places = mesh.regions.flatMap((region) => mesh.tenants.map((tenant) => ({ region, tenant })));
  const checks = new Map([["ledger", "opening"]]);
  for (const place of places) checks.set(nameOf(place), "NATS does not answer yet");

  await using stack = new AsyncDisposableStack();
  const ready = () => ({ ready: isReady(checks), checks: Object.fromEntries(checks) });
  if (words.admin !== undefined) {
    const admin = { address: readAddress(words.admin), ready, status: async () => ready() };
    stack.use(await serveAdmin(admin));
  }
  // Connections are closed after the provider has finished what it had begun.
  const connections = stack.use(new AsyncDisposableStack());
  const books = { ledgerFile: ledgerFile(words.dir), version: manifest.version, plan, logger };
  const provider = stack.use(await openProvider(books));
  checks.set("ledger", "ok");
  const stopping = new AbortController();
  const around = { credentials, logger, signal: AbortSignal.any([signal, stopping.signal]) };
  const serving = places.map(async (place) => {
    await provider.serve(place.tenant.name, connections.use(await connectTo(place, around)));
    checks.set(nameOf(place), "ok");
    logger.info({ region: place.region.name, tenant: place.tenant.name }, "takes payments");
  });
  stack.defer(async () => {
    stopping.abort();
    await Promise.allSettled(serving);
  });
  // A connection that cannot come about (a wrong setting) ends the process too.
  const hopeless = new Promise<Error>((resolve) => {
    for (const one of serving) one.catch((error: Error) => around.signal.aborted || resolve(error));
  });
  const opened = stack.move();
  return {
    failed: Promise.race([provider.broken, hopeless]),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

interface Place {
  readonly region: Region;
  readonly tenant: Tenant;
}

const nameOf = ({ region, tenant }: Place) => `${tenant.name} in ${region.name}`;

/** Ready: its ledger is open and it serves somebody; who is away comes when they come. */
function isReady(checks: ReadonlyMap<string, string>): boolean {
  return checks.get("ledger") === "ok" && [...checks.values()].filter((check) => check === "ok").length > 1;
}

function connectTo(
  { region, tenant }: Place,
  { credentials, logger, signal }: { credentials: string; logger: Logger; signal: AbortSignal },
): Promise<Connection> {
  const connect = () =>
    openConnection({
      servers: [`nats://${region.host}:${region.client}`],
      credentials: join(credentials, tenant.name, `${region.name}-payment.creds`),
      name: `payment provider of ${region.name}`,
      region: region.name,
      logger,
      signal,
    });
  return keepTrying(connect, {
    what: `connect to NATS in ${region.name} as payment of ${tenant.name}`,
    logger,
    signal,
  });
}

function readAddress(text: string): Address {
  const [host, port, ...rest] = text.split(":");
  const number = Number(port);
  if (
    host === undefined ||
    host === "" ||
    rest.length > 0 ||
    !Number.isInteger(number) ||
    number < 1 ||
    number > 65_535
  ) {
    throw new CliError("usage", `--admin must be host:port, not "${text}"`);
  }
  return { host, port: number };
}
