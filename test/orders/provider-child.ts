/**
 * A payment provider in a process of its own. Whoever preloads `dying.ts` has it die at its n-th step; it says what its steps
 * are when it is told to end.
 */
import { openConnection } from "../../mesh/connection.ts";
import { silent } from "../../mesh/logger.ts";
import { openProvider } from "../../orders/workers/provider.ts";

const [url, region, ledgerFile] = process.argv.slice(2) as [string, string, string];
const connection = await openConnection({ servers: [url], name: "provider", region, logger: silent });
const provider = await openProvider({ ledgerFile, version: "0.0.0", logger: silent });
await provider.serve("acme", connection);
process.stdout.write("ready\n");
process.once("SIGTERM", async () => {
  await provider[Symbol.asyncDispose]();
  await connection.close();
  // As a command ends: a limit of what is over must not be waited for.
  process.exit(0);
});
