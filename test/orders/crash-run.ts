import { expect } from "bun:test";
import type { OrderWorker } from "../../orders/life.ts";
import { orderWorkers } from "../../orders/life.ts";
import { auditLedger } from "../../orders/workers/ledger-audit.ts";
import { declines, type FaultPlan, faultless } from "../../orders/workers/provider-faults.ts";
import { eventually } from "../mesh/eventually.ts";
import { createCrash } from "./crash.ts";
import { approved, enormous, isDone, reaches, refunded, unpaid } from "./histories.ts";
import { openWorkshop, type Workshop } from "./mesh.ts";

/**
 * A worker dies at its n-th step while it carries an order, another one takes over, and the order and the ledger must be as if
 * nothing had been; for every n, before and after the step has had its effect, until a worker gets through without dying.
 */
export interface Journey {
  readonly worker: OrderWorker;
  readonly name: string;
  readonly declined: boolean;
  begin(shop: Workshop, id: string): Promise<void>;
  readonly history: readonly string[];
  /** Outcomes in the provider's ledger. */
  readonly books: readonly string[];
}

const stands = {
  ...{ name: "is approved", declined: false, history: approved, books: ["charged"] },
  begin: (shop: Workshop, id: string) => shop.order(id),
};
const declined = {
  ...{ name: "is declined", declined: true, history: unpaid, books: ["declined"] },
  begin: (shop: Workshop, id: string) => shop.order(id),
};
const refused = {
  ...{
    name: "is refused, and its money given back",
    declined: false,
    history: refunded,
    books: ["charged", "refunded"],
  },
  begin: (shop: Workshop, id: string) => shop.order(id, enormous),
};
const cancelled = {
  ...{ name: "is cancelled before it is paid", declined: false, books: ["voided"] },
  history: ["created", "cancel-requested", "payment-voided", "cancelled"],
  begin: (shop: Workshop, id: string) => shop.cancelledOrder(id),
};

export const journeys: readonly Journey[] = [
  { worker: "payment", ...stands },
  { worker: "payment", ...declined },
  { worker: "payment", ...cancelled },
  { worker: "review", ...stands },
  { worker: "review", ...refused },
  { worker: "saga", ...declined },
  { worker: "saga", ...refused },
  { worker: "saga", ...cancelled },
];

/** Slow enough that a worker must say that it is still at work. */
export const slow: FaultPlan = { ...faultless, latencyMs: { min: 250, max: 250 } };

export interface CrashOptions {
  /** Of all points each `stride`-th, from the `first` on; 1 and 0: all. */
  readonly stride: number;
  readonly first: number;
  /** Side by side. */
  readonly lanes: number;
}

export interface CrashOutcome {
  readonly crashes: number;
  /** Where it died, each named once. */
  readonly steps: ReadonlySet<string>;
}

/** Whose region is `home`'s neighbour on the same server; `home` has the provider. */
export async function crashEverywhere(home: Workshop, journey: Journey, options: CrashOptions): Promise<CrashOutcome> {
  const { stride, first, lanes } = options;
  const steps = new Set<string>();
  let next = first;
  let crashes = 0;
  let through = false;
  const id = idsOf(home, journey);
  async function lane(): Promise<void> {
    await using shop = await openWorkshop({ nats: home.nats, shards: 1 });
    await using _others = await shop.workers(...orderWorkers.filter((kind) => kind !== journey.worker));
    while (!through) {
      const point = next;
      next += stride;
      const died = await crashOnce({ home, shop, journey, id: id() }, point);
      if (died === undefined) through = true;
      else {
        steps.add(died);
        crashes++;
      }
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane));
  return { crashes, steps };
}

interface Voyage {
  readonly home: Workshop;
  readonly shop: Workshop;
  readonly journey: Journey;
  readonly id: string;
}

/** The step at which it died; undefined: it got through. */
async function crashOnce(voyage: Voyage, point: number): Promise<string | undefined> {
  const { shop, journey, id } = voyage;
  const { worker, history } = journey;
  const at = Math.floor(point / 2) + 1;
  const when = point % 2 === 0 ? "before" : "after";
  const crash = createCrash(at, when);
  const whole = async () => (await shop.history(id)).length === history.length && (await isDone(shop, worker));
  try {
    await journey.begin(shop, id);
    await live(voyage, crash, whole);
    await using _next = crash.crashed() ? await shop.worker(worker) : undefined;
    await reaches(shop, id, history);
    await eventually("all is acknowledged", whole);
    await expectBooks(voyage);
  } catch (cause) {
    const text = `a ${worker} worker that dies ${when} step ${at} (${crash.steps[at - 1]}) of an order that ${journey.name}`;
    throw new Error(`${text}; it did: ${crash.steps.join(", ")}`, { cause });
  }
  return crash.crashed() ? crash.steps[at - 1] : undefined;
}

/** It dies, or does all that there is to do and leaves in order. */
async function live(
  { shop, journey }: Voyage,
  crash: ReturnType<typeof createCrash>,
  whole: () => Promise<boolean>,
): Promise<void> {
  const starting = shop.worker(journey.worker, { ports: crash.ports, ackWaitMs: 600 });
  const one = await starting.catch((error: unknown) => {
    if (!crash.crashed()) throw error;
  });
  if (one === undefined) return;
  await using _ = one;
  await eventually("it dies, or is done", async () => crash.crashed() || (await whole()), 20_000);
}

async function expectBooks({ home, journey, id }: Voyage): Promise<void> {
  const lines = await home.ledger();
  const outcomes = lines.filter((line) => line.order_id === id).map(({ outcome }): string => outcome);
  expect([id, outcomes]).toEqual([id, [...journey.books]]);
  expect(auditLedger(lines).violations).toEqual([]);
}

/** Names that no other order of the server has, as its provider's ledger is one, and that the provider takes as it should. */
function idsOf({ region }: Workshop, journey: Journey): () => string {
  let count = 0;
  const prefix = `${region.log.name.log}-${journeys.indexOf(journey)}`;
  return () => {
    for (;;) {
      const id = `${prefix}-${count++}`;
      if (declines(faultless, id) === journey.declined) return id;
    }
  };
}
