import { expect, test } from "bun:test";
import { StoreError } from "../../store/error.ts";
import { mintId } from "../../store/ids.ts";
import { createCommanding, toApproved, toReview } from "./commanding.ts";
import { createHarness, order, problemIn } from "./harness.ts";

/** Commands to a gateway of us-east for orders whose home is another region. */

const approve = { decision: "approve", by: "Ada" };

test("a command goes to the order's home, by the tag of its id, by what is known of it, or by region", async () => {
  const { placeAt, command, done, store } = await createCommanding();
  const tagged = mintId("euw", 1, Date.now());
  await placeAt("eu-west", tagged, ...toReview);
  await placeAt("eu-west", "H1", ...toReview);
  await placeAt("eu-west", "H2", ...toReview);
  const elsewhere = await problemIn(await command(`${tagged}/review?region=us-east`, approve));
  expect(elsewhere).toMatchObject({ status: 400, errors: [{ pointer: "/region", rule: "region-mismatch" }] });
  expect(await done(`${tagged}/review`, approve)).toMatchObject({ region: "eu-west", revision: 3 });
  expect(await done("H1/review", approve)).toMatchObject({ region: "eu-west", status: "approved" });
  expect(await done("H2/review?region=eu-west", approve)).toMatchObject({ region: "eu-west", status: "approved" });
  expect(store.logs.events.every(({ home }) => home === "eu-west")).toBe(true);
});

test("an id in two homes: region must say which, and chooses", async () => {
  const { place, placeAt, command, done } = await createCommanding();
  await place("W1", ...toReview);
  await placeAt("eu-west", "W1", ...toReview);
  const problem = await problemIn(await command("W1/review", approve));
  expect(problem).toMatchObject({ type: "/problems/invalid-parameter", errors: [{ pointer: "/region" }] });
  expect(problem.detail).toContain("us-east, eu-west");
  expect(await done("W1/review?region=eu-west", approve)).toMatchObject({ region: "eu-west", status: "approved" });
  expect(await done("W1/cancel?region=us-east")).toMatchObject({ region: "us-east", status: "refunding" });
});

test("an id that the projection knows elsewhere, and that was just taken here: region must say which", async () => {
  const { place, placeAt, command, queries } = await createCommanding();
  await placeAt("eu-west", "W2", ...toReview);
  await place("W2");
  queries.lag = 1;
  expect((await queries.order("W2")).map(({ home }) => home)).toEqual(["eu-west"]);
  const problem = await problemIn(await command("W2/cancel"));
  expect(problem).toMatchObject({ type: "/problems/invalid-parameter", errors: [{ pointer: "/region" }] });
});

test("before the projection knows it, an order is found here and in the tenant's default region", async () => {
  const { place, placeAt, done, command, queries } = await createCommanding();
  await place("P1", ...toReview);
  await placeAt("eu-west", "P2", ...toReview);
  queries.lag = 6;
  expect(await done("P1/review", approve)).toMatchObject({ status: "approved" });
  queries.lag = 100;
  expect((await command("P2/review", approve)).status).toBe(404);
  expect(await done("P2/review?region=eu-west", approve)).toMatchObject({ status: "approved" });
});

test("where the copy here is behind, nothing is refused that the home would allow, and nothing allowed that it refuses", async () => {
  const { placeAt, command, done, store, types } = await createCommanding();
  const behind = (events: number, ms: number) => {
    store.copyLag = events;
    setTimeout(() => {
      store.copyLag = 0;
    }, ms);
  };
  // The copy says "paid", the home "in-review".
  await placeAt("eu-west", "L1", ...toReview);
  behind(1, 100);
  expect(await done("L1/review", approve)).toMatchObject({ status: "approved", revision: 3 });
  // The copy says "approved", the home "shipped".
  await placeAt("eu-west", "L2", ...toApproved, "order.shipped");
  behind(1, 100);
  const refused = await problemIn(await command("L2/cancel?region=eu-west"));
  expect(refused).toMatchObject({ status: 409, order_status: "shipped", revision: 3, allowed: ["deliver"] });
  // The copy knows of no order at all, and the client's revision is the home's.
  await placeAt("eu-west", "L3", ...toReview);
  behind(3, 100);
  const matched = await done("L3/review?region=eu-west", approve, { "if-match": '"2"' });
  expect(matched).toMatchObject({ status: "approved" });
  // What was done under a key is found at home.
  const key = { "idempotency-key": "once" };
  await done("L3/ship?region=eu-west", {}, key);
  behind(1, 100);
  expect(await done("L3/ship?region=eu-west", {}, key)).toMatchObject({ status: "shipped", repeated: true });
  behind(1, 100);
  expect((await command("L3/cancel?region=eu-west", {}, { headers: key })).status).toBe(422);
  behind(1, 100);
  expect(await done("L3/ship?region=eu-west")).toMatchObject({ status: "shipped", repeated: true });
  expect(types("L3").filter((type) => type === "order.shipped")).toHaveLength(1);
  // The question that the home is asked is never recorded.
  expect(store.logs.events.map(({ type }) => type)).not.toContain("order.asked");
  expect((await command("L9/cancel?region=eu-west")).status).toBe(404);
});

test("where the home cannot be asked, a refusal is not known, and 503; where no copy of it is here, 421 names it", async () => {
  const { placeAt, command, done, store } = await createCommanding();
  await placeAt("eu-west", "Q1", ...toReview);
  store.failWith = new StoreError("no-home", "nobody in eu-west answers");
  expect(await problemIn(await command("Q1/ship"))).toMatchObject({ type: "/problems/no-home", status: 503 });
  store.failWith = undefined;
  store.uncopied.add("eu-west");
  const problem = await problemIn(await command("Q1/ship"));
  expect(problem).toMatchObject({ status: 421, home: { region: "eu-west", url: "http://eu-west.example" } });
  store.uncopied.clear();
  expect(await done("Q1/review", approve)).toMatchObject({ status: "approved" });
});

test("an order that is here is commanded though the default region's log has no copy here", async () => {
  const { call, post, store, queries } = await createHarness({ region: "eu-west" });
  await post({ ...order, order_id: "U1", region: "eu-west" });
  queries.lag = 1;
  store.uncopied.add("us-east");
  expect((await call("/v1/orders/U1/cancel", { method: "POST" })).status).toBe(200);
  expect((await call("/v1/orders/U2/cancel", { method: "POST" })).status).toBe(421);
});
