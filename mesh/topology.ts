/** `mesh.toml`: hubs, regions, tenants and their logs, on one page. */
import { MeshError } from "./error.ts";
import * as limits from "./limits.ts";
import { type ReviewSettings, readReview } from "./review-settings.ts";
import { readSettings, type Settings } from "./settings.ts";
import { tokenPattern } from "./subjects.ts";

export interface Hub {
  readonly name: string;
  readonly host: string;
  readonly client: number;
  readonly leaf: number;
  readonly monitor: number;
  readonly cluster: number;
}

export interface Region {
  readonly name: string;
  /** First part of the order ids minted here: unique, never changed. */
  readonly tag: string;
  readonly host: string;
  readonly client: number;
  readonly monitor: number;
  /** What the region's server may store for all tenants, bytes. */
  readonly storageMax: number;
  readonly http: number;
  readonly grpc: number;
  /** The Go system's interfaces. */
  readonly openHttp: number;
  readonly openGrpc: number;
  readonly admin: number;
}

export interface TenantLog {
  readonly name: string;
  readonly categories: readonly string[];
  /** Takes every category that no other log of the tenant names. */
  readonly rest: boolean;
  readonly shards: number;
  readonly replicas: number;
  readonly codec: "zstd" | "snappy" | "none";
  /** Regions that hold a copy of every home's log: residency. */
  readonly mirrors: "all" | readonly string[];
  /** What is older is trimmed from the log and its copies, if the archives have it; undefined: nothing is. */
  readonly keepDays: number | undefined;
}

export interface Tenant {
  readonly name: string;
  /** Home of what names none. */
  readonly defaultRegion: string;
  readonly currency: string;
  /** What the tenant may store in each region, bytes. */
  readonly diskMax: number;
  /** Seconds that an order may stay as it is, by its status, before it is looked after. */
  readonly deadlines: Readonly<Record<keyof typeof deadlines, number>>;
  readonly review: ReviewSettings;
  readonly logs: readonly TenantLog[];
}

/**
 * In seconds; 0: none. What a worker moves has long been tried when a quarter of an hour is over, and a person is given a day.
 * Goods take as long as they take: there a deadline only notes that it has passed.
 */
const deadlines = {
  received: 900,
  paid: 900,
  "in-review": 86_400,
  approved: 0,
  shipped: 0,
  voiding: 900,
  refunding: 900,
} as const;

export interface Mesh {
  readonly name: string;
  /** "always": every write is on disk before it is acknowledged. */
  readonly sync: "always" | "default";
  /** Ports that are not named count up from here. */
  readonly portBase: number;
  readonly hubs: readonly Hub[];
  readonly regions: readonly Region[];
  readonly tenants: readonly Tenant[];
}

const token = { test: tokenPattern, rule: "small letters, digits and inner hyphens, at most 32" };
const port = { min: 1, max: 65_535 };
const host = { test: /^[A-Za-z0-9.:-]{1,253}$/, rule: "a host name or address" };

/** Throws MeshError "configuration" that names file, setting, rule and value. */
export function readMesh(text: string, file: string): Mesh {
  const mesh = readSettings(text, file, (settings): Mesh => {
    const portBase = settings.integer("port_base", { min: 1, max: 65_000 }, 4200);
    const regions = settings.list("region", 1, (region, index) => readRegion(region, portBase + 10 * (index + 1)));
    return {
      name: settings.text("name", "meridian", token),
      sync: settings.oneOf("sync", ["always", "default"], "always"),
      portBase,
      hubs: settings.list("hub", 1, (hub, index) => readHub(hub, portBase + 4 * index)),
      regions,
      tenants: settings.list("tenant", 1, (tenant) => readTenant(tenant, regions)),
    };
  });
  checkWhole(mesh, file);
  return mesh;
}

function readHub(settings: Settings, base: number): Hub {
  return {
    name: settings.text("name", undefined, token),
    host: settings.text("host", "127.0.0.1", host),
    client: settings.integer("client", port, base),
    leaf: settings.integer("leaf", port, base + 1),
    monitor: settings.integer("monitor", port, base + 2),
    cluster: settings.integer("cluster", port, base + 3),
  };
}

function readRegion(settings: Settings, base: number): Region {
  return {
    name: settings.text("name", undefined, token),
    tag: settings.text("tag", undefined, { test: /^[a-z][a-z0-9]{1,7}$/, rule: "2 to 8 small letters and digits" }),
    host: settings.text("host", "127.0.0.1", host),
    client: settings.integer("client", port, base),
    monitor: settings.integer("monitor", port, base + 1),
    storageMax: settings.bytes("storage_max", "10 GiB"),
    http: settings.integer("http", port, base + 2),
    grpc: settings.integer("grpc", port, base + 3),
    openHttp: settings.integer("open_http", port, base + 4),
    openGrpc: settings.integer("open_grpc", port, base + 5),
    admin: settings.integer("admin", port, base + 6),
  };
}

function readTenant(settings: Settings, regions: readonly Region[]): Tenant {
  const names = regions.map((region) => region.name);
  const defaultRegion = settings.text("default_region", names[0]);
  if (!names.includes(defaultRegion)) {
    throw settings.wrong("default_region", `one of ${names.join(", ")}`, defaultRegion);
  }
  const logs = settings.list("log", 1, (log) => readLog(log, names));
  if (logs.filter((log) => log.rest).length !== 1) {
    throw settings.wrong(
      "log",
      "a list in which exactly one log has rest = true",
      logs.map((log) => log.name),
    );
  }
  const repeated = firstRepeated(logs.flatMap((log) => log.categories));
  if (repeated !== undefined) throw settings.wrong("log", "a list that names each category once", repeated);
  return {
    name: settings.text("name", undefined, token),
    defaultRegion,
    currency: settings.text("currency", undefined, { test: /^[A-Z]{3}$/, rule: "an ISO 4217 code" }),
    diskMax: settings.bytes("disk_max", "2 GiB"),
    deadlines: settings.section("deadlines", readDeadlines),
    review: settings.section("review", readReview),
    logs,
  };
}

function readDeadlines(settings: Settings): Tenant["deadlines"] {
  const seconds = { min: 0, max: 366 * 86_400 };
  const read = Object.entries(deadlines).map(([status, initial]) => [
    status,
    settings.integer(status, seconds, initial),
  ]);
  return Object.fromEntries(read) as Tenant["deadlines"];
}

function readLog(settings: Settings, regions: readonly string[]): TenantLog {
  const mirrors = settings.raw("mirrors") ?? "all";
  const known = (one: unknown) => typeof one === "string" && regions.includes(one);
  if (mirrors !== "all" && !(Array.isArray(mirrors) && mirrors.every(known))) {
    throw settings.wrong("mirrors", `"all" or a list of ${regions.join(", ")}`, mirrors);
  }
  const categories = settings.texts("categories", []);
  const odd = categories.find((category) => !/^[A-Za-z0-9._~]{1,64}$/.test(category));
  if (odd !== undefined) throw settings.wrong("categories", "what stands before the hyphen of a stream's id", odd);
  return {
    name: settings.text("name", undefined, { test: /^[a-z][a-z0-9]{0,30}$/, rule: "small letters and digits" }),
    categories,
    rest: settings.flag("rest", false),
    shards: settings.integer("shards", { min: 1, max: limits.shardsMax }, 4),
    replicas: readReplicas(settings),
    codec: settings.oneOf("codec", ["zstd", "snappy", "none"], "zstd"),
    mirrors: mirrors as "all" | string[],
    keepDays: readKeep(settings),
  };
}

/** Days, as backups are counted: what an archive was put back without must still be in the log. */
function readKeep(settings: Settings): number | undefined {
  const keep = settings.raw("keep") ?? "all";
  if (keep === "all") return undefined;
  const days = typeof keep === "string" ? Number(/^([1-9]\d{0,4})d$/.exec(keep)?.[1]) : Number.NaN;
  if (Number.isNaN(days)) throw settings.wrong("keep", '"all" or a number of days such as "30d"', keep);
  return days;
}

/** Three servers go on without one of them; two would not, and no more than three are needed for that. */
function readReplicas(settings: Settings): number {
  const replicas = settings.integer("replicas", { min: 1, max: 3 }, 1);
  if (replicas === 2) throw settings.wrong("replicas", "1 or 3", replicas);
  return replicas;
}

/** First tokens of our own subjects, which no log may take, and the system account's name. */
const reservedLogs = ["append", "payments", "mirror"];
const reservedTenants = ["sys"];

function checkWhole(mesh: Mesh, file: string): void {
  const refuse = (problem: string) => new MeshError("configuration", `${file}: ${problem}`);
  const unique = (what: string, values: readonly string[]) => {
    const repeated = firstRepeated(values);
    if (repeated !== undefined) throw refuse(`${what} ${repeated} is there twice`);
  };
  unique(
    "server",
    [...mesh.hubs, ...mesh.regions].map((one) => one.name),
  );
  unique(
    "region tag",
    mesh.regions.map((region) => region.tag),
  );
  unique(
    "tenant",
    mesh.tenants.map((tenant) => tenant.name),
  );
  unique("address", addresses(mesh));
  for (const { name, logs } of mesh.tenants) {
    if (reservedTenants.includes(name)) throw refuse(`a tenant cannot be called ${name}`);
    unique(
      `tenant ${name}: log`,
      logs.map((log) => log.name),
    );
    const reserved = logs.find((log) => reservedLogs.includes(log.name));
    if (reserved !== undefined) throw refuse(`tenant ${name}: a log cannot be called ${reserved.name}`);
  }
  const disk = mesh.tenants.reduce((sum, tenant) => sum + tenant.diskMax, 0);
  // An account whose quota is above the server's storage has no JetStream at all.
  const small = mesh.regions.find((region) => region.storageMax < disk);
  if (small !== undefined) {
    throw refuse(`region(${small.name}).storage_max ${small.storageMax} is less than all tenants' disk_max, ${disk}`);
  }
}

function addresses(mesh: Mesh): string[] {
  const hubs = mesh.hubs.flatMap((hub) =>
    [hub.client, hub.leaf, hub.monitor, hub.cluster].map((one) => `${hub.host}:${one}`),
  );
  const regions = mesh.regions.flatMap((region) =>
    [region.client, region.monitor, region.http, region.grpc, region.openHttp, region.openGrpc, region.admin].map(
      (one) => `${region.host}:${one}`,
    ),
  );
  return [...hubs, ...regions];
}

function firstRepeated(values: readonly string[]): string | undefined {
  return values.find((value, index) => values.indexOf(value) !== index);
}
