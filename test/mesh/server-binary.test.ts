import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findServer } from "../../mesh/server-binary.ts";

let dir: string;
const path = process.env.PATH;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "meridian-binary-"));
});
afterEach(async () => {
  process.env.PATH = path;
  delete process.env.MERIDIAN_NATS_SERVER;
  await rm(dir, { recursive: true, force: true });
});

async function program(name: string, output: string): Promise<string> {
  const file = join(dir, name);
  await writeFile(file, `#!/bin/sh\necho "${output}"\n`);
  await chmod(file, 0o755);
  return file;
}

test("a server named by the setting is taken, before the environment and PATH", async () => {
  const setting = await program("mine", "nats-server: v2.16.3");
  process.env.MERIDIAN_NATS_SERVER = await program("other", "nats-server: v2.15.1");
  expect(await findServer({ setting, cacheDir: dir })).toEqual({ path: setting, version: "2.16.3", source: "setting" });
  expect((await findServer({ cacheDir: dir })).source).toBe("environment");
});

test("a server that is named but too old, missing or something else is refused with the reason", async () => {
  const old = await program("old", "nats-server: v2.10.29");
  await expect(findServer({ setting: old, cacheDir: dir })).rejects.toThrow(/version 2\.10\.29, older than 2\.14\.0/);
  const missing = findServer({ setting: join(dir, "none"), cacheDir: dir });
  await expect(missing).rejects.toMatchObject({ name: "MeshError", code: "no-server" });
  const other = await program("hello", "hello");
  await expect(findServer({ setting: other, cacheDir: dir })).rejects.toThrow(/says "hello"/);
});

test("PATH comes before the cache, and an old one on PATH does not hide a newer one there", async () => {
  const newer = await mkdtemp(join(tmpdir(), "meridian-binary-"));
  try {
    await program("nats-server", "nats-server: v2.9.0");
    const good = join(newer, "nats-server");
    await writeFile(good, '#!/bin/sh\necho "nats-server: v2.14.0"\n', { mode: 0o755 });
    process.env.PATH = `${dir}:${newer}:/usr/bin:/bin`;
    expect(await findServer({ cacheDir: dir })).toEqual({ path: good, version: "2.14.0", source: "PATH" });
  } finally {
    await rm(newer, { recursive: true, force: true });
  }
});

test("the cache is looked into when PATH has none", async () => {
  const cached = await program("nats-server", "nats-server: v2.15.1");
  process.env.PATH = "/usr/bin:/bin";
  expect(await findServer({ cacheDir: dir })).toEqual({ path: cached, version: "2.15.1", source: "cache" });
});

test("when no way works the error names every one", async () => {
  await program("go", "no such module");
  await program("nats-server", "nats-server: v2.9.0");
  process.env.PATH = `${dir}:/usr/bin:/bin`;
  const error = await findServer({ cacheDir: join(dir, "cache") }).catch((reason: Error) => reason);
  const text = (error as Error).message;
  for (const way of ["PATH: ", "version 2.9.0", "cache: ", "go install: ", "MERIDIAN_NATS_SERVER"]) {
    expect(text).toContain(way);
  }
});
