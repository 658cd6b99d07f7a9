import { createChain } from "../../store/chain/chain.ts";
import { hashShard } from "../../store/ids.ts";
import type { Position } from "../../store/position.ts";
import { eventually } from "../mesh/eventually.ts";
import { event, openRegion, type TestProcess, type TestRegion } from "../store/region.ts";
import { startBroker } from "./broker.ts";
import { startClients } from "./clients.ts";
import { doHarm, type Slot, startSlot } from "./faults.ts";
import { type Attempt, faultsOf, type Recorded } from "./history.ts";
import { createRandom } from "./random.ts";

export interface Outcome {
  /** Empty: nothing that the store answered was wrong. */
  readonly faults: readonly string[];
  readonly harms: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

/**
 * Several clients do random things to three processes of a region while they and what they need are harmed at random;
 * afterwards the whole log is read back, and every answer is held against it. The seed gives the order of everything that
 * is decided here; real servers and timers take part, so a run with the same seed is alike, not the same. `replicas`: 3 on
 * a cluster of three servers.
 */
export async function runModel(seed: number, seconds: number, replicas: 1 | 3 = 1): Promise<Outcome> {
  await using broker = await startBroker(replicas);
  await using region = await openRegion(broker.urls, { shards: 4, bytesMax: 1 << 30, replicas });
  await using stack = new AsyncDisposableStack();
  const slots: Slot[] = [];
  for (let at = 0; at < 3; at++) {
    const slot = await startSlot(region, broker.ports);
    slots.push(slot);
    stack.defer(async () => {
      await slot.process?.[Symbol.asyncDispose]();
      await slot.proxy[Symbol.asyncDispose]();
    });
  }
  // One process is never harmed by name, so that there is always somebody to ask.
  const steady = stack.use(await region.process({ leases: { ttlMs: 1_500, renewMs: 300, marginMs: 200 } }));
  const processes = () => [steady, ...slots.flatMap(({ process }) => process ?? [])];
  const stop = new AbortController();
  const clients = startClients({
    lanes: 8,
    random: (lane) => createRandom(seed * 1_000 + lane),
    processes,
    untilMs: performance.now() + seconds * 1_000,
  });
  const watching = new AbortController();
  const watchers = [0, 1].map((number) => watch(createRandom(seed * 1_000 + 500 + number), processes, watching.signal));
  const harming = doHarm(createRandom(seed), { region, broker, slots, stop: stop.signal });
  await clients.done;
  stop.abort();
  const harms = await harming;
  await broker.settled(region);
  // An append whose caller was told that its outcome is unknown may be recorded yet: only then is the log at its end.
  for (const slot of slots) {
    await slot.process?.[Symbol.asyncDispose]();
    slot.process = undefined;
  }
  const last = await closeShards(steady, region);
  const log = await readLog(region);
  for (const watcher of watchers) await watcher.reached(log.events.length);
  watching.abort();
  const subscriptions = await Promise.all(watchers.map(({ seen }) => seen));
  const { reads } = clients;
  const attempts = [...clients.attempts, ...last];
  const faults = [...log.faults, ...faultsOf(log.events, { attempts, reads, subscriptions })];
  const counts: Record<string, number> = { events: log.events.length, reads: reads.length };
  for (const { outcome } of attempts) {
    const kind = outcome.kind === "recorded" && outcome.repeated ? "repeated" : outcome.kind;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return { faults, harms, counts };
}

/** An append to each shard by the only process that is left: when it is acknowledged, so is or never will be all before it. */
async function closeShards({ store }: TestProcess, { log: { shards } }: TestRegion): Promise<Attempt[]> {
  const streams = new Map<number, string>();
  for (let at = 0; streams.size < shards; at++) streams.set(hashShard(`end-${at}`, shards), `end-${at}`);
  const close = async (stream: string): Promise<Attempt> => {
    const invokedMs = performance.now();
    const append = () => store.append({ stream, expected: "any", events: [event("end")] });
    const { firstRevision, lastRevision } = await eventually(`${stream} is recorded`, append, 30_000);
    return {
      parts: [{ stream, ids: ["end"], expected: "any" }],
      outcome: { kind: "recorded", revisions: [[firstRevision, lastRevision]], repeated: false },
      invokedMs,
      returnedMs: performance.now(),
    };
  };
  return await Promise.all([...streams.values()].map(close));
}

interface Watcher {
  /** Waits until so many events have come, for a while. */
  reached(events: number): Promise<void>;
  readonly seen: Promise<readonly Recorded[]>;
}

/** Follows everything; goes over to another process now and then, and resumes where it was. */
function watch(
  random: ReturnType<typeof createRandom>,
  processes: () => readonly TestProcess[],
  signal: AbortSignal,
): Watcher {
  const seen: Recorded[] = [];
  const places = new Map<number, Position>();
  async function follow(): Promise<void> {
    const turn = new AbortController();
    const timer = setTimeout(() => turn.abort(), 500 + random.below(2_500));
    const both = AbortSignal.any([turn.signal, signal]);
    try {
      const { store } = random.pick(processes());
      for await (const notice of store.subscribe({ from: [...places.values()], signal: both })) {
        if (notice.kind !== "event") continue;
        const { stream, id, revision, position } = notice.event;
        seen.push({ stream, id, revision, shard: position.shard, sequence: position.sequence });
        places.set(position.shard, position);
      }
    } catch {
      // The process or the broker went away: it resumes elsewhere.
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      clearTimeout(timer);
    }
  }
  return {
    async reached(events) {
      const end = performance.now() + 20_000;
      while (seen.length < events && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
    },
    seen: (async () => {
      while (!signal.aborted) await follow();
      return seen;
    })(),
  };
}

/** The whole log through the chain, shard by shard. */
async function readLog({ log }: TestRegion): Promise<{ events: Recorded[]; faults: string[] }> {
  const events: Recorded[] = [];
  const faults: string[] = [];
  for (let shard = 0; shard < log.shards; shard++) {
    const last = await log.lastMessage(shard);
    if (last === undefined) continue;
    const chain = createChain(log.identity, shard, 0);
    for await (const message of log.read(shard, { from: 1, to: last.sequence })) {
      const next = chain.next(message);
      if (!("batch" in next)) faults.push(`message ${message.sequence} is not in the chain: ${next.stray}`);
      else {
        const { sequence } = message;
        for (const { stream, id, revision } of next.batch.events)
          events.push({ stream, id, revision, shard, sequence });
      }
    }
  }
  return { events, faults };
}
