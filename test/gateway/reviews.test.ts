import { expect, test } from "bun:test";
import type { ReviewDocument } from "../../gateway/reviews.ts";
import { createCommanding, toReview } from "./commanding.ts";
import { problemIn } from "./harness.ts";
import { recordLastAt } from "./memory-store.ts";

interface Page {
  reviews: ReviewDocument[];
  cursor?: string;
}

/** A harness in which rules ask persons; its reviews have an hour, and another one. */
async function createReviewing() {
  const commanding = await createCommanding();
  const { store, call } = commanding;
  let events = 0;
  const record = (id: string, type: string, data: object, home?: string) => {
    const event = { id: `e-${events++}`, type, data: Buffer.from(JSON.stringify({ order_id: id, ...data })) };
    return store.append({ stream: `order-${id}`, expected: "any", events: [event], home });
  };
  return {
    ...commanding,
    record,
    async ask(id: string, home = "us-east") {
      await commanding.placeAt(home, id, "order.payment-debited");
      await record(id, "order.review-requested", { reason: "amount-limit", detail: "35.64 is above 30.00" }, home);
    },
    async listed(query = "") {
      const response = await call(`/v1/reviews${query}`);
      if (response.status !== 200) throw new Error(await response.text());
      return (await response.json()) as Page;
    },
  };
}

const msOf = (time: string | undefined) => Date.parse(time!);

test("orders in review are listed with why, since when and by when; who is decided about is listed no longer", async () => {
  const { ask, listed, record, done } = await createReviewing();
  await ask("R1");
  const [review] = (await listed()).reviews;
  expect(review).toMatchObject({
    ...{ order_id: "R1", region: "us-east", customer_id: "17850", amount: "35.64", currency: "GBP", revision: 2 },
    ...{ reason: "amount-limit", detail: "35.64 is above 30.00" },
  });
  expect(review).not.toContainKey("escalated_at");
  expect(msOf(review!.deadline) - msOf(review!.since)).toBe(2 * 3_600_000);
  await record("R1", "order.overdue", { status: "in-review" });
  const [late] = (await listed()).reviews;
  expect(late!.since).toBe(review!.since);
  expect(msOf(late!.deadline) - msOf(late!.escalated_at)).toBe(3_600_000);
  await done("R1/review", { decision: "approve", by: "Ada" });
  expect(await listed()).toEqual({ reviews: [] });
});

test("pages follow each other oldest first, by home region; what is asked wrongly is named", async () => {
  const { ask, listed, call, store } = await createReviewing();
  for (const [at, home] of ["us-east", "eu-west", "us-east"].entries()) {
    await ask(`P${at}`, home);
    recordLastAt(store.logs, 1_700_000_000_000_000 + at);
  }
  const ids = ({ reviews }: Page) => reviews.map(({ order_id }) => order_id);
  const first = await listed("?limit=2");
  expect(ids(first)).toEqual(["P0", "P1"]);
  expect(ids(await listed(`?limit=2&cursor=${first.cursor}`))).toEqual(["P2"]);
  expect(ids(await listed("?region=eu-west"))).toEqual(["P1"]);
  for (const query of ["region=mars", "limit=0", "limit=201", "cursor=x", "status=paid"]) {
    const problem = await problemIn(await call(`/v1/reviews?${query}`));
    expect([query, problem.type]).toEqual([query, "/problems/invalid-parameter"]);
    expect(problem.errors![0]!.pointer).toBe(`/${query.split("=")[0]}`);
  }
});

test("looking needs the scope orders:read, and no tenant sees another's", async () => {
  const { place, call, mint } = await createCommanding();
  await place("T1", ...toReview);
  const decide = await mint("acme", ["orders:decide"]);
  expect((await problemIn(await call("/v1/reviews", { token: decide }))).detail).toContain("orders:read");
  const stranger = await call("/v1/reviews", { token: await mint("globex") });
  expect(await stranger.json()).toEqual({ reviews: [] });
});
