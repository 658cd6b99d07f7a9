import { randomUUID } from "node:crypto";
import { beginBuild, keepBuild, leaveBuild, resumeBuild, retireBuilds } from "./build-sql.ts";
import { delay } from "./clock.ts";
import type { Database } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import type { ReadModel } from "./read-model.ts";

/** The right to make one build of a read model, kept until it is disposed; after a kill it ends by itself. */
export interface BuildLease extends AsyncDisposable {
  readonly build: number;
  readonly holder: string;
  /** Somebody died over it, and it is gone on with. */
  readonly resumed: boolean;
  /** Aborts when the lease is lost, and with the caller's. */
  readonly signal: AbortSignal;
}

export interface LeaseOptions {
  readonly db: Database;
  readonly log: number;
  readonly model: ReadModel;
  /** building: goes live; one that was left behind is gone on with. checking: never does; one left behind is deleted. */
  readonly state: "building" | "checking";
  readonly signal: AbortSignal;
}

/** Rejects with "rebuilding" where somebody else makes one. */
export async function leaseBuild({ db, log, model, state, signal }: LeaseOptions): Promise<BuildLease> {
  const holder = randomUUID();
  const seconds = limits.buildLeaseSeconds;
  const options = { signal };
  const resumable = state === "building" ? model.version : -1;
  await db.write(retireBuilds, [log, model.name, state, resumable], options);
  const found = await db.write(resumeBuild, [log, model.name, state, holder, seconds], options);
  const begun =
    found[0] ?? (await db.write(beginBuild, [log, model.name, state, holder, seconds, model.version], options))[0];
  if (begun === undefined) {
    throw new ProjectionError(
      "rebuilding",
      `somebody else is ${state} ${model.name} of this log: wait until that is done, or until ${seconds} s after it died`,
    );
  }
  const build = Number(begun.build);
  const ended = new AbortController();
  const lost = new AbortController();
  const keeping = keep();
  return {
    build,
    holder,
    resumed: found.length > 0,
    signal: AbortSignal.any([signal, lost.signal]),
    async [Symbol.asyncDispose]() {
      ended.abort();
      await keeping;
      await db.write(leaveBuild, [log, model.name, build, holder]).catch(() => {}); // then it ends by itself
    },
  };

  async function keep(): Promise<void> {
    const over = AbortSignal.any([ended.signal, signal]);
    for (;;) {
      await delay((seconds * 1_000) / 3, over);
      if (over.aborted) return;
      // Away: what it may lose meanwhile, it hears of at the next try, and every write asks for the build as well.
      const kept = await db.write(keepBuild, [log, model.name, build, holder, seconds]).catch(() => undefined);
      if (kept?.length !== 0) continue;
      lost.abort(new ProjectionError("rebuilding", `build ${build} of ${model.name} was taken over by somebody else`));
      return;
    }
  }
}
