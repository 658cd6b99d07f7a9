/** Configuration of every server of the mesh, from mesh.toml and the keys. Nobody edits these files by hand. */
import { join } from "node:path";
import { credentialsFile, type Keys, systemLeafFile } from "./keys.ts";
import * as limits from "./limits.ts";
import type { Hub, Mesh, Region } from "./topology.ts";

export interface ServerConfig {
  /** Name of the hub or region. */
  readonly name: string;
  readonly kind: "hub" | "region";
  /** Where the text belongs: `DIR/nats/<name>.conf`. */
  readonly file: string;
  readonly text: string;
  readonly client: { readonly host: string; readonly port: number };
  readonly monitor: { readonly host: string; readonly port: number };
}

/** `dir` must be absolute: the servers may be started anywhere. */
export function renderServers(mesh: Mesh, keys: Keys, dir: string): ServerConfig[] {
  const render = (server: Hub | Region, kind: "hub" | "region", special: string): ServerConfig => ({
    name: server.name,
    kind,
    file: join(dir, "nats", `${server.name}.conf`),
    text: `${common(server, mesh, keys, dir)}${special}`,
    client: { host: server.host, port: server.client },
    monitor: { host: server.host, port: server.monitor },
  });
  return [
    ...mesh.hubs.map((hub) => render(hub, "hub", hubPart(hub, mesh))),
    ...mesh.regions.map((region) => render(region, "region", regionPart(region, mesh, keys, dir))),
  ];
}

const quoted = (text: string) => JSON.stringify(text);
const megabytes = (bytes: number) => `${Math.floor(bytes / 2 ** 20)}MB`;

function common(server: Hub | Region, mesh: Mesh, keys: Keys, dir: string): string {
  const accounts = [keys.system, ...keys.accounts.values()].map(({ publicKey, jwt }) => `  ${publicKey}: ${jwt}`);
  return `# Made from mesh.toml: changes here are lost.
server_name: ${server.name}
listen: "${server.host}:${server.client}"
http: "${server.host}:${server.monitor}"
max_payload: ${megabytes(limits.payloadBytesMax)}
ping_interval: "${limits.pingIntervalMs / 1000}s"
ping_max: ${limits.pingsOutstandingMax}
server_tags: ["mesh:${mesh.name}"]

operator: ${keys.operatorJwt}
system_account: ${keys.system.publicKey}
resolver: {
  type: full
  dir: ${quoted(join(dir, "nats", server.name, "accounts"))}
  allow_delete: false
  interval: "2m"
}
resolver_preload: {
${accounts.join("\n")}
}
`;
}

/** Hubs store nothing: they have no JetStream. */
function hubPart(hub: Hub, mesh: Mesh): string {
  const routes = mesh.hubs.map((one) => quoted(`nats-route://${one.host}:${one.cluster}`));
  return `
cluster {
  name: hubs
  listen: "${hub.host}:${hub.cluster}"
  routes: [${routes.join(", ")}]
  connect_backoff: true
}
leafnodes {
  listen: "${hub.host}:${hub.leaf}"
  compression: s2_auto
}
`;
}

function regionPart(region: Region, mesh: Mesh, keys: Keys, dir: string): string {
  const links = [
    remote(mesh, keys.system.publicKey, systemLeafFile(dir, region.name)),
    ...mesh.tenants.map((tenant) => {
      const account = keys.accounts.get(tenant.name)!.publicKey;
      return remote(mesh, account, credentialsFile(dir, tenant.name, region.name, "leaf"));
    }),
  ];
  return `
jetstream {
  store_dir: ${quoted(join(dir, "nats", region.name))}
  domain: ${region.name}
  max_file: ${megabytes(region.storageMax)}
  max_mem: ${megabytes(limits.serverMemoryBytesMax)}
${mesh.sync === "always" ? "  sync_interval: always\n" : ""}}
leafnodes {
  reconnect: 1s
  remotes: [
${links.join("\n")}
  ]
}
`;
}

function remote(mesh: Mesh, account: string, credentials: string): string {
  const urls = mesh.hubs.map((hub) => quoted(`nats-leaf://${hub.host}:${hub.leaf}`));
  return `    { urls: [${urls.join(", ")}], account: ${account}, credentials: ${quoted(credentials)}, compression: s2_auto }`;
}
