import type { LogKey } from "../store/archive.ts";
import { archiveWriter, writeArchive } from "./archive-writer.ts";
import { recordedBatches } from "./archived-batches.ts";
import type { Database } from "./database.ts";
import { archiveCheckpoints, eachShard } from "./fold-archive.ts";
import { createLogNumbers, openCheckpoints } from "./logs.ts";

export interface ArchiveFill {
  /** Another region's database. It is only read. */
  readonly from: Database;
  readonly to: Database;
  readonly log: LogKey & { readonly shards: number };
  readonly signal: AbortSignal;
  /** After each write: so many events more, and how much of what there is to take is taken, 0 to 1. */
  written?(events: number, done: number): void;
}

/**
 * Takes what an archive lacks of a log from another region's: that of a region that joins late, or whose database is lost,
 * where the log has its beginning no longer. Rows and checkpoint are written together, as the projector of the archive does
 * it, so it may be broken off and begun again, by several at once, and beside that projector, which goes on from there.
 *
 * Answers the events that were taken; undefined: the other database has never seen the log. Rejects with ProjectionError,
 * "identity" where one of the two knows another log by that name.
 */
export async function fillArchive({ from, to, log, signal, written }: ArchiveFill): Promise<number | undefined> {
  const source = await createLogNumbers(from).find(log, { signal });
  if (source === undefined) return undefined;
  const target = await createLogNumbers(to).register(log, { signal });
  const checkpoints = await openCheckpoints(to, target, archiveWriter.name, log.shards, { signal });
  const ends = await archiveCheckpoints(from, source, signal);
  const lacking = () =>
    [...ends].reduce((sum, [shard, end]) => sum + Math.max(0, end - (checkpoints[shard] ?? end)), 0);
  const begun = lacking();
  let taken = 0;

  async function fillShard(shard: number, upTo: number): Promise<void> {
    while (checkpoints[shard]! < upTo) {
      const range = { log: source!, shard, after: checkpoints[shard]!, upTo };
      for await (const batches of recordedBatches(from, range, { signal })) {
        signal.throwIfAborted();
        const place = { log: target, shard, from: checkpoints[shard]!, to: batches.at(-1)!.sequence };
        const recorded = batches.map(({ sequence, events }) => ({ message: { sequence }, batch: { events } }));
        if (!(await writeArchive(to, recorded, place, { signal }))) {
          // Somebody else has written meanwhile.
          checkpoints[shard] = await archiveWriter.look(to, { log: target, shard }, { signal });
          break;
        }
        checkpoints[shard] = place.to;
        const events = batches.reduce((sum, batch) => sum + batch.events.length, 0);
        taken += events;
        written?.(events, 1 - lacking() / begun);
      }
    }
  }

  const shards = [...ends].filter(([shard, end]) => (checkpoints[shard] ?? end) < end);
  await eachShard(shards, ([shard, upTo]) => fillShard(shard, upTo));
  return taken;
}
