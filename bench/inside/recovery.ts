import { setTimeout as wait } from "node:timers/promises";
import type { RecoveryResult } from "../cases/recovery.ts";
import type { Place } from "../stage.ts";
import { realStore } from "../target-store.ts";

/** Claims a shard by appending to it. Prints how quickly the index was rebuilt, and what it takes of the heap. */
const settings = JSON.parse(process.argv[2]!) as Place & { readonly count: number };
const { count } = settings;

function heapBytes(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}

const store = await realStore({ ...settings, projects: false });
const shard = () => store.status()[settings.log]![0] as { state: string; indexed: number };
const before = heapBytes();
const begun = performance.now();
// Not awaited: on a slow machine the claim takes longer than an append waits.
store
  .append({ stream: "after-1", expected: "any", events: [{ id: "e", type: "t", data: new Uint8Array(1) }] })
  .catch(() => {});
while (shard().state !== "owner") await wait(2);
const eventsPerSecond = count / ((performance.now() - begun) / 1000);
// All were read; of the oldest it forgets what is more than it may begin with.
const { indexed } = shard();
if (indexed < 1) throw new Error("the index is empty: the archive has the log already");
const result: RecoveryResult = { eventsPerSecond, bytesPerStream: (heapBytes() - before) / indexed };
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
