import { type ExpectedRevision, StoreError } from "../../store/error.ts";
import type { AppendRequest } from "../../store/event-store.ts";
import { event, type TestProcess } from "../store/region.ts";
import type { Attempt, Part, Read } from "./history.ts";
import type { Random } from "./random.ts";

/** What the clients of a run did and saw. */
export interface Clients {
  readonly attempts: Attempt[];
  readonly reads: Read[];
  /** Resolves when `until` has passed and every call under way has been answered. */
  readonly done: Promise<void>;
}

export interface ClientsOptions {
  readonly lanes: number;
  readonly random: (lane: number) => Random;
  /** The processes that take requests now; a client goes to any of them, also with a repeat. */
  readonly processes: () => readonly TestProcess[];
  readonly untilMs: number;
}

const hot = Array.from({ length: 10 }, (_, at) => `hot-${at}`);
const pairs = Array.from({ length: 4 }, (_, at) => [`left-{${at}}`, `right-{${at}}`] as const);

/** Refusals after which it is known that this attempt recorded nothing. */
const definite = new Set(["wrong-revision", "already-exists", "invalid"]);

export function startClients(options: ClientsOptions): Clients {
  const attempts: Attempt[] = [];
  const reads: Read[] = [];
  /** Last revision of a stream that somebody heard of. */
  const heard = new Map<string, number>();
  let names = 0;

  function guess(random: Random, stream: string): ExpectedRevision {
    const last = heard.get(stream) ?? -1;
    const right = last < 0 ? "no-stream" : last;
    const stale = Math.max(0, last - 1 - random.below(3));
    return random.pick<ExpectedRevision>([
      right,
      right,
      right,
      right,
      "any",
      "any",
      stale,
      "no-stream",
      "stream-exists",
    ]);
  }

  function part(random: Random, stream: string): Part {
    const ids = Array.from({ length: 1 + random.below(3) }, () => `e${names++}`);
    return { stream, expected: guess(random, stream), ids };
  }

  function newParts(random: Random, gateway: TestProcess): readonly Part[] {
    const choice = random.next();
    if (choice < 0.12) return random.pick(pairs).map((stream) => part(random, stream));
    const stream = choice < 0.25 ? `order-${gateway.store.mint()}` : random.pick(hot);
    return [part(random, stream)];
  }

  async function attempt(gateway: TestProcess, parts: readonly Part[]): Promise<void> {
    const invokedMs = performance.now();
    const outcome = await append(gateway, parts).catch(outcomeOf);
    attempts.push({ parts, outcome, invokedMs, returnedMs: performance.now() });
    if (outcome.kind === "refused" && outcome.actual !== undefined) heard.set(outcome.stream!, outcome.actual);
    if (outcome.kind !== "recorded") return;
    for (const [at, { stream }] of parts.entries()) {
      heard.set(stream, Math.max(heard.get(stream) ?? -1, outcome.revisions[at]![1]));
    }
  }

  async function read(gateway: TestProcess, stream: string): Promise<void> {
    const invokedMs = performance.now();
    try {
      const events = await Array.fromAsync(gateway.store.readStream(stream));
      reads.push({ stream, ids: events.map(({ id }) => id), invokedMs, returnedMs: performance.now() });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code === "not-found") reads.push({ stream, ids: [], invokedMs, returnedMs: performance.now() });
    }
  }

  async function lane(random: Random): Promise<void> {
    const mine: (readonly Part[])[] = [];
    while (performance.now() < options.untilMs) {
      const gateway = random.pick(options.processes());
      const choice = random.next();
      if (choice < 0.15) await read(gateway, random.pick(hot));
      else if (choice < 0.3 && mine.length > 0)
        await attempt(gateway, mine[Math.max(0, mine.length - 1 - random.below(5))]!);
      else {
        const parts = newParts(random, gateway);
        mine.push(parts);
        await attempt(gateway, parts);
      }
      await new Promise((resolve) => setTimeout(resolve, random.below(8)));
    }
  }
  const lanes = Array.from({ length: options.lanes }, (_, at) => lane(options.random(at)));
  return { attempts, reads, done: Promise.all(lanes).then(() => {}) };
}

async function append({ store }: TestProcess, parts: readonly Part[]): Promise<Attempt["outcome"]> {
  const requests = parts.map(
    ({ stream, expected, ids }): AppendRequest => ({ stream, expected, events: ids.map((id) => event(id)) }),
  );
  const results = requests.length === 1 ? [await store.append(requests[0]!)] : await store.appendStreams(requests);
  const revisions = results.map((result) => [result.firstRevision, result.lastRevision] as const);
  return { kind: "recorded", repeated: results[0]!.repeated, revisions };
}

function outcomeOf(error: unknown): Attempt["outcome"] {
  if (!(error instanceof StoreError)) throw error;
  if (!definite.has(error.code)) return { kind: "unknown" };
  const { stream, actual } = error.details;
  return {
    kind: "refused",
    code: error.code,
    ...(actual === undefined ? {} : { stream, actual }),
  } as Attempt["outcome"];
}
