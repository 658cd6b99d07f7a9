import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadRegionConfig } from "../../cli/config.ts";
import { databaseName } from "../../cli/demo/layout.ts";
import { readMesh } from "../../mesh/topology.ts";

const root = join(import.meta.dir, "..", "..");
const read = (...path: string[]) => readFileSync(join(root, ...path), "utf8");
const shipped = readMesh(read("configs", "mesh.toml"), "configs/mesh.toml");
const contained = readMesh(read("compose", "mesh.toml"), "compose/mesh.toml");

interface Service {
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly network_mode?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly networks?: { readonly default: { readonly aliases: readonly string[] } };
}

const { services } = Bun.YAML.parse(read("compose", "compose.yaml")) as { services: Record<string, Service> };

test("the containers' mesh is the demo's, but for its hosts", () => {
  const hosts = { ...contained, hubs: contained.hubs.map(local), regions: contained.regions.map(local) };
  expect<unknown>(hosts).toEqual(shipped);
});

const local = <T extends { readonly host: string }>(server: T) => ({ ...server, host: "127.0.0.1" });

test("every server and process of the mesh has its container, under the name and ports of mesh.toml", () => {
  const expected = ["mint", "postgres", "payment-provider"];
  for (const { name, host, client } of [...contained.hubs, ...contained.regions]) {
    const service = services[`nats-${name}`]!;
    expected.push(`nats-${name}`);
    expect(service.networks?.default.aliases).toEqual([host]);
    expect(service.command).toEqual(["-c", `/state/nats/${name}.conf`]);
    expect(service.ports).toContain(`${client}:${client}`);
  }
  for (const { name, http, grpc } of contained.regions) {
    expected.push(name);
    expect(services[name]!.network_mode).toBe(`service:nats-${name}`);
    expect(services[name]!.command).toEqual(["up", "--config", `configs/${name}.toml`]);
    for (const port of [http, grpc]) expect(services[`nats-${name}`]!.ports).toContain(`${port}:${port}`);
  }
  expect(Object.keys(services).sort()).toEqual(expected.sort());
});

test("a region's settings in its container are ones that the program knows, and its database is made", () => {
  const databases = read("compose", "databases.sql");
  for (const { name } of contained.regions) {
    const environment = { ...services[name]!.environment };
    environment.MERIDIAN_MESH = join(root, environment.MERIDIAN_MESH!.replace(/^\/app/, ""));
    const config = loadRegionConfig(join(root, "configs", `${name}.toml`), environment);
    expect(config.http.host).toBe(name);
    expect(config.nats).toEqual({
      servers: [`nats://${name}:${config.region.client}`],
      credentials: "/state/credentials",
    });
    expect(config.tokens.publicKey).toBe("/state/keys/tokens.public.jwk");
    expect(config.database.url).toEndWith(`@postgres:5432/${databaseName(name)}`);
    expect(databases).toContain(`create database ${databaseName(name)};`);
  }
});
