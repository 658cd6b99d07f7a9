import { silent } from "../../mesh/logger.ts";
import { openDatabase } from "../../projections/database.ts";
import type { TestPostgres } from "./server.ts";

/** Terminates one backend of the product at random every few milliseconds until stopped; answers how many. */
export function terminateBackends(url: string, everyMs: number): () => Promise<number> {
  const admin = openDatabase({ url, application: "killer", logger: silent });
  let stopped = false;
  const kill = `select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'meridian' and datname = current_database() order by random() limit 1`;
  const done = (async () => {
    let kills = 0;
    while (!stopped) {
      kills += (await admin.query(kill).catch(() => [])).length;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 2 * everyMs));
    }
    await admin.close();
    return kills;
  })();
  return () => {
    stopped = true;
    return done;
  };
}

/** SIGKILL of the whole server, and up again, so many times. */
export async function crashServer(postgres: TestPostgres, times: number, apartMs: number): Promise<void> {
  for (let at = 0; at < times; at += 1) {
    await new Promise((resolve) => setTimeout(resolve, apartMs * (0.5 + Math.random())));
    await postgres.kill("SIGKILL");
    await postgres.restart();
  }
}
