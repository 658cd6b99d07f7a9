import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { printSql } from "../../projections/print-sql.ts";

/**
 * All our SQL has to pass CockroachDB's own parser. That is a Go program which takes minutes to build, so the checksum of
 * what it accepted last stands in `sql.checksum`: only SQL that differs from that needs Go. After a change of SQL:
 *
 *     bun test/projections/accepted-sql.ts
 */
const root = fileURLToPath(new URL("../..", import.meta.url));
const pin = join(root, "test", "projections", "sql.checksum");

export async function isPinned(sql: string): Promise<boolean> {
  return (await readFile(pin, "utf8")).trim() === checksum(sql);
}

function checksum(sql: string): string {
  return createHash("sha256").update(sql).digest("hex");
}

export interface Verdict {
  readonly accepted: boolean;
  /** The parser's findings, or why it could not be built. */
  readonly output: string;
}

/** Builds the parser if it is not built yet, and asks it. */
export async function askParser(sql: string): Promise<Verdict> {
  const cache = join(root, "node_modules", ".cache");
  await mkdir(cache, { recursive: true });
  const program = join(cache, "cockroach-parse");
  const source = join(root, "test", "cockroach-parse");
  const built = await execute("go", ["build", "-trimpath", "-ldflags=-s -w", "-o", program, "."], source);
  if (!built.accepted) return { accepted: false, output: `cannot build test/cockroach-parse with Go: ${built.output}` };
  const folder = await mkdtemp(join(tmpdir(), "meridian-sql-"));
  try {
    const file = join(folder, "all.sql");
    await writeFile(file, sql);
    return await execute(program, [file], folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function execute(program: string, args: readonly string[], cwd: string): Promise<Verdict> {
  return new Promise((resolve) => {
    execFile(program, [...args], { cwd }, (error, stdout, stderr) => {
      resolve({ accepted: error === null, output: `${stdout}${stderr}${error?.message ?? ""}` });
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const sql = await printSql();
  const { accepted, output } = await askParser(sql);
  if (accepted) await writeFile(pin, `${checksum(sql)}\n`);
  console.log(accepted ? "CockroachDB's parser accepts all SQL; the checksum is written" : output);
  process.exitCode = accepted ? 0 : 1;
}
