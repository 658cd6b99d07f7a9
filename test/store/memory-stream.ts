import { MeshError } from "../../mesh/error.ts";
import type { Log, StoredMessage } from "../../mesh/log.ts";

/** A log that is a list of messages, for readers; each shard's fences are not checked. */
export function createMemoryStream(
  identity: Uint8Array,
  shards: number,
): Log & { add(shard: number, data: Uint8Array): number } {
  const messages: StoredMessage[] = [];
  const refuse = async () => {
    throw new MeshError("refused", "this log is only read");
  };
  async function* range({ from, to }: { from: number; to: number }, shard?: number) {
    for (const message of messages.slice(Math.max(0, from - 1), to)) {
      if (shard === undefined || message.shard === shard) yield message;
    }
  }
  return {
    name: { log: "memory", home: "us-east", generation: 1 },
    identity,
    shards,
    replicas: 1,
    mirror: false,
    add(shard, data) {
      const sequence = messages.length + 1;
      messages.push({ subject: `memory.${shard}`, shard, sequence, timeMs: 0, data, id: "" });
      return sequence;
    },
    publish: refuse,
    lastMessage: async (shard) => messages.findLast((message) => message.shard === shard),
    messageAfter: async (shard, sequence) =>
      messages.find((message) => message.shard === shard && message.sequence > sequence),
    message: async (sequence) => messages[sequence - 1],
    read: (shard, asked) => range(asked, shard),
    readAll: (asked) => range(asked),
    follow: () => {
      throw new Error("this log is only read");
    },
    count: async (shard, sequence) =>
      messages.filter((message) => message.shard === shard && message.sequence > sequence).length,
    state: async () => ({
      messages: messages.length,
      bytes: 0,
      bytesMax: -1,
      firstSequence: 1,
      lastSequence: messages.length,
      timeMs: Date.now(),
    }),
  };
}
