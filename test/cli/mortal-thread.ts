/** A thread of the tests: lives and dies as it is told. `lives` and `beats` are seen from outside while it lives. */
import { parentPort, workerData } from "node:worker_threads";

export interface Mortal {
  /** Dies in this life and every earlier one. */
  readonly deaths: number;
  readonly kind: "throws" | "exits";
  /** What it does when it is told to stop. */
  readonly whenToldToStop: "finishes" | "nothing";
  /** [lives, beats] */
  readonly shared: Int32Array;
}

const { deaths, kind, whenToldToStop, shared } = workerData as Mortal;
const life = Atomics.add(shared, 0, 1) + 1;
setInterval(() => Atomics.add(shared, 1, 1), 10);
parentPort!.postMessage(`life ${life}`);
if (life <= deaths) {
  if (kind === "throws") throw new Error(`life ${life} was short`);
  process.exit(3);
}
parentPort!.on("message", (message: string) => {
  if (message !== "stop") parentPort!.postMessage(`heard ${message}`);
  else if (whenToldToStop === "finishes") {
    setTimeout(() => {
      parentPort!.postMessage("finished");
      process.exit(0);
    }, 100);
  }
});
