import type { Connection } from "../../mesh/connection.ts";
import type { Log } from "../../mesh/log.ts";
import { type ConsumerPlace, consumerPlaces, purgeShard } from "../../mesh/retention.ts";
import { logStream } from "../../mesh/subjects.ts";
import type { Archive, LogKey } from "../archive.ts";
import { StoreError } from "../error.ts";
import { archiveFloors, askArchiveFloors } from "./archive-floors.ts";
import { boundTrim, type Floor } from "./plan.ts";

/** Which copy of a log, and who needs it: what is not known to be there is not taken to have no need. */
export interface TrimOptions {
  /** With the role "operator"; in the region whose copy is trimmed. */
  readonly connection: Connection;
  readonly log: Log;
  readonly key: LogKey;
  /** This region's. */
  readonly archive: Archive;
  /** Regions that hold a copy of this one; none of a mirror. */
  readonly copies: readonly string[];
  /** Durable consumers that must be there. */
  readonly consumers: readonly string[];
  /** What goes: all below a position, or all that the broker stored before a time. */
  readonly below: { readonly sequence: number } | { readonly timeMs: number };
  /** True: only say what would go. */
  readonly dryRun: boolean;
}

export interface Trimmed {
  /** Stream sequence up to which everybody has it, and it may go. */
  readonly upTo: number;
  /** Who keeps it from going as far as was asked for. */
  readonly heldBy: readonly string[];
  /** Of each shard the first message that stays; 0: all of it does. */
  readonly keeps: readonly number[];
  /** What has gone; of a dry run 0. */
  readonly messages: number;
  readonly bytes: number;
}

/**
 * Trims one copy of a log. Any number may do it at once, and it may be cut off anywhere: floors only rise, and each shard's
 * part of the log is whole above what was removed. Rejects with StoreError "unavailable" where somebody who may need
 * it cannot be asked, and with MeshError.
 */
export async function trimLog(options: TrimOptions): Promise<Trimmed> {
  const { connection, log, key, archive, dryRun } = options;
  const before = await log.state();
  const last = await Promise.all(shardsOf(log).map(async (shard) => (await log.lastMessage(shard))?.sequence ?? 0));
  const floors = await readFloors(options);
  const wanted = await wantedOf(options, before.firstSequence, before.lastSequence);
  const { upTo, heldBy } = boundTrim({ end: before.lastSequence, last, wanted, floors });
  // A shard begins again with a batch that surely is of its chain, and that this region's archive has: never with a stray.
  // Its last message stays in any case, for the next owner's fence rests on it.
  const keep = (shard: number) => archive.lastBatch(key, shard, Math.min(upTo, last[shard]!));
  const keeps = await Promise.all(shardsOf(log).map(keep));
  if (dryRun) return { upTo, heldBy, keeps, messages: 0, bytes: 0 };
  let messages = 0;
  for (const [shard, below] of keeps.entries()) {
    if (below > 0) messages += await purgeShard(connection, log.name, shard, below);
  }
  const after = messages === 0 ? before : await log.state();
  return { upTo, heldBy, keeps, messages, bytes: Math.max(0, before.bytes - after.bytes) };
}

const shardsOf = (log: Log) => Array.from({ length: log.shards }, (_, shard) => shard);

/** Asked after the log's end: who has everything then has it up to there. */
async function readFloors({ connection, log, key, archive, copies, consumers }: TrimOptions): Promise<Floor[]> {
  const places = await consumerPlaces(connection, log.name);
  const missing = consumers.filter((name) => !places.some((place) => place.name === name));
  if (missing.length > 0) {
    const text = `${logStream(log.name)} is not trimmed: it has no consumer ${missing.join(", ")}, so that worker or mirror has not begun with it`;
    throw new StoreError("unavailable", text);
  }
  const here = archiveFloors(archive, key, log.shards).catch((cause: unknown) => {
    throw new StoreError(
      "unavailable",
      `${logStream(log.name)} is not trimmed: the archive does not answer`,
      {},
      { cause },
    );
  });
  const there = copies.map(async (region): Promise<Floor> => {
    return { who: `the archive of ${region}`, sequences: await askArchiveFloors(connection, region, log) };
  });
  const own = { who: `the archive of ${connection.region}`, sequences: await here };
  return [own, ...(await Promise.all(there)), ...places.map((place) => floorOf(place, log))];
}

function floorOf({ name, shard, sequence, done }: ConsumerPlace, log: Log): Floor {
  const needs = (one: number) => !done && (shard === undefined || shard === one);
  return {
    who: `the consumer ${name}`,
    sequences: shardsOf(log).map((one) => (needs(one) ? sequence : undefined)),
  };
}

/** The highest stream sequence that the caller lets go. */
async function wantedOf({ log, below }: TrimOptions, first: number, last: number): Promise<number> {
  if ("sequence" in below) return below.sequence - 1;
  let [young, old] = [last + 1, first - 1];
  while (young - old > 1) {
    const middle = Math.floor((young + old) / 2);
    const message = await log.message(middle);
    // What was trimmed is older than what was not.
    if (message === undefined || message.timeMs < below.timeMs) old = middle;
    else young = middle;
  }
  return old;
}
