import type { Log } from "../../mesh/log.ts";
import { tryDecode } from "./proof.ts";

/** A message that a mirror does not have, though one behind it names it. */
export interface MirrorHole {
  readonly shard: number;
  /** How far this region's archive is: what keeps it there. */
  readonly after: number;
  readonly missing: number;
}

/**
 * Whether a mirror lacks what the archive needs next: of each shard the message behind the archive's checkpoint names one that
 * is not there. The server's mirrors can lose messages where a link is cut (nats-server 2.15.1: it answers a reset of the
 * consumer with a position that it has moved on meanwhile, and the mirror takes what lies between for deleted); nothing
 * but the chain tells it. One that was trimmed further than its archive looks alike, and is mended alike.
 *
 * @param checkpoints of the archive, by shard, read before
 */
export async function findMirrorHole(log: Log, checkpoints: readonly number[]): Promise<MirrorHole | undefined> {
  for (const [shard, after] of checkpoints.entries()) {
    const next = await log.messageAfter(shard, after);
    const read = next === undefined ? undefined : tryDecode(next);
    if (read === undefined || "stray" in read) continue;
    const { previous: missing } = read.batch;
    if (missing > after && (await log.message(missing)) === undefined) return { shard, after, missing };
  }
  return undefined;
}
