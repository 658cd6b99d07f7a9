import { ok, deepStrictEqual as same } from "node:assert/strict";
import type { NatsConnection } from "nats";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { silent } from "../../mesh/logger.ts";
import { request } from "../../mesh/requests.ts";
import { paymentService, paymentSubject } from "../../mesh/subjects.ts";
import { decodePaymentAnswer, encodePayment, type PaymentAnswer, type PaymentRequest } from "../../orders/payments.ts";
import { retry } from "../../orders/workers/retry.ts";
import { collect } from "../mesh/collect.ts";

/**
 * What orders/PAYMENTS.md promises, asked of a provider in any language. It asks as our workers do: no answer and an error
 * in its place mean that the same is asked again. Nothing of it knows which orders a provider declines.
 */
export interface Asker extends AsyncDisposable {
  readonly tenant: string;
  readonly region: string;
  readonly connection: Connection;
  ask(question: PaymentRequest): Promise<PaymentAnswer>;
  askBytes(bytes: Uint8Array): Promise<PaymentAnswer>;
  /** A question about an order that no other run has asked about. */
  question(changes?: Partial<PaymentRequest>): PaymentRequest;
  /** The question of a charge that the provider has made. */
  charged(): Promise<PaymentRequest>;
}

export interface AskerOptions {
  readonly server: string;
  readonly tenant: string;
  readonly region: string;
  /** Of the role `worker`. */
  readonly credentials?: string;
  /** No order of two runs has the same id. */
  readonly run: string;
  readonly timeoutMs?: number;
}

export async function openAsker(options: AskerOptions): Promise<Asker> {
  const { server, tenant, region, credentials, run, timeoutMs = 5_000 } = options;
  const name = "provider contract";
  const connection = await openConnection({ servers: [server], credentials, name, region, logger: silent });
  const { signal } = new AbortController();
  let orders = 0;
  const askBytes = (bytes: Uint8Array) =>
    retry(async () => decodePaymentAnswer(await request(connection, paymentSubject(region), bytes, { timeoutMs })), {
      signal,
    });
  const question: Asker["question"] = (changes = {}) => {
    const order_id = `contract-${run}-${++orders}`;
    const key = `${tenant}/${region}/${order_id}/payment/1`;
    return { tenant, kind: "charge", key, order_id, amount: "12.50", currency: "GBP", ...changes };
  };
  const ask = (one: PaymentRequest) => askBytes(encodePayment(one));
  return {
    ...{ tenant, region, connection, ask, askBytes, question },
    async charged() {
      for (let tries = 0; tries < 50; tries++) {
        const one = question();
        if ((await ask(one)).outcome === "charged") return one;
      }
      throw new Error("of 50 orders the provider has charged none: it must charge some for this to be tried");
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

export const refused = (reason: string): PaymentAnswer => ({ outcome: "refused", reason, reference: "" });
const bytes = (text: string) => new TextEncoder().encode(text);

/** A sentence, and how it is tried; what does not hold is thrown as an AssertionError. */
export const contract: readonly (readonly [string, (asker: Asker) => Promise<void>])[] = [
  [
    "a charge is charged or declined, with a reference that is its own",
    async ({ ask, question }) => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => ask(question())));
      for (const { outcome, reference } of answers) {
        ok(outcome === "charged" || outcome === "declined", `a charge was answered with "${outcome}"`);
        ok(reference !== "", `${outcome} without a reference`);
      }
      same(new Set(answers.map(({ reference }) => reference)).size, answers.length, "references must differ");
    },
  ],
  [
    "the same question gets the same answer, again and at once",
    async ({ ask, question, charged }) => {
      const one = await charged();
      const answers = await Promise.all(Array.from({ length: 30 }, () => ask(one)));
      const fresh = question();
      const raced = await Promise.all(Array.from({ length: 30 }, () => ask(fresh)));
      for (const list of [answers, raced]) for (const answer of list) same(answer, list[0]);
    },
  ],
  [
    "a key stands for one order, amount and currency, and refuses any other with key-reused",
    async ({ ask, charged }) => {
      const one = await charged();
      const first = await ask(one);
      for (const changes of [{ amount: "12.51" }, { currency: "EUR" }, { order_id: "contract-other" }]) {
        for (const kind of ["charge", "refund", "void"] as const) {
          same(await ask({ ...one, kind, ...changes }), refused("key-reused"), JSON.stringify({ kind, ...changes }));
        }
      }
      same(await ask(one), first);
    },
  ],
  [
    "a refund gives back what was charged, once; without a charge it is refused with not-charged",
    async ({ ask, question, charged }) => {
      const one = await charged();
      const charge = await ask(one);
      const refund = await ask({ ...one, kind: "refund" });
      same(refund.outcome, "refunded");
      ok(refund.reference !== "" && refund.reference !== charge.reference, "a refund has a reference of its own");
      same(await ask({ ...one, kind: "refund" }), refund);
      same(await ask(one), charge, "the charge is answered as before");
      same(await ask(question({ kind: "refund" })), refused("not-charged"));
    },
  ],
  [
    "a void of a key that is free blocks it for ever",
    async ({ ask, question }) => {
      const one = question();
      const voided = await ask({ ...one, kind: "void" });
      same(voided.outcome, "voided");
      same(await ask({ ...one, kind: "void" }), voided);
      same(await ask(one), refused("voided"));
      same(await ask({ ...one, kind: "refund" }), refused("not-charged"));
    },
  ],
  [
    "a void of a key that is charged refunds it, and blocks it for ever",
    async ({ ask, charged }) => {
      const one = await charged();
      const voided = await ask({ ...one, kind: "void" });
      same(voided.outcome, "refunded");
      same(await ask({ ...one, kind: "void" }), voided);
      same(await ask({ ...one, kind: "refund" }), voided, "given back already: the same answer");
      same(await ask(one), refused("voided"));
    },
  ],
  [
    "what is no request is refused as malformed, and members that it does not know are passed over",
    async ({ ask, askBytes, question, tenant }) => {
      for (const text of ["", "charge", "[]", "null", "{", '{"kind":"charge"}']) {
        same(await askBytes(bytes(text)), refused("malformed"), text);
      }
      const one = question();
      for (const changes of [
        { kind: "transfer" as "charge" },
        ...[{ amount: "12.5" }, { amount: "12" }, { amount: "-1.00" }, { amount: "1e2" }, { amount: "" }],
        ...[{ amount: 12.5 as unknown as string }, { currency: "gbp" }, { order_id: "" }, { key: "" }],
        ...[{ tenant: "somebody" }, { key: one.key.replace(tenant, "somebody") }, { key: one.order_id }],
      ]) {
        same(await ask({ ...one, ...changes }), refused("malformed"), JSON.stringify(changes));
      }
      const more = encodePayment({ ...one, note: "of a later version" } as PaymentRequest);
      ok(["charged", "declined"].includes((await askBytes(more)).outcome));
    },
  ],
];

/** A stock client with an observer's rights, as `nats micro` is one: the service is found, under its name, subject and queue group. */
export async function tryDiscovery(observer: NatsConnection, region: string): Promise<void> {
  const { name, endpoint, queue } = paymentService;
  const client = observer.services.client();
  ok((await collect(client.ping(name))).length > 0, `nobody answers to the ping of a service called ${name}`);
  for (const { version, endpoints } of await collect(client.info(name))) {
    ok(/^\d+\.\d+\.\d+/.test(version), `version ${version} must be a semantic version`);
    const found = endpoints?.find((one) => one.name === endpoint);
    same(
      { subject: found?.subject, queue_group: found?.queue_group },
      { subject: paymentSubject(region), queue_group: queue },
    );
  }
  ok((await collect(client.stats(name))).length > 0, "it must say how it does");
}
