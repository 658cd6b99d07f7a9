import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { readSettings, type Settings } from "../mesh/settings.ts";
import { workers } from "../mesh/subjects.ts";
import type { Mesh, Region, Tenant } from "../mesh/topology.ts";
import { readMesh } from "../mesh/topology.ts";
import { OrderError } from "../orders/error.ts";
import { reviewRules } from "../orders/review.ts";
import { CliError } from "./error.ts";

/** What a process of a region can do; one process may do all of it. */
export const roles = ["gateway", "store", "projector", ...workers, "trimmer"] as const;
export type Role = (typeof roles)[number];

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** One region's process: its file, with what it refers to in mesh.toml. Paths are absolute. */
export interface RegionConfig {
  readonly file: string;
  readonly region: Region;
  readonly mesh: Mesh;
  readonly tenants: readonly Tenant[];
  readonly roles: ReadonlySet<Role>;
  readonly nats: { readonly servers: readonly string[]; readonly credentials: string };
  readonly database: { readonly url: string; readonly connections: number };
  readonly http: Address;
  readonly grpc: Address;
  /** The Go system's interfaces, without a token: every caller is this tenant. */
  readonly open: { readonly enabled: boolean; readonly tenant: string; readonly http: Address; readonly grpc: Address };
  readonly admin: Address;
  /** Public key that tokens are checked with, a JWK file. */
  readonly tokens: { readonly publicKey: string };
  readonly log: { readonly level: LogLevel };
}

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

const anyPort = { min: 0, max: 65_535 };

/** Reads and checks everything before anything is opened. Throws MeshError or CliError "configuration" naming file and setting. */
export function loadRegionConfig(file: string, environment: NodeJS.ProcessEnv): RegionConfig {
  return readSettings(readText(file), file, (settings) => readRegion(settings, file), environment);
}

function readRegion(settings: Settings, file: string): RegionConfig {
  const here = (path: string) => resolve(dirname(file), path);
  const meshFile = here(settings.text("mesh", "mesh.toml"));
  const mesh = readMesh(readText(meshFile), meshFile);
  for (const tenant of mesh.tenants) checkReview(tenant, meshFile);
  const name = settings.text("region");
  const region = mesh.regions.find((one) => one.name === name);
  if (region === undefined) {
    throw new CliError("configuration", `${file}: region ${name} is not in ${meshFile}: ${names(mesh.regions)}`);
  }
  const { host, client } = region;
  return {
    file,
    region,
    mesh,
    tenants: mesh.tenants,
    roles: new Set(settings.texts("roles", roles, roles)),
    nats: settings.section("nats", (nats) => ({
      servers: nats.texts("servers", [`nats://${host}:${client}`]),
      credentials: here(nats.text("credentials", "credentials")),
    })),
    database: settings.section("database", (database) => ({
      url: database.text("url"),
      connections: database.integer("connections", { min: 2, max: 100 }, 6),
    })),
    http: settings.section("http", (http) => readAddress(http, host, region.http)),
    grpc: settings.section("grpc", (grpc) => readAddress(grpc, host, region.grpc)),
    open: settings.section("open", (open) => readOpen(open, file, mesh, region)),
    admin: settings.section("admin", (admin) => readAddress(admin, "127.0.0.1", region.admin)),
    tokens: settings.section("tokens", (tokens) => ({
      publicKey: here(tokens.text("public_key", "keys/tokens.public.jwk")),
    })),
    log: settings.section("log", (log) => ({ level: log.oneOf("level", logLevels, "info") })),
  };
}

/** What a currency's decimals are is known to orders alone. */
function checkReview({ name, review }: Tenant, file: string): void {
  try {
    reviewRules(review);
  } catch (cause) {
    if (!(cause instanceof OrderError)) throw cause;
    throw new CliError("configuration", `${file}: tenant(${name}).review: ${cause.message}`, { cause });
  }
}

function readOpen(settings: Settings, file: string, mesh: Mesh, region: Region): RegionConfig["open"] {
  const enabled = settings.flag("enabled", false);
  const tenant = settings.text("tenant", mesh.tenants[0]?.name ?? "none");
  if (enabled && !mesh.tenants.some((one) => one.name === tenant)) {
    throw new CliError("configuration", `${file}: open.tenant ${tenant} is not a tenant: ${names(mesh.tenants)}`);
  }
  const host = settings.text("host", region.host);
  return {
    enabled,
    tenant,
    http: { host, port: settings.integer("http_port", anyPort, region.openHttp) },
    grpc: { host, port: settings.integer("grpc_port", anyPort, region.openGrpc) },
  };
}

function readAddress(settings: Settings, host: string, port: number): Address {
  return { host: settings.text("host", host), port: settings.integer("port", anyPort, port) };
}

export function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CliError("configuration", `cannot read ${file}: ${(error as NodeJS.ErrnoException).code ?? error}`, {
      cause: error,
    });
  }
}

const names = (list: readonly { readonly name: string }[]) => list.map((one) => one.name).join(", ");
