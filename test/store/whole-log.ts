import { expect } from "bun:test";
import type { Log } from "../../mesh/log.ts";
import { createChain } from "../../store/chain/chain.ts";
import { kinds } from "../../store/format/batch.ts";

export interface WholeLog {
  readonly events: readonly {
    readonly stream: string;
    readonly id: string;
    readonly revision: number;
    readonly shard: number;
    readonly sequence: number;
  }[];
  /** Owners of the epochs, in order. */
  readonly owners: readonly bigint[];
  readonly strays: number;
}

/** The log from its first message to its last, shard by shard, through the chain. */
export async function wholeLog({ log }: { readonly log: Log }): Promise<WholeLog> {
  const events: WholeLog["events"][number][] = [];
  const owners: bigint[] = [];
  let strays = 0;
  for (let shard = 0; shard < log.shards; shard++) {
    const last = await log.lastMessage(shard);
    if (last === undefined) continue;
    const chain = createChain(log.identity, shard, 0);
    let at = 0;
    for await (const message of log.read(shard, { from: 1, to: last.sequence })) {
      const { sequence } = message;
      at = sequence;
      const next = chain.next(message);
      if (!("batch" in next)) strays++;
      else if (next.batch.kind === kinds.epoch) owners.push(next.batch.owner);
      else
        for (const { stream, id, revision } of next.batch.events)
          events.push({ stream, id, revision, shard, sequence });
    }
    expect(at).toBe(last.sequence);
  }
  return { events, owners, strays };
}
