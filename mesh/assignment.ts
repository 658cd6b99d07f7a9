import { crc32 } from "node:zlib";

/**
 * Which process of a region is meant to have each shard. Everybody works it out alone, from the same list of processes, so
 * nobody has to lead. Rendezvous hashing (Thaler and Ravishankar, "A Name-Based Mapping Scheme for Rendezvous") with a
 * bound on the load: a shard goes to the process with its highest hash that has room, so the shards are spread as evenly
 * as their number allows, and few of them move when a process comes or goes.
 *
 * @param what the shards are of: those of two logs, or of two workers of one, are not spread alike
 * @param members names of the processes, in any order
 * @returns the name for each shard; empty where there is no process
 */
export function assignShards(what: string, shards: number, members: readonly string[]): readonly string[] {
  if (members.length === 0) return [];
  const loads = new Map([...members].sort().map((member) => [member, 0]));
  const least = Math.floor(shards / members.length);
  // So many processes have one shard more than the others.
  let larger = shards % members.length;
  return Array.from({ length: shards }, (_, shard) => {
    const room = larger > 0 ? least + 1 : least;
    let best = "";
    let bestHash = -1;
    for (const [member, load] of loads) {
      const hash = crc32(`${what}-${shard}-${member}`);
      if (load < room && hash > bestHash) [best, bestHash] = [member, hash];
    }
    const load = loads.get(best)! + 1;
    loads.set(best, load);
    if (load === least + 1) larger -= 1;
    return best;
  });
}
