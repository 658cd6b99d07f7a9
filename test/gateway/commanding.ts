import type { CommandName, OrderStatus } from "../../orders/life.ts";
import type { OrderEventType } from "../../orders/order-events.ts";
import { createHarness, type Harness, order } from "./harness.ts";

/** What a command answers. */
export interface Commanded {
  order_id: string;
  region: string;
  status: OrderStatus;
  revision: number;
  position: string;
  allowed: CommandName[];
  repeated: boolean;
}

export interface Commanding extends Harness {
  /** Takes an order and moves it on by events of these types, as the workers would. */
  place(id: string, ...types: readonly OrderEventType[]): Promise<void>;
  /** The same in another home. */
  placeAt(home: string, id: string, ...types: readonly OrderEventType[]): Promise<void>;
  move(id: string, type: OrderEventType, home?: string): Promise<void>;
  command(path: string, body?: unknown, init?: { headers?: Record<string, string>; token?: string }): Promise<Response>;
  /** The same where it succeeds. */
  done(path: string, body?: unknown, headers?: Record<string, string>): Promise<Commanded>;
  types(id: string): string[];
}

const key = "charge-1";

/** A harness with words for orders on their way. */
export async function createCommanding(): Promise<Commanding> {
  const harness = await createHarness();
  const { store, post, call } = harness;
  let events = 0;
  const commanding: Commanding = {
    ...harness,
    place: (id, ...types) => commanding.placeAt("us-east", id, ...types),
    async placeAt(region, id, ...types) {
      const taken = await post({ ...order, order_id: id, region });
      if (taken.status !== 201) throw new Error(await taken.text());
      for (const type of types) await commanding.move(id, type, region);
    },
    async move(id, type, home) {
      const data = Buffer.from(JSON.stringify({ order_id: id, key }));
      const event = { id: `moved-${events++}`, type, data };
      await store.append({ stream: `order-${id}`, expected: "any", events: [event], home });
    },
    command(path, body, { headers = {}, token } = {}) {
      const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
      const type: Record<string, string> = text === undefined ? {} : { "content-type": "application/json" };
      return call(`/v1/orders/${path}`, { method: "POST", headers: { ...type, ...headers }, body: text, token });
    },
    async done(path, body, headers) {
      const response = await commanding.command(path, body, { headers });
      if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      const answer = (await response.json()) as Commanded;
      if (response.headers.get("etag") !== `"${answer.revision}"`) throw new Error(`${path}: another ETag`);
      if ((response.headers.get("idempotency-replayed") === "true") !== answer.repeated) {
        throw new Error(`${path}: Idempotency-Replayed does not say what the answer says`);
      }
      return answer;
    },
    types: (id) => store.logs.events.filter(({ stream }) => stream === `order-${id}`).map(({ type }) => type),
  };
  return commanding;
}

/** How an order comes to wait for a person. */
export const toReview = ["order.payment-debited", "order.review-requested"] as const;
export const toApproved = ["order.payment-debited", "order.approved"] as const;
