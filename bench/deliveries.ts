import { setTimeout as wait } from "node:timers/promises";
import type { Delivery } from "./cases/live.ts";

/** After the last append: what has not come by then is lost. */
const patienceMs = 10_000;

/** How long after its acknowledgement each event was delivered; before it counts as 0. */
export interface Deliveries {
  acknowledged(id: string): void;
  delivered(id: string): void;
  /** Milliseconds, once `expected` have come; rejects where they do not. */
  result(expected: number): Promise<Delivery>;
}

export function createDeliveries(): Deliveries {
  const acknowledgements = new Map<string, number>();
  const latencies: number[] = [];
  return {
    acknowledged(id) {
      acknowledgements.set(id, performance.now());
    },
    delivered(id) {
      const at = acknowledgements.get(id);
      latencies.push(at === undefined ? 0 : performance.now() - at);
    },
    async result(expected) {
      const end = performance.now() + patienceMs;
      while (latencies.length < expected && performance.now() < end) await wait(20);
      if (latencies.length < expected) throw new Error(`${latencies.length} of ${expected} deliveries came`);
      latencies.sort((a, b) => a - b);
      const at = (share: number) => latencies[Math.floor(latencies.length * share)]!;
      return { p50: at(0.5), p99: at(0.99) };
    },
  };
}

/** Calls `each` so many times a second, evenly, whatever becomes of the calls; resolves with the last one. */
export function atRate(perSecond: number, seconds: number, each: (at: number) => void): Promise<void> {
  const count = perSecond * seconds;
  const begun = performance.now();
  let at = 0;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(count, ((performance.now() - begun) / 1000) * perSecond);
      while (at < due) each(at++);
      if (at < count) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
}
