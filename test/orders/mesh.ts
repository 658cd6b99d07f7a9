import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { type Logger, silent } from "../../mesh/logger.ts";
import { serve } from "../../mesh/requests.ts";
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
import type { Worker } from "../../orders/workers/worker.ts";
import type { EventStore } from "../../store/event-store.ts";
import { type NatsServer, startNats } from "../mesh/server.ts";
import { openRegion, type TestProcess, type TestRegion } from "../store/region.ts";

/** A region with a store, and a place for workers and a provider; each of these has a connection of its own. */
export interface Workshop extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly region: TestRegion;
  readonly process: TestProcess;
  provider(plan?: FaultPlan): Promise<AsyncDisposable>;
  /** In the place of a provider: answers every question with the text. */
  answering(text: () => string): Promise<AsyncDisposable>;
  /** As a person would; rejects with OrderError "not-allowed". */
  decideParked(id: string, command: Pick<ParkingCommand, "name" | "worker">): Promise<void>;
  worker(kind: OrderWorker, options?: WorkOptions): Promise<StartedWorker>;
  workers(...kinds: readonly OrderWorker[]): Promise<AsyncDisposable>;
  /** Records an order as the gateway does. */
  order(id: string, changes?: object): Promise<void>;
  /** Types of the order's events, without "order."; empty: none yet. */
  history(id: string): Promise<string[]>;
  /** The order's events, their data parsed. */
  events(id: string): Promise<{ type: string; data: unknown }[]>;
  ledger(): Promise<readonly LedgerLine[]>;
}

export interface WorkOptions {
  /** Stands between the worker and the store. */
  readonly wrap?: (store: EventStore, kill: () => Promise<void>) => EventStore;
  readonly logger?: Logger;
  readonly shards?: readonly number[];
  readonly paymentTimeoutMs?: number;
  /** Of the review worker. Default: those of a tenant that sets none. */
  readonly rules?: readonly ReviewRule[];
  /** Default: nobody has one. */
  readonly history?: ReviewOptions["history"];
}

export interface StartedWorker extends AsyncDisposable {
  readonly worker: Worker;
  /** As SIGKILL would: nothing more goes over its connection. */
  kill(): Promise<void>;
}

const starters = { payment: startPaymentWorker, review: startReviewWorker, saga: startSagaWorker } as const;
const allShards = [0, 1, 2, 3];

export async function openWorkshop(): Promise<Workshop> {
  const dir = await mkdtemp(join(tmpdir(), "meridian-orders-"));
  const ledgerFile = join(dir, "ledger.ndjson");
  const nats = await startNats();
  const region = await openRegion(nats.url);
  const process = await region.process();
  const { store } = process;
  const connect = (name: string): Promise<Connection> =>
    openConnection({ servers: [nats.url], name, region: "us-east", logger: silent });

  async function startOne(
    kind: OrderWorker,
    { wrap, logger = silent, shards = allShards, paymentTimeoutMs, ...own }: WorkOptions = {},
  ): Promise<StartedWorker> {
    const connection = await connect(kind);
    const stop = new AbortController();
    const kill = async () => {
      await connection.wire.nc.close();
      stop.abort();
    };
    const options: ReviewOptions = {
      connection,
      log: region.log.name,
      shards,
      store: wrap?.(store, kill) ?? store,
      tenant: "acme",
      region: "us-east",
      currency: "GBP",
      logger,
      signal: stop.signal,
      ackWaitMs: 1_000,
      paymentTimeoutMs,
      rules: own.rules ?? reviewRules(reviewDefaults),
      history: own.history ?? (async () => noHistory),
    };
    const worker = starters[kind](options);
    return {
      worker,
      kill,
      async [Symbol.asyncDispose]() {
        await worker[Symbol.asyncDispose]();
        await connection.close();
      },
    };
  }

  return {
    nats,
    region,
    process,
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
    async order(id, changes = {}) {
      const item = { product_code: "85123A", name: "LANTERN", unit_price: "2.50", quantity: 2 };
      const order = { order_id: id, customer_id: "1", items: [item], amount: "5.00", currency: "GBP", ...changes };
      const data = new TextEncoder().encode(JSON.stringify(order));
      const event = { id: `created-${id}`, type: "order.created", data };
      await store.append({ stream: `order-${id}`, expected: "no-stream", events: [event] });
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
      const service = serve(connection, paymentSubject("us-east"), {}, async () => new TextEncoder().encode(text()));
      return {
        async [Symbol.asyncDispose]() {
          await service[Symbol.asyncDispose]();
          await connection.close();
        },
      };
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
      await nats[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
