import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadRegionConfig, type RegionConfig, type Role, readText } from "../../cli/config.ts";
import { createLogger } from "../../cli/logger.ts";
import { ensureTokenKeys } from "../../cli/token-keys.ts";
import { openRegion, type RegionProcess } from "../../cli/up.ts";
import { mintToken, type Scope, scopes } from "../../gateway/tokens.ts";
import { silent } from "../../mesh/logger.ts";
import { openProvider } from "../../orders/workers/provider.ts";
import { prepareMesh, type WholeMesh } from "../mesh/whole-mesh.ts";
import { startPostgres, type TestPostgres } from "../projections/server.ts";

/** The region us-east with its own broker, database and payment provider; its peers and the hubs are away. */
export interface TestRegion extends AsyncDisposable {
  readonly mesh: WholeMesh;
  readonly database: string;
  readonly postgres: TestPostgres;
  /** Of a process with these roles, on ports of its own. */
  config(...roles: readonly Role[]): RegionConfig;
  /** A process of the region, as `meridian up --roles …` composes it; stopped with the region at the latest. */
  process(...roles: readonly Role[]): Promise<RunningProcess>;
  /** Default: everything is allowed to it. */
  token(tenant: string, granted?: readonly Scope[]): Promise<string>;
}

export interface RunningProcess {
  readonly admin: string;
  readonly http: string;
  stop(): Promise<void>;
}

export interface RegionOptions {
  /** False leaves the payments to the test. */
  readonly provider?: boolean;
  /** Changes the text of mesh.toml. */
  readonly edit?: (text: string) => string;
}

export async function startRegion(options: RegionOptions = {}): Promise<TestRegion> {
  await using stack = new AsyncDisposableStack();
  const mesh = stack.use(await prepareMesh(options.edit));
  await mesh.start("us-east");
  const postgres: TestPostgres = stack.use(await startPostgres());
  const database = await postgres.createMigrated();
  const keys = await ensureTokenKeys(mesh.dir);
  if (options.provider !== false) stack.use(await startProvider(mesh));
  const opened = stack.move();

  const config = (...roles: readonly Role[]) => {
    const file = join(mesh.dir, `us-east-${roles.join("-")}.toml`);
    writeFileSync(file, regionFile(database, roles));
    return loadRegionConfig(file, {});
  };
  return {
    mesh,
    database,
    postgres,
    config,
    async process(...roles) {
      const stop = new AbortController();
      const logger = { ...createLogger({ name: "test", level: "error" }), ...silent, write() {} };
      const region: RegionProcess = await openRegion(config(...roles), logger, stop.signal);
      let stopped: Promise<void> | undefined;
      const end = () => {
        stop.abort();
        stopped ??= Promise.resolve(region[Symbol.asyncDispose]());
        return stopped;
      };
      opened.defer(end);
      const { admin, http } = region.ports;
      return { admin: `http://127.0.0.1:${admin}`, http: `http://127.0.0.1:${http}`, stop: end };
    },
    async token(tenant, granted = scopes) {
      return await mintToken(readText(keys.private), { tenant, scopes: granted, expiresIn: 600, name: "test" });
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** The simulated payment provider of every tenant. */
export async function startProvider(mesh: WholeMesh): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const ledgerFile = join(mesh.dir, "provider", "ledger.ndjson");
  const provider = stack.use(await openProvider({ ledgerFile, version: "0.0.0", logger: silent }));
  for (const { name } of mesh.mesh.tenants) {
    await provider.serve(name, stack.use(await mesh.connect(name, "us-east", "payment")));
  }
  return stack.move();
}

function regionFile(database: string, roles: readonly Role[]): string {
  return [
    'region = "us-east"',
    `roles = ${JSON.stringify(roles)}`,
    `[database]\nurl = ${JSON.stringify(database)}`,
    ...["http", "grpc", "admin"].map((section) => `[${section}]\nport = 0`),
  ].join("\n");
}
