/** A program of its own for the supervisor's test: starts two processes, prints their pids, and waits to be killed. */
import { createSupervisor } from "../../cli/demo/supervisor.ts";

const supervisor = createSupervisor(process.argv[2]!);
const spec = { command: "sleep", args: ["1000"], ready: async () => {} };
await supervisor.start([
  { name: "one", ...spec },
  { name: "two", ...spec },
]);
process.stdout.write(`${JSON.stringify(supervisor.list().map((one) => one.pid))}\n`);
setInterval(() => {}, 1_000);
