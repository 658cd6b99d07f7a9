/** What an owner takes for the time: UTC. */
export interface ShardClock {
  /** Milliseconds since 1970. */
  nowMs(): number;
}

/**
 * Goes on from a wall clock that was compared with the broker's, by the monotonic one: a step of the wall clock while a shard
 * is owned would be recorded, and what is recorded cannot be taken back (recorded time never goes back, so a step forwards
 * would stop it for as long; after a step backwards all ids that others mint would seem to be of the future).
 */
export function createShardClock(wallMs: number): ShardClock {
  const begunMs = performance.now();
  return { nowMs: () => wallMs + performance.now() - begunMs };
}
