import { setTimeout as wait } from "node:timers/promises";
import { createRandom } from "../model/random.ts";
import type { RunningMesh } from "./mesh.ts";
import { shuffled } from "./plan.ts";

export interface Kill {
  readonly name: string;
  readonly atS: number;
  /** How long it took until another one was ready. */
  readonly backS: number;
}

export interface KillOptions {
  readonly seed: number;
  readonly max: number;
  readonly pauseMs: { readonly min: number; readonly max: number };
  /** True: no more are wanted once each was killed. */
  enough(): boolean;
  readonly signal: AbortSignal;
  /** Filled as it goes. */
  readonly kills: Kill[];
  say(text: string): void;
}

/** Of the regions' processes (gateway, owners, workers and projectors are in them), the provider and every broker. */
const isVictim = (name: string) => name !== "postgres";

/**
 * Kills one after the other, each when the one before is back: all in a random order, then all again in another one. Ends
 * after `max`, or after a whole round once there are enough.
 */
export async function killAround(mesh: RunningMesh, options: KillOptions): Promise<void> {
  const { max, pauseMs, signal, kills } = options;
  const random = createRandom(options.seed ^ 0x6b696c6c);
  const names = mesh.endpoints.processes
    .map(({ name }) => name)
    .filter(isVictim)
    .sort();
  const startedMs = performance.now();
  const seconds = () => Math.round((performance.now() - startedMs) / 100) / 10;
  while (kills.length < max) {
    for (const name of shuffled(names, random)) {
      if (kills.length === max || (options.enough() && kills.length >= names.length)) return;
      await wait(pauseMs.min + random.below(pauseMs.max - pauseMs.min), undefined, { signal });
      const atS = seconds();
      await mesh.kill(name, signal);
      const backS = Math.round((seconds() - atS) * 10) / 10;
      kills.push({ name, atS, backS });
      options.say(`killed ${name} at ${atS} s, back after ${backS} s`);
    }
  }
}
