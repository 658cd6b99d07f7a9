import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";

export interface Migration {
  readonly name: string;
  /** SHA-256 of the file: what was applied may not change afterwards. */
  readonly checksum: string;
  /** One a round trip, each safe to be run again. */
  readonly statements: readonly string[];
}

/** The files of `migrations/`, by name. */
export async function readMigrations(folder = new URL("./migrations/", import.meta.url)): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".sql")).sort();
  return Promise.all(
    files.map(async (file) => {
      const text = await readFile(new URL(file, folder), "utf8");
      return {
        name: file.replace(/\.sql$/, ""),
        checksum: createHash("sha256").update(text).digest("hex"),
        statements: splitStatements(text),
      };
    }),
  );
}

/** Cuts at semicolons that end a line. Our migrations have no functions, so nothing else holds one there. */
export function splitStatements(text: string): string[] {
  const code = text.replace(/^\s*--.*$/gm, "");
  return code
    .split(/;[ \t]*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
}
