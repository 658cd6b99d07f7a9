import { openConnection } from "../../mesh/connection.ts";
import { silent } from "../../mesh/logger.ts";
import { openLog } from "../../mesh/streams.ts";
import type { ReadResult } from "../cases/read-log.ts";
import type { Place } from "../stage.ts";
import { realStore } from "../target-store.ts";

/** Reads a whole log once through the event store, then its messages alone. Prints events a second of both. */
const settings = JSON.parse(process.argv[2]!) as Place & { readonly count: number };
const { count } = settings;

async function timed(read: () => Promise<number>): Promise<number> {
  const begun = performance.now();
  const events = await read();
  if (events < count) throw new Error(`${events} of ${count} were read`);
  return count / ((performance.now() - begun) / 1000);
}

const store = await realStore({ ...settings, projects: false });
const eventsPerSecond = await timed(async () => {
  let events = 0;
  for await (const item of store.readLog()) if (item.kind === "event") events++;
  return events;
});
const connection = await openConnection({ servers: [settings.nats], name: "bench", region: "us-east", logger: silent });
const log = await openLog(connection, { log: settings.log, home: "us-east", generation: 1 });
const { lastSequence } = await log.state();
const undecodedPerSecond = await timed(async () => {
  let last = 0;
  for await (const message of log.readAll({ from: 1, to: lastSequence })) last = message.sequence;
  return last === lastSequence ? count : 0;
});
const result: ReadResult = { eventsPerSecond, undecodedPerSecond };
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
