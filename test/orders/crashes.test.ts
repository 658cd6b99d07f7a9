import { expect, test } from "bun:test";
import { crashEverywhere, journeys, slow } from "./crash-run.ts";
import { openWorkshop } from "./mesh.ts";

/** A part of `npm run test:crashes`, another one each time: an error names the worker, the order and the step. */
const stride = 9;

test("workers that die at any step of an order's life leave nothing undone and nothing done twice", async () => {
  await using home = await openWorkshop();
  await using _provider = await home.provider(slow);
  const first = Math.floor(Math.random() * stride);
  const outcomes = await Promise.all(
    journeys.map((journey) => crashEverywhere(home, journey, { stride, first, lanes: 1 })),
  );
  for (const { crashes } of outcomes) expect(crashes).toBeGreaterThan(1);
}, 120_000);
