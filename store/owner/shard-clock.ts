/** What an owner takes for the time: UTC. */
export interface ShardClock {
  /** Milliseconds since 1970. */
  nowMs(): number;
}

/**
 * Goes on from a wall clock that was compared with the broker's, by the monotonic one: a step of the wall clock while a shard
 * is owned would be recorded, and what is recorded cannot be taken back (recorded time never goes back, so a step forwards
 * would stop it for as long; after a step backwards all ids that others mint would seem to be of the future).
 * It is never behind the wall clock that it began with, so that what was read there before an event is recorded lies before its
 * record: `wallMs` is rounded down, so it begins at the next millisecond, and `begunMs`, of the monotonic one, is read first.
 */
export function createShardClock(wallMs: number, begunMs: number): ShardClock {
  return { nowMs: () => wallMs + 1 + performance.now() - begunMs };
}
