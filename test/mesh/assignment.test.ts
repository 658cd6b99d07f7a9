import { expect, test } from "bun:test";
import fc from "fast-check";
import { assignShards } from "../../mesh/assignment.ts";

const members = fc.uniqueArray(fc.uuid(), {
  minLength: 1,
  maxLength: 9,
});

function loads(names: readonly string[], owners: readonly string[]): number[] {
  return names.map((name) => owners.filter((owner) => owner === name).length);
}

test("shards are spread evenly, and the same by everybody whatever the order of the list", () => {
  fc.assert(
    fc.property(members, fc.integer({ min: 1, max: 64 }), (names, shards) => {
      const owners = assignShards("orders", shards, names);
      expect(owners).toHaveLength(shards);
      expect(assignShards("orders", shards, [...names].reverse())).toEqual(owners);
      const counts = loads(names, owners);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }),
  );
  expect(assignShards("orders", 4, [])).toEqual([]);
});

test("few shards move when a process joins or leaves: far fewer than by counting through", () => {
  let moved = 0;
  const rounds = 200;
  for (let round = 0; round < rounds; round++) {
    const names = Array.from({ length: 4 }, (_, at) => `${round}-${at}`);
    const before = assignShards("orders", 64, names);
    const after = assignShards("orders", 64, names.slice(1));
    moved += before.filter((owner, shard) => owner !== names[0] && owner !== after[shard]).length;
  }
  // 48 of the 64 shards need not move; counting through would move 36 of them.
  expect(moved / rounds).toBeLessThan(16);
});
