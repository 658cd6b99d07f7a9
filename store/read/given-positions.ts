import type { Log, StoredMessage } from "../../mesh/log.ts";
import { refuseTrimmed } from "../chain/log-floor.ts";
import { StoreError } from "../error.ts";
import type { Position } from "../position.ts";

/** A position that a reader gave, and its number among them. */
export interface GivenPosition {
  readonly position: Position;
  readonly number: number;
}

export const positionField = (number: number) => `after/positions/${number}`;

/**
 * Which of the logs each position belongs to.
 *
 * @param each what there may be one position of: a read of logs follows a whole log, a subscription each of its shards
 * @throws StoreError "invalid" for a position that belongs to none of the logs, or is a second one
 */
export function positionsByLog(
  logs: readonly Log[],
  positions: readonly Position[],
  each: "log" | "shard",
): Map<Log, GivenPosition[]> {
  const found = new Map<Log, GivenPosition[]>(logs.map((log) => [log, []]));
  for (const [number, position] of positions.entries()) {
    const log = logs.find(({ identity }) => Buffer.compare(identity, position.log) === 0);
    if (log === undefined || position.shard >= log.shards) {
      throw invalid(number, "a position to go on from belongs to another log than is asked for");
    }
    const others = found.get(log)!;
    if (others.some((other) => each === "log" || other.position.shard === position.shard)) {
      const what = each === "log" ? "this log" : `shard ${position.shard}`;
      throw invalid(number, `give one position for each ${each}: there is another one for ${what}`);
    }
    others.push({ position, number });
  }
  return found;
}

/**
 * The message that a position stands in.
 *
 * @throws StoreError "invalid" where the log has none there, "unavailable" where it may come to it yet, or was trimmed just now
 */
export async function messageAt(log: Log, { position, number }: GivenPosition): Promise<StoredMessage> {
  const { shard, sequence } = position;
  if (sequence < 1) throw invalid(number, "a position to go on from stands before the log");
  // A copy may lag behind the stream's leader.
  const found = (await log.message(sequence)) ?? (await log.messageAfter(shard, sequence - 1));
  if (found?.sequence === sequence && found.shard === shard) return found;
  await refuseTrimmed(log, { shard }, sequence);
  // Whoever has what comes behind it has everything before it; who has nothing there may be late, or answer from the past.
  if (found !== undefined || !mayLag(log)) throw invalid(number, "a position to go on from is not in the log");
  const text = "this region does not have a position to go on from, or not yet; try again";
  throw new StoreError("unavailable", text, { field: positionField(number), retryAfterMs: 1_000 });
}

/** True: what it says of its end may be of the past, as of a mirror, a replica or a leader that was cut off. */
export const mayLag = (log: Log): boolean => log.mirror || log.replicas > 1;

function invalid(number: number, text: string): StoreError {
  return new StoreError("invalid", text, { field: positionField(number) });
}
