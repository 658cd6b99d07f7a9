import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Mesh, Region, Tenant } from "../mesh/topology.ts";
import { readMesh } from "../mesh/topology.ts";
import { CliError } from "./error.ts";
import { readSettings, type Settings } from "./settings.ts";

/** What a process of a region can do; one process may do all of it. */
export const roles = ["gateway", "store", "projector", "payment", "review"] as const;
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

/** Reads and checks everything before anything is opened. Throws CliError (or mesh's own error) naming file and setting. */
export function loadRegionConfig(file: string, overlay: NodeJS.ProcessEnv): RegionConfig {
  const settings = readSettings(readText(file), file, overlay);
  const meshFile = resolve(dirname(file), settings.text("mesh", "mesh.toml"));
  const mesh = readMesh(readText(meshFile), meshFile);
  const name = settings.text("region");
  const region = mesh.regions.find((one) => one.name === name);
  if (region === undefined) {
    throw new CliError("configuration", `${file}: region ${name} is not in ${meshFile}: ${names(mesh.regions)}`);
  }
  const config = readRegion(settings, file, mesh, region);
  settings.end();
  return config;
}

function readRegion(settings: Settings, file: string, mesh: Mesh, region: Region): RegionConfig {
  const here = (path: string) => resolve(dirname(file), path);
  const nats = settings.section("nats");
  const database = settings.section("database");
  const http = settings.section("http");
  const grpc = settings.section("grpc");
  const admin = settings.section("admin");
  return {
    file,
    region,
    mesh,
    tenants: mesh.tenants,
    roles: readRoles(settings.texts("roles", roles).join(","), file),
    nats: {
      servers: nats.texts("servers", [`nats://${region.host}:${region.client}`]),
      credentials: here(nats.text("credentials", "credentials")),
    },
    database: { url: database.text("url"), connections: database.integer("connections", 6, { min: 2, max: 100 }) },
    http: address(http, region.host, region.http),
    grpc: address(grpc, region.host, region.grpc),
    open: readOpen(settings.section("open"), file, mesh, region),
    admin: address(admin, "127.0.0.1", region.admin),
    tokens: { publicKey: here(settings.section("tokens").text("public_key", "keys/tokens.public.jwk")) },
    log: { level: settings.section("log").oneOf("level", "info", logLevels) },
  };
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
    http: { host, port: settings.integer("http_port", region.openHttp, anyPort) },
    grpc: { host, port: settings.integer("grpc_port", region.openGrpc, anyPort) },
  };
}

function address(settings: Settings, host: string, port: number): Address {
  return { host: settings.text("host", host), port: settings.integer("port", port, anyPort) };
}

/** "gateway,store" → the set. Throws CliError that names the one it does not know. */
export function readRoles(text: string, where: string): ReadonlySet<Role> {
  const chosen = new Set<Role>();
  for (const name of text.split(",")) {
    const role = roles.find((one) => one === name.trim());
    if (role === undefined) {
      throw new CliError("configuration", `${where}: "${name}" is not a role; there are ${roles.join(", ")}`);
    }
    chosen.add(role);
  }
  return chosen;
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
