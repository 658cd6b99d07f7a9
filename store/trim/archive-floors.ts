import type { Connection } from "../../mesh/connection.ts";
import type { Log } from "../../mesh/log.ts";
import { request, serve } from "../../mesh/requests.ts";
import { archiveSubject, logStream } from "../../mesh/subjects.ts";
import type { Archive, LogKey } from "../archive.ts";
import { StoreError } from "../error.ts";
import { archiveFloorsMs } from "../limits.ts";

/**
 * How far a region's archive is with a log, asked by whoever trims a copy of it. The question is the log's stream and its
 * identity, the answer a checkpoint a shard; nothing where the region has no such log. Any process that owns shards answers.
 */
export interface ArchiveFloorsOptions {
  readonly connection: Connection;
  readonly region: string;
  readonly archive: Archive;
  /** The logs that the region holds, own and mirrored, as they are now. */
  logs(): readonly Log[];
  keyOf(log: Log): LogKey;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const questionOf = ({ name, identity }: Log) => `${logStream(name)} ${Buffer.from(identity).toString("hex")}`;

export function serveArchiveFloors(options: ArchiveFloorsOptions): AsyncDisposable {
  const { connection, region, archive, keyOf } = options;
  return serve(connection, archiveSubject(region), { queue: "archive" }, async (data) => {
    const question = decoder.decode(data);
    const log = options.logs().find((one) => questionOf(one) === question);
    const floors = log === undefined ? [] : await archiveFloors(archive, keyOf(log), log.shards);
    return encoder.encode(floors.join(" "));
  });
}

/** By shard. Rejects where the database is away. */
export function archiveFloors(archive: Archive, key: LogKey, shards: number): Promise<number[]> {
  // Not checkpoint(): its connections are for what appends wait for.
  const floor = (shard: number) => archive.reached(key, shard, Number.MAX_SAFE_INTEGER, { timeoutMs: 0 });
  return Promise.all(Array.from({ length: shards }, (_, shard) => floor(shard)));
}

/** Rejects with StoreError "unavailable" where the region does not say: what is not known is not trimmed. */
export async function askArchiveFloors(connection: Connection, region: string, log: Log): Promise<number[]> {
  const unknown = (why: string, cause?: unknown) =>
    new StoreError("unavailable", `${logStream(log.name)} is not trimmed: ${region} ${why}`, {}, { cause });
  const asked = request(connection, archiveSubject(region), encoder.encode(questionOf(log)), {
    timeoutMs: archiveFloorsMs,
  });
  const answer = await asked.catch((cause) => {
    throw unknown("does not say how far its archive is; it must be up and joined to the mesh", cause);
  });
  const floors = decoder.decode(answer).split(" ").map(Number);
  if (floors.length === log.shards && floors.every((floor) => Number.isSafeInteger(floor) && floor >= 0)) return floors;
  throw unknown("has no copy of it yet");
}
