import { join, resolve } from "node:path";
import { type Keys, mintKeys } from "../../mesh/keys.ts";
import { renderServers } from "../../mesh/server-config.ts";
import { type Mesh, readMesh } from "../../mesh/topology.ts";
import { readText } from "../config.ts";
import { ensureTokenKeys } from "../token-keys.ts";
import { writeFileAtomic } from "../write-file.ts";

export interface MeshWords {
  readonly mesh: string;
  readonly dir: string;
}

export async function runMeshKeys(words: MeshWords): Promise<void> {
  const { dir } = await mint(words);
  process.stdout.write(`keys are in ${join(dir, "keys")}, credentials in ${join(dir, "credentials")}\n`);
}

export async function runMeshRender(words: MeshWords): Promise<void> {
  const { mesh, keys, dir } = await mint(words);
  for (const { name, file, text } of renderServers(mesh, keys, dir)) {
    writeFileAtomic(file, text, 0o600);
    process.stdout.write(`${name}: nats-server -c ${file}\n`);
  }
}

async function mint(words: MeshWords): Promise<{ mesh: Mesh; keys: Keys; dir: string }> {
  const mesh = readMesh(readText(words.mesh), words.mesh);
  const dir = resolve(words.dir);
  const keys = await mintKeys(mesh, dir);
  await ensureTokenKeys(dir);
  return { mesh, keys, dir };
}
