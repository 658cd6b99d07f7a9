import { startProxy } from "../store/proxy.ts";
import type { TestProcess, TestRegion } from "../store/region.ts";
import { stepClock } from "../store/stepped-clock.ts";
import type { Broker } from "./broker.ts";
import type { Random } from "./random.ts";

/** One of the region's processes, which is killed, stopped and started again; between it and the broker stands a proxy. */
export interface Slot {
  readonly proxy: Awaited<ReturnType<typeof startProxy>>;
  process: TestProcess | undefined;
}

/** Short, so that owners change often. */
const leases = { ttlMs: 1_500, renewMs: 300, marginMs: 200 };

export async function startSlot(region: TestRegion, ports: readonly number[]): Promise<Slot> {
  const proxy = await startProxy(ports);
  return { proxy, process: await region.process({ url: proxy.url, leases }) };
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Does harm until told to stop, and leaves everything whole. Answers what it did. */
export async function doHarm(
  random: Random,
  world: {
    readonly region: TestRegion;
    readonly broker: Broker;
    readonly slots: readonly Slot[];
    readonly stop: AbortSignal;
  },
): Promise<string[]> {
  const { region, broker, slots, stop } = world;
  const done: string[] = [];
  const revive = async (slot: Slot) => {
    await pause(random.below(1_200));
    slot.process = await region.process({ url: slot.proxy.url, leases });
  };
  const harms: Record<string, (slot: Slot) => Promise<void>> = {
    async kill(slot) {
      const { process } = slot;
      slot.process = undefined;
      await process?.kill();
      await revive(slot);
    },
    async stop(slot) {
      const { process } = slot;
      slot.process = undefined;
      await process?.[Symbol.asyncDispose]();
      await revive(slot);
    },
    async cut(slot) {
      slot.proxy.cut();
    },
    /** What the broker answers is lost, then the connection. */
    async deafen(slot) {
      slot.proxy.swallow = true;
      await pause(50 + random.below(600));
      slot.proxy.swallow = false;
      slot.proxy.cut();
    },
    /** Longer than a lease lasts: the owner is replaced while it still lives. */
    async isolate(slot) {
      slot.proxy.swallow = true;
      await pause(2_500);
      slot.proxy.swallow = false;
      slot.proxy.cut();
    },
    async pauseArchive() {
      region.archive.pause();
      await pause(random.below(1_500));
      region.archive.resume();
    },
    async archiveAway() {
      region.archive.away = true;
      await pause(random.below(800));
      region.archive.away = false;
    },
    async archiveHangs() {
      region.archive.hangs = true;
      await pause(random.below(3_500));
      region.archive.hangs = false;
    },
    /** Its owner is replaced while the archive is away. */
    async killWithoutArchive(slot) {
      region.archive.away = true;
      await harms.kill!(slot);
      await pause(random.below(2_500));
      region.archive.away = false;
    },
    /** As a database that is restored from a backup of a moment ago, and filled up again. */
    async putArchiveBack() {
      const backup = region.archive.checkpoints();
      await pause(random.below(1_500));
      await region.archive.putBack(backup);
      await pause(random.below(1_000));
      region.archive.resume();
    },
    /** All wall clocks here: the broker's stays right. */
    async stepClocks() {
      using clock = stepClock();
      clock.step(random.pick([3_600_000, -3_600_000, 30_000, -30_000]));
      await pause(random.below(2_000));
    },
    ...broker.harms(random, region),
  };
  const names = [
    "kill",
    "kill",
    "stop",
    "stop",
    "cut",
    "deafen",
    "deafen",
    "isolate",
    "pauseArchive",
    "archiveAway",
    "archiveHangs",
    "killWithoutArchive",
    "putArchiveBack",
    "stepClocks",
    ...broker.often,
  ];
  while (!stop.aborted) {
    const slot = random.pick(slots);
    const name = random.pick(names);
    done.push(name);
    await harms[name]!(slot);
    await pause(random.below(500));
  }
  return done;
}
