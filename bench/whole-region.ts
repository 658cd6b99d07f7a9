import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { readText } from "../cli/config.ts";
import { ensureTokenKeys } from "../cli/token-keys.ts";
import { mintToken, scopes } from "../gateway/tokens.ts";
import { openLog } from "../mesh/streams.ts";
import { readModels } from "../projections/models/read-models.ts";
import { freePort } from "../test/mesh/server.ts";
import { prepareMesh } from "../test/mesh/whole-mesh.ts";
import { startPostgres } from "../test/projections/server.ts";
import { stopChild } from "./child.ts";

const program = fileURLToPath(new URL("../cli/meridian.ts", import.meta.url));
const readyMs = 30_000;
const tenant = "acme";

/** Everything that a region runs, as processes of their own: broker, database, `meridian up` with all roles, the provider. */
export interface WholeRegion extends AsyncDisposable {
  readonly http: number;
  readonly token: string;
  look(): Promise<Standing>;
}

/** What has been recorded, and how far it has been read. Sequences of the log, by shard. */
export interface Standing {
  readonly last: readonly number[];
  /** By the slowest of the archive and the read models. */
  readonly reached: readonly number[];
  /** Orders that have an end, or wait for a person, as the read model shows them. */
  readonly settled: number;
}

export async function startWholeRegion(): Promise<WholeRegion> {
  await using stack = new AsyncDisposableStack();
  const mesh = stack.use(await prepareMesh());
  await mesh.start("us-east");
  const { createMigrated } = stack.use(await startPostgres());
  const database = await createMigrated();
  const keys = await ensureTokenKeys(mesh.dir);
  const token = await mintToken(readText(keys.private), { tenant, scopes, expiresIn: 86_400, name: "bench" });
  const [http, grpc, admin] = [await freePort(), await freePort(), await freePort()];
  const file = join(mesh.dir, "us-east.toml");
  const ports = Object.entries({ http, grpc, admin }).map(([name, port]) => `[${name}]\nport = ${port}`);
  writeFileSync(file, ['region = "us-east"', "[database]", `url = "${database}"`, ...ports].join("\n"));
  const books = join(mesh.dir, "provider");
  for (const words of [
    ["payment-provider", "--mesh", join(mesh.dir, "mesh.toml"), "--dir", books],
    ["up", "--config", file],
  ]) {
    const child = start(words);
    stack.defer(() => stopChild(child));
  }
  const connection = stack.use(await mesh.connect(tenant, "us-east", "projector"));
  const sql = postgres(database, { max: 1, onnotice: () => {} });
  stack.defer(() => sql.end());
  await until("the region is ready", async () => {
    const answer = await fetch(`http://127.0.0.1:${admin}/readyz`).catch(() => undefined);
    return answer?.ok === true;
  });
  const log = await openLog(connection, { log: "orders", home: "us-east", generation: 1 });
  const shards = Array.from({ length: log.shards }, (_, shard) => shard);
  const own = sql`checkpoints c join logs l on l.log = c.log where l.tenant = ${tenant} and l.home = 'us-east'`;
  const readers = async () => (await sql`select 1 from ${own}`).length;
  await until(
    "every reader has its checkpoints",
    async () => (await readers()) === (readModels.length + 1) * log.shards,
  );
  const opened = stack.move();
  return {
    http,
    token,
    async look() {
      const last = await Promise.all(shards.map(async (shard) => (await log.lastMessage(shard))?.sequence ?? 0));
      const rows = await sql`select min(c.sequence)::int4 as reached from ${own} group by c.shard order by c.shard`;
      const [orders] = await sql`select count(*)::int4 as settled from orders
        where status in ('approved', 'rejected', 'cancelled', 'in-review')`;
      return { last, reached: rows.map(({ reached }) => reached as number), settled: orders!.settled as number };
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

const start = (words: readonly string[]): ChildProcess =>
  spawn(process.execPath, [program, ...words], { stdio: ["ignore", "ignore", "ignore"] });

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + readyMs; performance.now() < end; await wait(100)) if (await holds()) return;
  throw new Error(`${readyMs} ms have passed, and not yet: ${what}`);
}
