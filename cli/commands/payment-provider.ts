import { dirname, join, resolve } from "node:path";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { readMesh } from "../../mesh/topology.ts";
import { startProvider } from "../../orders/workers/provider.ts";
import { serveAdmin } from "../admin.ts";
import { type Address, readText } from "../config.ts";
import { CliError } from "../error.ts";
import { keepTrying } from "../keep-trying.ts";
import { createLogger, type ProcessLogger } from "../logger.ts";
import { guardRejections } from "../rejections.ts";
import { runUntilStopped } from "./up.ts";

export interface ProviderWords {
  readonly mesh: string;
  readonly credentials?: string;
  readonly dir: string;
  readonly admin?: string;
}

export async function runPaymentProvider(words: ProviderWords): Promise<void> {
  const logger = createLogger({ name: "payment-provider", level: "info" });
  guardRejections(logger);
  await runUntilStopped(logger, (signal) => openProvider(words, logger, signal));
}

/** Serves every region for every tenant, each over a connection of its own: a tenant's account is closed to the others. */
async function openProvider(
  words: ProviderWords,
  logger: ProcessLogger,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  const mesh = readMesh(readText(words.mesh), words.mesh);
  const credentials = resolve(words.credentials ?? join(dirname(words.mesh), "credentials"));
  await using stack = new AsyncDisposableStack();
  let open = false;
  const ready = () => ({ ready: open, checks: { ledger: open ? "ok" : "opening" } });
  if (words.admin !== undefined) {
    const admin = { address: readAddress(words.admin), ready, status: async () => ready() };
    stack.use(await serveAdmin(admin));
  }
  const places = mesh.regions.flatMap((region) => mesh.tenants.map((tenant) => ({ region, tenant })));
  const connections = await Promise.all(
    places.map(async ({ region, tenant }) => {
      const connect = () =>
        openConnection({
          servers: [`nats://${region.host}:${region.client}`],
          credentials: join(credentials, tenant.name, `${region.name}-payment.creds`),
          name: `payment provider of ${region.name}`,
          region: region.name,
          logger,
          signal,
        });
      const what = `connect to NATS in ${region.name} as payment of ${tenant.name}`;
      const connection: Connection = stack.use(await keepTrying(connect, { what, logger, signal }));
      return { tenant: tenant.name, connection };
    }),
  );
  stack.use(await startProvider({ connections, ledgerFile: join(words.dir, "ledger.ndjson"), logger }));
  open = true;
  logger.info({ regions: mesh.regions.map(({ name }) => name) }, "ready");
  const opened = stack.move();
  return { [Symbol.asyncDispose]: () => opened.disposeAsync() };
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
