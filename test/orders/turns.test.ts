import { expect, setDefaultTimeout, test } from "bun:test";
import { type Leases, openLeases } from "../../mesh/lease.ts";
import { leaseSubject, workerLease } from "../../mesh/subjects.ts";
import { limits } from "../../orders/workers/limits.ts";
import { hashShard } from "../../store/ids.ts";
import { eventually } from "../mesh/eventually.ts";
import { approved, expectLedger, reaches, solvent } from "./histories.ts";
import { openWorkshop, type StartedWorker, shortLeases, type Workshop } from "./mesh.ts";

setDefaultTimeout(60_000);

const shardsOf = (workers: readonly StartedWorker[]) => workers.map(({ worker }) => worker.shards());
/** How many each of them works, and that none is worked by two. */
function spread(workers: readonly StartedWorker[]): string {
  const shards = shardsOf(workers);
  expect(new Set(shards.flat()).size).toBe(shards.flat().length);
  return shards
    .map((some) => some.length)
    .sort()
    .join();
}

test("workers share the shards evenly: who joins takes a part, who leaves gives its part back at once, who dies is replaced", async () => {
  await using shop = await openWorkshop();
  await using stack = new AsyncDisposableStack();
  const join = async () => stack.use(await shop.worker("review"));
  const first = await join();
  await eventually("one works all", () => spread([first]) === "4");
  const second = await join();
  await eventually("two share", () => spread([first, second]) === "2,2");
  const third = await join();
  const all = [first, second, third];
  await eventually("three share", () => spread(all) === "1,1,2");
  await first[Symbol.asyncDispose]();
  expect(first.worker.shards()).toEqual([]);
  // What was free is taken without a wait for a lease to run out, or for the others to settle.
  await eventually("the two have all", () => shardsOf([second, third]).flat().length === 4, limits.settleMs);
  await eventually("two share again", () => spread(all) === "0,2,2");
  await second.kill();
  await eventually("one is left", () => shardsOf([third])[0]!.length === 4, 4_000);
});

/** One whose order is worked in that shard. */
const idOf = (shard: number, from = 0) => solvent.slice(from).find((id) => hashShard(`order-${id}`, 4) === shard)!;

test("a worker whose lease another one has takes nothing of that shard, until it is free again", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  await using payment = await shop.worker("payment");
  await using _review = await shop.worker("review");
  await eventually("it works all", () => payment.worker.shards().length === 4);
  const stranger = await steal(shop, 2);
  await eventually("it has noticed", () => payment.worker.shards().join() === "0,1,3");
  const [theirs, own] = [idOf(2), idOf(1)];
  await shop.order(theirs);
  await shop.order(own);
  await reaches(shop, own, approved);
  expect(payment.worker.shards()).toEqual([0, 1, 3]);
  expect(await shop.history(theirs)).toEqual(["created"]);
  await stranger.release();
  await reaches(shop, theirs, approved);
  expect(payment.worker.shards()).toEqual([0, 1, 2, 3]);
});

/** As if the lease had run out and another process had it now. */
async function steal({ process, region, bucket }: Workshop, shard: number) {
  const key = workerLease(region.log.name, "payment", shard);
  const { nc } = process.connection.wire;
  nc.publish(leaseSubject(bucket, key), new TextEncoder().encode("stranger"));
  await nc.flush();
  const lease = await (await openLeases(process.connection, bucket, shortLeases)).acquire(key, "stranger");
  return lease!;
}

test("a worker whose lease may have run out, though it has heard nothing, takes nothing until it has it anew", async () => {
  await using shop = await openWorkshop({ shards: 1 });
  await using _provider = await shop.provider();
  let sure = true;
  let taken = 0;
  const doubting = (leases: Leases): Leases => ({
    ...leases,
    async acquire(key, owner) {
      const lease = await leases.acquire(key, owner);
      if (lease !== undefined) taken++;
      return lease && { ...lease, held: () => sure && lease.held() };
    },
  });
  await using _payment = await shop.worker("payment", { doubting });
  await using _review = await shop.worker("review");
  const [before, after] = solvent as [string, string];
  await shop.order(before);
  await reaches(shop, before, approved);
  const once = taken;
  sure = false;
  await shop.order(after);
  await eventually("it has let the shard go, and taken it again", () => taken >= once + 2);
  expect(await shop.history(after)).toEqual(["created"]);
  sure = true;
  await reaches(shop, after, approved);
  await expectLedger(shop, { charges: 2, refunds: 0 });
});

test("a worker that leaves finishes what it has begun, and hands back the rest: the next one has it at once", async () => {
  await using shop = await openWorkshop();
  const gate = Promise.withResolvers<string>();
  const asked: string[] = [];
  const answer = (question: string) => {
    asked.push(question);
    return gate.promise;
  };
  await using _provider = await shop.answering(answer);
  const count = limits.ordersAtOnce + 40;
  const some = solvent.slice(0, count);
  // Longer than the test may take: only what is handed back comes again.
  const options = { ackWaitMs: 120_000 };
  const first = await shop.worker("payment", options);
  await eventually("it works all", () => first.worker.shards().length === 4);
  await Promise.all(some.map((id) => shop.order(id)));
  await eventually("it is at work", () => asked.length === limits.ordersAtOnce);
  const leaving = first[Symbol.asyncDispose]();
  await using second = await shop.worker("payment", options);
  gate.resolve('{"outcome":"charged","reference":"r"}');
  await leaving;
  expect(first.worker.counts().done).toBe(limits.ordersAtOnce);
  for (const id of some) await reaches(shop, id, ["created", "payment-debited"]);
  // Of a batch that was half done all is looked at again: asked once more, with the same key, and recorded no second time.
  expect(new Set(asked).size).toBe(count);
  expect(second.worker.counts().parked).toBe(0);
});

test("after SIGKILL of the nats-server two workers share the shards again, and no order is lost", async () => {
  await using shop = await openWorkshop();
  await using _provider = await shop.provider();
  await using first = await shop.worker("payment");
  await using second = await shop.worker("payment");
  await using _review = await shop.worker("review");
  const both = [first, second];
  await eventually("two share", () => spread(both) === "2,2");
  const some = solvent.slice(0, 20);
  await Promise.all(some.map((id) => shop.order(id)));
  await shop.nats.restart();
  await eventually("two share again", () => spread(both) === "2,2", 20_000);
  for (const id of some) await reaches(shop, id, approved);
  await expectLedger(shop, { charges: 20, refunds: 0 });
});
