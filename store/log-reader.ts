import type { Log, StoredMessage } from "../mesh/log.ts";
import type { Logger } from "../mesh/logger.ts";
import type { Batch } from "./batch.ts";
import { type Chain, createChain, strayAlarm } from "./chain.ts";

/** A batch that belongs to its shard's chain, with the message it came in. */
export interface LogBatch {
  readonly message: StoredMessage;
  readonly batch: Batch;
}

export interface FollowOptions {
  /** Sequence of the last accepted batch of each shard, 0: from the start. */
  readonly after: readonly number[];
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Called for each message that does not belong to the chain. */
  readonly onAlarm?: (text: string) => void;
}

/** Every batch of a log, all shards, in the order of the log, then live until `signal` aborts; strays are skipped. */
export async function* followLog(log: Log, options: FollowOptions): AsyncGenerator<LogBatch> {
  for await (const { message, batch } of followMessages(log, options))
    if (batch !== undefined) yield { message, batch };
}

/** The same with the strays, without a batch: for who must know how far the log was read. */
export async function* followMessages(
  log: Log,
  options: FollowOptions,
): AsyncGenerator<{ readonly message: StoredMessage; readonly batch: Batch | undefined }> {
  const chains: Chain[] = [];
  for (let shard = 0; shard < log.shards; shard++) {
    chains.push(createChain(log.identity, shard, options.after[shard] ?? 0));
  }
  const from = Math.min(...chains.map((chain) => chain.accepted())) + 1;
  for await (const message of log.follow({ from, signal: options.signal })) {
    const chain = chains[message.shard];
    if (chain === undefined || message.sequence <= (options.after[message.shard] ?? 0)) continue;
    const next = chain.next(message);
    if ("batch" in next) yield { message, batch: next.batch };
    else {
      const text = strayAlarm(options.logger, message, next.stray);
      options.onAlarm?.(text);
      yield { message, batch: undefined };
    }
  }
}
