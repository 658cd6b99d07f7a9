import { join } from "node:path";
import { mintToken, type Scope, scopes } from "../../gateway/tokens.ts";
import { credentialsFile, mintKeys } from "../../mesh/keys.ts";
import { type Role, roles } from "../../mesh/roles.ts";
import { renderServers } from "../../mesh/server-config.ts";
import { type Mesh, readMesh } from "../../mesh/topology.ts";
import { readText } from "../config.ts";
import { ensureTokenKeys } from "../token-keys.ts";
import { writeFileAtomic } from "../write-file.ts";
import type { Endpoints, RegionEndpoints } from "./endpoints.ts";
import { databaseName, type Layout, projectRoot } from "./layout.ts";
import type { NamedPort } from "./ports.ts";
import { regionParts, type ServerFile } from "./processes.ts";

export interface Prepared {
  readonly mesh: Mesh;
  readonly servers: readonly ServerFile[];
  /** Tenant → "full" or "read" → token. */
  readonly tokens: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly postgresPort: number;
  readonly providerPort: number;
}

const configs = join(projectRoot, "configs");

/** Mesh, keys, server configurations and tokens in the demo's folder; keys that exist are kept. */
export async function prepareMesh(files: Layout, ports: number | undefined): Promise<Prepared> {
  writeFileAtomic(files.mesh, withPorts(readText(join(configs, "mesh.toml")), ports));
  const mesh = readMesh(readText(files.mesh), files.mesh);
  const keys = await mintKeys(mesh, files.dir);
  const servers = renderServers(mesh, keys, files.dir);
  for (const { file, text } of servers) writeFileAtomic(file, text, 0o600);
  return {
    mesh,
    servers,
    tokens: await prepareTokens(mesh, files),
    // Between the hubs' ports and the first region's.
    postgresPort: mesh.portBase + 8,
    providerPort: mesh.portBase + 9,
  };
}

/** The shipped file is used as it is; only the first of its ports can be another. */
function withPorts(text: string, base: number | undefined): string {
  return base === undefined ? text : text.replace(/^port_base\s*=.*$/m, `port_base = ${base}`);
}

const tokenScopes: Readonly<Record<string, readonly Scope[]>> = { full: scopes, read: ["orders:read", "events:read"] };
/** A demo that is left standing over a holiday still works afterwards. */
const tokenDays = 90;

async function prepareTokens(mesh: Mesh, files: Layout): Promise<Prepared["tokens"]> {
  const key = readText((await ensureTokenKeys(files.dir)).private);
  const tokens: Record<string, Record<string, string>> = {};
  for (const { name: tenant } of mesh.tenants) {
    const kinds: Record<string, string> = {};
    for (const [kind, allowed] of Object.entries(tokenScopes)) {
      const expiresIn = tokenDays * 86_400;
      kinds[kind] = await mintToken(key, { tenant, scopes: allowed, expiresIn, name: `demo ${kind}` });
    }
    tokens[tenant] = kinds;
  }
  return tokens;
}

/** The shipped file of a region, with this demo's folders above it. */
export function writeRegionFile(files: Layout, region: string, database: string): void {
  const text = readText(join(configs, `${region}.toml`));
  const own = text
    .replace(/^url = .*$/m, `url = ${JSON.stringify(database)}`)
    .replace(/^# enabled = false$/m, "enabled = true");
  writeFileAtomic(files.region(region), own, 0o600);
}

export function portsOf(
  { mesh, postgresPort, providerPort }: Prepared,
  { split }: { readonly split: boolean },
): NamedPort[] {
  const hubs = mesh.hubs.flatMap(({ name, client, leaf, monitor, cluster }) =>
    Object.entries({ NATS: client, "leaf links": leaf, monitor, cluster }).map(([what, port]) => ({
      port,
      what: `${what} of ${name}`,
    })),
  );
  const regions = mesh.regions.flatMap(({ name, client, monitor, http, grpc, openHttp, openGrpc, admin }) =>
    Object.entries({
      NATS: client,
      monitor,
      HTTP: http,
      gRPC: grpc,
      "Go HTTP": openHttp,
      "Go gRPC": openGrpc,
      admin,
    }).map(([what, port]) => ({ port, what: `${what} of ${name}` })),
  );
  const others = [
    { port: postgresPort, what: "PostgreSQL" },
    { port: providerPort, what: "the payment provider" },
  ];
  const admins = mesh.regions.flatMap(({ name, admin }) =>
    regionParts(split)
      .filter(({ port }) => port > 0)
      .map(({ suffix, port }) => ({ port: admin + port, what: `admin of ${name}${suffix}` })),
  );
  return [...hubs, ...others, ...regions, ...admins];
}

/** Everything but the processes. */
export function endpointsOf(prepared: Prepared, files: Layout, url: (database: string) => string): Endpoints {
  const { mesh, tokens } = prepared;
  const regions: Record<string, RegionEndpoints> = {};
  for (const { name, host, client, http, grpc, openHttp, openGrpc, admin } of mesh.regions) {
    const credentials = (tenant: string) =>
      Object.fromEntries(userRoles.map((role) => [role, credentialsFile(files.dir, tenant, name, role)]));
    regions[name] = {
      http: `http://${host}:${http}`,
      grpc: `http://${host}:${grpc}`,
      open: { http: `http://${host}:${openHttp}`, grpc: `http://${host}:${openGrpc}` },
      admin: `http://${host}:${admin}`,
      nats: `nats://${host}:${client}`,
      database: url(databaseName(name)),
      credentials: Object.fromEntries(mesh.tenants.map(({ name: tenant }) => [tenant, credentials(tenant)])),
    };
  }
  return { regions, tokens, processes: [] };
}

/** A leaf's credentials are for servers, not for users. */
const userRoles: readonly Role[] = roles.filter((role) => role !== "leaf");
