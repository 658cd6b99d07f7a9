import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Msg } from "nats";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { type LeaseOptions, type Leases, openLeases } from "../../mesh/lease.ts";
import { type Logger, silent } from "../../mesh/logger.ts";
import { reviewDefaults } from "../../mesh/review-settings.ts";
import { paymentSubject } from "../../mesh/subjects.ts";
import type { OrderWorker } from "../../orders/life.ts";
import { absentOrder, evolve } from "../../orders/order.ts";
import { decodeOrderEvent } from "../../orders/order-events.ts";
import { decideParking, type ParkingCommand } from "../../orders/parking.ts";
import { noHistory, type ReviewRule, reviewRules } from "../../orders/review.ts";
import { type LedgerLine, readLedger } from "../../orders/workers/ledger.ts";
import { startPaymentWorker } from "../../orders/workers/payment.ts";
import { openProvider } from "../../orders/workers/provider.ts";
import type { FaultPlan } from "../../orders/workers/provider-faults.ts";
import { type ReviewOptions, startReviewWorker } from "../../orders/workers/review.ts";
import { startSagaWorker } from "../../orders/workers/saga.ts";
import type { WorkerOptions } from "../../orders/workers/workbench.ts";
import type { Worker } from "../../orders/workers/worker.ts";
import type { EventStore, NewEvent } from "../../store/event-store.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { openRegion, type TestProcess, type TestRegion } from "../store/region.ts";

/** A region with a store, and a place for workers and a provider; each of these has a connection of its own. */
export interface Workshop extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly region: TestRegion;
  readonly process: TestProcess;
  /** Of the leases that workers share. */
  readonly bucket: string;
  provider(plan?: FaultPlan): Promise<AsyncDisposable>;
  /** In the place of a provider: answers every question with the text; undefined: never. */
  answering(text: (question: string) => string | undefined | Promise<string>): Promise<AsyncDisposable>;
  /** As a person would; rejects with OrderError "not-allowed". */
  decideParked(id: string, command: Pick<ParkingCommand, "name" | "worker">): Promise<void>;
  worker(kind: OrderWorker, options?: WorkOptions): Promise<StartedWorker>;
  workers(...kinds: readonly OrderWorker[]): Promise<AsyncDisposable>;
  /** Records an order as the gateway does. */
  order(id: string, changes?: object): Promise<void>;
  /** One that is cancelled as soon as it is there: both are in one batch. */
  cancelledOrder(id: string): Promise<void>;
  /** Types of the order's events, without "order."; empty: none yet. */
  history(id: string): Promise<string[]>;
  /** The order's events, their data parsed. */
  events(id: string): Promise<{ type: string; data: unknown }[]>;
  ledger(): Promise<readonly LedgerLine[]>;
}

export interface WorkOptions {
  /** Stands between the worker and the store. */
  readonly wrap?: (store: EventStore, kill: () => Promise<void>) => EventStore;
  /** Stands between the worker and everything outside. */
  readonly ports?: (ports: WorkerPorts, kill: () => Promise<void>) => WorkerPorts;
  /** Stands between the worker and its leases. */
  readonly doubting?: (leases: Leases) => Leases;
  readonly logger?: Logger;
  /** Ends the name of its lease bucket: it sees only the workers that have the same. */
  readonly apart?: string;
  readonly ackWaitMs?: number;
  readonly paymentTimeoutMs?: number;
  /** Of the review worker. Default: those of a tenant that sets none. */
  readonly rules?: readonly ReviewRule[];
  /** Default: nobody has one. */
  readonly history?: ReviewOptions["history"];
}

/** All that a worker has to do with. */
export type WorkerPorts = Pick<WorkerOptions, "connection" | "store">;

export interface WorkshopOptions {
  /** Of another workshop, whose region is beside this one's. */
  readonly nats?: NatsServer;
  readonly shards?: number;
}

export interface StartedWorker extends AsyncDisposable {
  readonly worker: Worker;
  /** As SIGKILL would: nothing more goes over its connection. */
  kill(): Promise<void>;
}

const starters = { payment: startPaymentWorker, review: startReviewWorker, saga: startSagaWorker } as const;
/** Who takes over from a worker that is gone need not wait for the 5 s of the product. */
export const shortLeases: LeaseOptions = { ttlMs: 1_500, renewMs: 400, marginMs: 300 };

function created(id: string, changes: object = {}): NewEvent {
  const item = { product_code: "85123A", name: "LANTERN", unit_price: "2.50", quantity: 2 };
  const order = { order_id: id, customer_id: "1", items: [item], amount: "5.00", currency: "GBP", ...changes };
  return { id: `created-${id}`, type: "order.created", data: new TextEncoder().encode(JSON.stringify(order)) };
}

export async function openWorkshop(given: WorkshopOptions = {}): Promise<Workshop> {
  const dir = await mkdtemp(join(tmpdir(), "meridian-orders-"));
  const ledgerFile = join(dir, "ledger.ndjson");
  const { shards = 4 } = given;
  const nats = given.nats ?? (await startNats({ storage: "4GB" }));
  const region = await openRegion(nats.url, { shards, bytesMax: 50 << 20 });
  const bucket = `workers-${region.log.name.log}`;
  const process = await region.process();
  const { store } = process;
  const connect = (name: string): Promise<Connection> =>
    openConnection({ servers: [nats.url], name, region: "us-east", logger: silent });

  async function startOne(
    kind: OrderWorker,
    {
      wrap,
      ports,
      paymentTimeoutMs,
      rules = reviewRules(reviewDefaults),
      history = async () => noHistory,
      doubting = (leases) => leases,
      logger = silent,
      apart = "",
      ackWaitMs = 1_000,
    }: WorkOptions = {},
  ): Promise<StartedWorker> {
    const connection = await connect(kind);
    const stop = new AbortController();
    const kill = async () => {
      await connection.wire.nc.close();
      stop.abort();
    };
    await using stack = new AsyncDisposableStack();
    stack.defer(connection.close);
    const own = { connection, store: wrap?.(store, kill) ?? store };
    const outside = ports?.(own, kill) ?? own;
    const options: ReviewOptions = {
      ...outside,
      leases: doubting(await openLeases(outside.connection, bucket + apart, shortLeases)),
      log: region.log.name,
      shards,
      tenant: "acme",
      region: "us-east",
      currency: "GBP",
      logger,
      signal: stop.signal,
      ackWaitMs,
      paymentTimeoutMs,
      rules,
      history,
    };
    const worker = stack.use(starters[kind](options));
    const opened = stack.move();
    return { worker, kill, [Symbol.asyncDispose]: () => opened.disposeAsync() };
  }

  return {
    nats,
    region,
    process,
    bucket,
    async provider(plan) {
      const connection = await connect("provider");
      const provider = await openProvider({ ledgerFile, version: "0.0.0", plan, logger: silent });
      await provider.serve("acme", connection);
      return {
        async [Symbol.asyncDispose]() {
          await provider[Symbol.asyncDispose]();
          await connection.close();
        },
      };
    },
    worker: startOne,
    async workers(...kinds) {
      const stack = new AsyncDisposableStack();
      for (const kind of kinds) stack.use(await startOne(kind));
      return stack;
    },
    async order(id, changes) {
      await store.append({ stream: `order-${id}`, expected: "no-stream", events: [created(id, changes)] });
    },
    async cancelledOrder(id) {
      const data = new TextEncoder().encode(JSON.stringify({ order_id: id, by: "Ada" }));
      const events = [created(id), { id: `cancel-${id}`, type: "order.cancel-requested", data }];
      await store.append({ stream: `order-${id}`, expected: "no-stream", events });
    },
    async history(id) {
      const types: string[] = [];
      for await (const { type } of store.readStream(`order-${id}`)) types.push(type.slice("order.".length));
      return types;
    },
    async events(id) {
      const events: { type: string; data: unknown }[] = [];
      for await (const { type, data } of store.readStream(`order-${id}`)) {
        events.push({ type, data: JSON.parse(new TextDecoder().decode(data)) });
      }
      return events;
    },
    async answering(text) {
      const connection = await connect("answering");
      const { nc } = connection.wire;
      const answer = async (message: Msg) => {
        const answered = await text(new TextDecoder().decode(message.data));
        if (answered !== undefined) message.respond(new TextEncoder().encode(answered));
      };
      nc.subscribe(paymentSubject("us-east"), { callback: (_, message) => void answer(message) });
      return { [Symbol.asyncDispose]: () => connection.close() };
    },
    async decideParked(id, command) {
      let state = absentOrder;
      let revision = -1;
      for await (const event of store.readStream(`order-${id}`)) {
        const decoded = decodeOrderEvent(event, { currency: "GBP" });
        if (decoded !== undefined) state = evolve(state, decoded);
        revision = event.revision;
      }
      const events = decideParking(state, { ...command, orderId: id, by: "Ada" }).map(({ type, data }) => ({
        id: crypto.randomUUID(),
        type,
        data: new TextEncoder().encode(JSON.stringify(data)),
      }));
      await store.append({ stream: `order-${id}`, expected: revision, events });
    },
    ledger: () => readLedger(ledgerFile),
    async [Symbol.asyncDispose]() {
      await process[Symbol.asyncDispose]();
      await region[Symbol.asyncDispose]();
      if (given.nats === undefined) await nats[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
