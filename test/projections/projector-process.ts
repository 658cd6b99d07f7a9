import { silent } from "../../mesh/logger.ts";
import { type Database, openDatabase } from "../../projections/database.ts";
import { caughtUp, run, withoutCopy } from "./projection.ts";
import { stepLog } from "./step-log.ts";

/**
 * A projector as a process of its own: `projector-process.ts URL archive|inserts|orders STEP before|after` (inserts: the archive
 * without COPY). It kills itself with
 * SIGKILL before it sends its statement number STEP, or once the database has done it but nobody has heard of it yet.
 * Without a step it projects everything, and exits with 0.
 */
const [url, projection, step, when] = process.argv.slice(2) as [
  string,
  "archive" | "inserts" | "orders",
  string?,
  string?,
];

let statements = 0;
async function stepwise<T>(act: () => Promise<T>): Promise<T> {
  statements += 1;
  const mine = statements === Number(step);
  if (mine && when === "before") process.kill(process.pid, "SIGKILL");
  const answer = await act();
  if (mine) process.kill(process.pid, "SIGKILL");
  return answer;
}

const database = openDatabase({ url, logger: silent });
const db: Database = {
  ...database,
  query: (...call) => stepwise(() => database.query(...call)),
  write: (...call) => stepwise(() => database.write(...call)),
  copy: (...call) => stepwise(() => database.copy(...call)),
};
const log = stepLog();
await using running = projection === "inserts" ? run(withoutCopy(db), log, "archive") : run(db, log, projection);
await caughtUp(running, log);
await database.close();
