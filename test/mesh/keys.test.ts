import { expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentialsFile, mintKeys, systemCredentialsFile } from "../../mesh/keys.ts";
import { roles } from "../../mesh/roles.ts";
import { renderServers } from "../../mesh/server-config.ts";
import { readMesh } from "../../mesh/topology.ts";

const shipped = await readFile(new URL("../../configs/mesh.toml", import.meta.url), "utf8");
const mesh = readMesh(shipped, "mesh.toml");

async function files(dir: string): Promise<Map<string, string>> {
  const names = await readdir(dir, { recursive: true, withFileTypes: true });
  const found = new Map<string, string>();
  for (const entry of names) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) found.set(path, await readFile(path, "utf8"));
  }
  return found;
}

async function withDirectory(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "meridian-keys-"));
  try {
    await test(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

test("minting again keeps every key and credential", () =>
  withDirectory(async (dir) => {
    const first = await mintKeys(mesh, dir);
    const before = await files(dir);
    const second = await mintKeys(mesh, dir);
    expect(await files(dir)).toEqual(before);
    expect(second.system.publicKey).toBe(first.system.publicKey);
    for (const [tenant, account] of first.accounts) {
      expect(second.accounts.get(tenant)?.publicKey).toBe(account.publicKey);
    }
  }));

test("a new tenant gets keys, and those of the others stay", () =>
  withDirectory(async (dir) => {
    await mintKeys(mesh, dir);
    const before = await files(dir);
    const more = `${shipped}\n[[tenant]]\nname = "initech"\ncurrency = "USD"\n[[tenant.log]]\nname = "orders"\nrest = true\n`;
    const keys = await mintKeys(readMesh(more, "mesh.toml"), dir);
    const after = await files(dir);
    for (const [path, text] of before) expect(after.get(path)).toBe(text);
    expect([...keys.accounts.keys()]).toEqual(["acme", "globex", "initech"]);
    expect(after.has(credentialsFile(dir, "initech", "ap-south", "store"))).toBe(true);
  }));

test("seeds and credentials are for their owner only", () =>
  withDirectory(async (dir) => {
    await mintKeys(mesh, dir);
    for (const path of (await files(dir)).keys()) expect((await stat(path)).mode & 0o777).toBe(0o600);
    for (const role of roles) await stat(credentialsFile(dir, "acme", "us-east", role));
    expect(systemCredentialsFile(dir).startsWith(join(dir, "keys"))).toBe(true);
  }));

test("a damaged seed is refused by its file, never replaced; damaged credentials are made anew", () =>
  withDirectory(async (dir) => {
    await mintKeys(mesh, dir);
    const credentials = credentialsFile(dir, "acme", "us-east", "store");
    await writeFile(credentials, "half a file");
    await mintKeys(mesh, dir);
    expect(await readFile(credentials, "utf8")).toContain("BEGIN NATS USER JWT");
    const seed = join(dir, "keys", "acme.nk");
    await writeFile(seed, "nonsense\n");
    await expect(mintKeys(mesh, dir)).rejects.toMatchObject({ name: "MeshError", code: "not-found" });
    expect(await readFile(seed, "utf8")).toBe("nonsense\n");
  }));

test("regions store on disk before they answer, hubs store nothing, and no configuration holds a seed", () =>
  withDirectory(async (dir) => {
    const servers = renderServers(mesh, await mintKeys(mesh, dir), dir);
    expect(servers.map((server) => server.name)).toEqual(["hub-1", "hub-2", "us-east", "eu-west", "ap-south"]);
    for (const { kind, name, text, client } of servers) {
      expect(text).not.toMatch(/\bS[OAU][A-Z2-7]{56}\b/);
      expect(text.includes("jetstream {")).toBe(kind === "region");
      if (kind === "region") expect(text).toContain(`domain: ${name}\n`);
      if (kind === "region") expect(text).toContain("sync_interval: always");
      if (kind === "region") expect(text.match(/urls: \[/g)).toHaveLength(1 + mesh.tenants.length);
      expect(text).toContain(`listen: "${client.host}:${client.port}"`);
    }
  }));
