import { leaseStream, logStream } from "../../mesh/subjects.ts";
import { startCluster } from "../mesh/cluster.ts";
import { startNats } from "../mesh/server.ts";
import type { TestRegion } from "../store/region.ts";
import type { Random } from "./random.ts";

/** What a run's log and leases are on: one server, or a cluster of three; and what can be done to it. */
export interface Broker extends AsyncDisposable {
  readonly urls: readonly string[];
  readonly ports: readonly number[];
  /** Each leaves it whole. */
  harms(random: Random, region: TestRegion): Record<string, () => Promise<void>>;
  /** Names of harms, as often as they are to happen among others. */
  readonly often: readonly string[];
  /** Waits until what it says of the region's log is true. */
  settled(region: TestRegion): Promise<void>;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export const startBroker = (replicas: 1 | 3): Promise<Broker> => (replicas === 1 ? startOne() : startThree());

async function startOne(): Promise<Broker> {
  const server = await startNats({ storage: "4GB" });
  return {
    urls: [server.url],
    ports: [server.port],
    harms: (random) => ({
      async killBroker() {
        await server.kill("SIGKILL");
        await pause(random.below(300));
        await server.restart();
      },
    }),
    often: ["killBroker"],
    async settled() {},
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function startThree(): Promise<Broker> {
  const cluster = await startCluster({ storage: "4GB" });
  return {
    urls: cluster.urls,
    ports: cluster.nodes.map(({ port }) => port),
    harms(random, { log, bucket }) {
      const streams = [logStream(log.name), leaseStream(bucket)];
      return {
        async leaderStepsDown() {
          for (let times = 1 + random.below(4); times > 0; times--) await cluster.stepDown(random.pick(streams));
        },
        async leaderKilled() {
          const leader = await cluster.leader(random.pick(streams));
          await leader.kill("SIGKILL");
          await pause(random.below(6_000));
          await leader.restart();
        },
        /** For some seconds: with luck the others elect another leader, and it wakes up in the belief that it still is. */
        async leaderFrozen() {
          const leader = await cluster.leader(random.pick(streams));
          await leader.kill("SIGSTOP");
          await pause(1_000 + random.below(8_000));
          await leader.kill("SIGCONT");
        },
        async killBroker() {
          const node = random.pick(cluster.nodes);
          await node.kill("SIGKILL");
          await pause(random.below(300));
          await node.restart();
        },
      };
    },
    often: ["killBroker", "leaderStepsDown", "leaderStepsDown", "leaderKilled", "leaderFrozen", "leaderFrozen"],
    settled: ({ log }) => cluster.settled(logStream(log.name)),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}
