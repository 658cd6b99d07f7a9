import { expect, test } from "bun:test";
import { createShardClock } from "../../store/owner/shard-clock.ts";

test("a shard's clock is never behind a time that was read before", () => {
  for (let round = 0; round < 20; round += 1) {
    const begunMs = performance.now();
    const clock = createShardClock(Date.now(), begunMs);
    const begun = Date.now();
    let read = begun;
    // A moment after the tick, where a clock that began at a time rounded down would still say the millisecond before.
    while (read === begun) read = Date.now();
    expect(clock.nowMs()).toBeGreaterThanOrEqual(read);
  }
});
