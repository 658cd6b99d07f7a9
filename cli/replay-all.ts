import type { ParkedRow } from "../projections/parked-steps.ts";
import { CliError } from "./error.ts";
import { Refusal } from "./gateway-client.ts";
import { limits } from "./limits.ts";

/** As the gateway answers it. */
export type Step = Omit<ParkedRow, "home"> & { readonly region: string };
export interface StepPage {
  readonly steps: readonly Step[];
  readonly cursor?: string;
}

export interface ReplayedAll {
  readonly replayed: number;
  /** Somebody decided first, or it was done meanwhile. */
  readonly gone: number;
  readonly failed: readonly { readonly order_id: string; readonly region: string; readonly error: string }[];
}

/** So many at once, page by page; one that fails holds up no other. Rejects where a page cannot be read. */
export async function replayAll(
  pages: AsyncIterable<StepPage>,
  replay: (step: Step) => Promise<unknown>,
): Promise<ReplayedAll> {
  const done = { replayed: 0, gone: 0, failed: [] as ReplayedAll["failed"][number][] };

  async function one(step: Step): Promise<void> {
    try {
      await replay(step);
      done.replayed += 1;
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      const { order_id, region } = step;
      if (error instanceof Refusal && error.type === "/problems/step-not-parked") done.gone += 1;
      else done.failed.push({ order_id, region, error: error.message });
    }
  }

  for await (const { steps } of pages) {
    const waiting = [...steps];
    const lane = async () => {
      for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) await one(step);
    };
    await Promise.all(Array.from({ length: limits.decisionsAtOnce }, lane));
  }
  return done;
}
