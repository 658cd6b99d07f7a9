import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Connection } from "../../mesh/connection.ts";
import type { Log } from "../../mesh/log.ts";
import type { Logger } from "../../mesh/logger.ts";
import { request, serve } from "../../mesh/requests.ts";
import { logStream, shardInfoSubject } from "../../mesh/subjects.ts";
import type { Archive } from "../archive.ts";
import { StoreError } from "../error.ts";
import type { EventStore, ShardStatus } from "../event-store.ts";
import { ShardInfoResponseSchema } from "../gen/meridian/eventstore/v1/eventstore_pb.ts";
import { shardInfoTimeoutMs } from "../limits.ts";
import { fromShardMessage, invalidField, toShardMessage } from "../messages.ts";
import type { LocalLog } from "./local-log.ts";

/** How the shards of this region's logs stand. Any process answers: each owner is asked, once for all its shards. */
export interface ShardInfo extends Pick<EventStore, "shardInfo">, AsyncDisposable {
  /** Called by who watches the leases. */
  seen(leaseKey: string, owner: string | undefined): void;
}

export interface ShardInfoOptions {
  readonly region: string;
  readonly connection: Connection;
  /** Name of this process. */
  readonly owner: string;
  /** False: this process owns no shards, and nobody asks it. */
  readonly owns: boolean;
  readonly locals: readonly LocalLog[];
  readonly archive: Archive;
  readonly logger: Logger;
}

type Owned = Omit<ShardStatus, "owner" | "archivedSequence" | "archiveLagBatches" | "archiveKnown">;

export function createShardInfo(options: ShardInfoOptions): ShardInfo {
  const { region, connection, owner, locals, archive, logger } = options;
  const holders = new Map<string, string>();
  const asked = new Map<string, Promise<readonly Owned[]>>();
  const server = options.owns
    ? serve(connection, shardInfoSubject(region, owner), {}, async () => toBytes(ownedHere(locals)))
    : undefined;

  /** What the process says of the shards that it owns; nothing when it does not answer. Whoever asks meanwhile joins. */
  function ask(name: string): Promise<readonly Owned[]> {
    if (name === owner) return Promise.resolve(ownedHere(locals));
    let answer = asked.get(name);
    if (answer === undefined) {
      answer = request(connection, shardInfoSubject(region, name), nothing, { timeoutMs: shardInfoTimeoutMs })
        .then((bytes) => fromBinary(ShardInfoResponseSchema, bytes).shards.map(fromShardMessage))
        .catch((error: unknown) => {
          logger.debug({ error, owner: name }, "the owner of shards does not say how they stand");
          return [];
        })
        .finally(() => asked.delete(name));
      asked.set(name, answer);
    }
    return answer;
  }

  /** How far the archive is; undefined where it does not say in time. */
  async function archived({ key }: LocalLog, shard: number): Promise<number | undefined> {
    const late = AbortSignal.timeout(shardInfoTimeoutMs);
    // Not checkpoint(): its connections are for what appends wait for.
    const standing = archive.reached(key, shard, Number.MAX_SAFE_INTEGER, { timeoutMs: 0 });
    const given = new Promise<undefined>((resolve) => late.addEventListener("abort", () => resolve(undefined)));
    return Promise.race([standing.catch(() => undefined), given]);
  }

  async function statusOf(local: LocalLog, shard: number): Promise<ShardStatus> {
    const name = holders.get(`${logStream(local.own.name)}-${shard}`) ?? "";
    const [told, checkpoint] = await Promise.all([name === "" ? [] : ask(name), archived(local, shard)]);
    const owned = told.find((one) => one.log === local.name && one.shard === shard) ?? unknown(local.name, shard);
    const last = owned.here ? owned.lastSequence : await lastOf(local.own, shard);
    return {
      ...owned,
      owner: name,
      lastSequence: last,
      archivedSequence: checkpoint ?? 0,
      archiveLagBatches:
        checkpoint !== undefined && checkpoint < last ? await countOf(local.own, shard, checkpoint) : 0,
      archiveKnown: checkpoint !== undefined,
    };
  }

  return {
    seen(leaseKey, now) {
      if (now === undefined) holders.delete(leaseKey);
      else holders.set(leaseKey, now);
    },
    async shardInfo({ log } = {}) {
      const logs = log === undefined ? locals : locals.filter((local) => local.name === log);
      if (logs.length > 0) {
        const shards = logs.flatMap((local) =>
          Array.from({ length: local.own.shards }, (_, shard) => ({ local, shard })),
        );
        return Promise.all(shards.map(({ local, shard }) => statusOf(local, shard)));
      }
      throw invalidField("log", `must be one of ${locals.map(({ name }) => name).join(", ")}, not "${log}"`);
    },
    async [Symbol.asyncDispose]() {
      await server?.[Symbol.asyncDispose]();
    },
  };
}

const nothing = new Uint8Array(0);

const lastOf = async (log: Log, shard: number) => (await reading(log.lastMessage(shard)))?.sequence ?? 0;
const countOf = (log: Log, shard: number, sequence: number) => reading(log.count(shard, sequence));

async function reading<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw new StoreError("unavailable", "the log cannot be read now; try again", { retryAfterMs: 1_000 }, { cause });
  }
}

const unknown = (log: string, shard: number): Owned => ({
  ...{ log, shard, here: false, epoch: 0, lastSequence: 0, indexedEvents: 0, indexedEventsMax: 0 },
  ...{ queuedAppends: 0, queuedBytes: 0, lookUps: 0 },
});

function ownedHere(locals: readonly LocalLog[]): Owned[] {
  return locals.flatMap((local) =>
    Array.from({ length: local.own.shards }, (_, shard) => ({ shard, ...local.shard(shard).status() }))
      .filter(({ state }) => state === "owner")
      .map(({ shard, epoch, last, indexed, indexedMax, queued, queuedBytes, lookUps }) => ({
        ...{ log: local.name, shard, here: true, epoch, lastSequence: last },
        ...{ indexedEvents: indexed, indexedEventsMax: indexedMax },
        ...{ queuedAppends: queued, queuedBytes, lookUps },
      })),
  );
}

function toBytes(owned: readonly Owned[]): Uint8Array {
  const rest = { owner: "", archivedSequence: 0, archiveLagBatches: 0, archiveKnown: false };
  const shards = owned.map((one) => toShardMessage({ ...one, ...rest }));
  return toBinary(ShardInfoResponseSchema, { $typeName: "meridian.eventstore.v1.ShardInfoResponse", shards });
}
