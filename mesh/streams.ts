/** The JetStream streams behind logs: made, mirrored, opened. All calls may be repeated. */
import { randomBytes } from "node:crypto";
import type { Connection } from "./connection.ts";
import { MeshError } from "./error.ts";
import { type ConsumerInfo, call, callPatiently, type StreamInfo } from "./jetstream-api.ts";
import { createLog, type LogFacts } from "./jetstream-log.ts";
import * as limits from "./limits.ts";
import type { Log, LogName } from "./log.ts";
import { api, logStream, logSubjects, mirrorConsumer, mirrorSubject } from "./subjects.ts";

const identityKey = "meridian-identity";
const shardsKey = "meridian-shards";

export interface LogSettings {
  readonly shards: number;
  /** 1, or 3 where the region has three servers. */
  readonly replicas: number;
  /** Quota of the stream; full means refuse, never drop. */
  readonly bytesMax: number;
}

/**
 * The log's stream at its home, made where it is not there yet. Shards and identity of one that exists stay: they cannot
 * change within a generation. Rejects with MeshError.
 */
export async function ensureLog(c: Connection, name: LogName, settings: LogSettings): Promise<Log> {
  const stream = logStream(name);
  const found = await streamInfo(c, stream);
  if (found !== undefined) return logOf(c, name, found);
  const config = {
    name: stream,
    subjects: logSubjects(name, settings.shards),
    retention: "limits",
    storage: "file",
    discard: "new",
    max_bytes: settings.bytesMax,
    max_msgs: -1,
    max_age: 0,
    max_consumers: -1,
    max_msgs_per_subject: -1,
    num_replicas: settings.replicas,
    duplicate_window: limits.idWindowMs * 1e6,
    allow_direct: true,
    metadata: { [identityKey]: randomBytes(16).toString("hex"), [shardsKey]: String(settings.shards) },
  };
  return logOf(c, name, await create(c, stream, config));
}

/** An existing log or mirror of this region. Rejects with MeshError "not-found". */
export async function openLog(c: Connection, name: LogName): Promise<Log> {
  const stream = logStream(name);
  return logOf(c, name, await callPatiently<StreamInfo>(c, api.streamInfo(c.region, stream), undefined));
}

export interface MirrorSettings {
  readonly replicas: number;
  /** Absent: no quota of its own. */
  readonly bytesMax?: number;
  readonly signal?: AbortSignal;
}

/**
 * In this region, the mirror of another home's log; undefined while that home does not answer or has not prepared the log
 * (ensureMirrorSource): call again. The mirror carries its origin's identity and shards in its own metadata, because
 * JetStream does not copy them.
 */
export async function ensureMirror(c: Connection, name: LogName, settings: MirrorSettings): Promise<Log | undefined> {
  const stream = logStream(name);
  const found = await streamInfo(c, stream);
  if (found !== undefined) return logOf(c, name, found);
  const origin = await readOrigin(c, name, settings.signal);
  if (origin === undefined) return undefined;
  const consumer = mirrorConsumer(c.region);
  const config = {
    name: stream,
    retention: "limits",
    storage: "file",
    discard: "new",
    max_bytes: settings.bytesMax ?? -1,
    num_replicas: settings.replicas,
    allow_direct: true,
    // Direct gets for the origin's name are the origin's: a mirror must not answer them.
    mirror_direct: false,
    metadata: {
      [identityKey]: Buffer.from(origin.identity).toString("hex"),
      [shardsKey]: String(origin.shards),
    },
    mirror: {
      name: stream,
      external: { api: api.prefix(name.home) },
      consumer: { name: consumer, deliver_subject: mirrorSubject(c.region, stream) },
    },
  };
  // One that was there before has moved it on: an empty mirror would begin behind all that the other one had.
  await callPatiently(c, api.consumerReset(name.home, stream, consumer), { seq: 1 }, { signal: settings.signal });
  return logOf(c, name, await create(c, stream, config));
}

/**
 * Takes a mirror anew from its origin, from the first message that this still has: the only way to mend one, into which nobody
 * can write. Who reads it finds it gone for a moment. Undefined: that home does not answer, and nothing was done.
 */
export async function remakeMirror(c: Connection, name: LogName, settings: MirrorSettings): Promise<Log | undefined> {
  if ((await readOrigin(c, name, settings.signal)) === undefined) return undefined;
  try {
    await callPatiently(c, api.streamDelete(c.region, logStream(name)), undefined, { signal: settings.signal });
  } catch (error) {
    if (!(error instanceof MeshError && error.code === "not-found")) throw error;
  }
  return await ensureMirror(c, name, settings);
}

async function readOrigin(c: Connection, name: LogName, signal?: AbortSignal): Promise<LogFacts | undefined> {
  const stream = logStream(name);
  const options = { timeoutMs: limits.originTimeoutMs, signal };
  try {
    const info = await call<StreamInfo>(c, api.streamInfo(name.home, stream), undefined, options);
    await call<ConsumerInfo>(c, api.consumerInfo(name.home, stream, mirrorConsumer(c.region)), undefined, options);
    return factsOf(info);
  } catch (error) {
    if (error instanceof MeshError && error.code !== "refused") return undefined;
    throw error;
  }
}

/**
 * At the home: the durable consumer from which `target`'s mirror draws. Made here, so that a region needs no rights to
 * another region's JetStream beyond asking; without it a mirror takes 20 to 50 s to come back after a cut, not 1 to 6.
 */
export async function ensureMirrorSource(c: Connection, name: LogName, target: string): Promise<void> {
  const stream = logStream(name);
  const consumer = mirrorConsumer(target);
  const config = {
    name: consumer,
    durable_name: consumer,
    deliver_subject: mirrorSubject(target, stream),
    deliver_policy: "all",
    ack_policy: "flow_control",
    flow_control: true,
    idle_heartbeat: limits.heartbeatMs * 1e6,
    max_ack_pending: limits.mirrorUnacknowledgedMax,
    replay_policy: "instant",
  };
  await callPatiently(c, api.consumerCreate(c.region, stream, consumer), { stream_name: stream, config });
}

async function streamInfo(c: Connection, stream: string): Promise<StreamInfo | undefined> {
  try {
    return await callPatiently<StreamInfo>(c, api.streamInfo(c.region, stream), undefined);
  } catch (error) {
    if (error instanceof MeshError && error.code === "not-found") return undefined;
    throw error;
  }
}

/** Two processes may create it at once with different identities: the second one takes what the first one made. */
async function create(c: Connection, stream: string, config: object): Promise<StreamInfo> {
  try {
    return await callPatiently<StreamInfo>(c, api.streamCreate(c.region, stream), config);
  } catch (error) {
    const found = error instanceof MeshError && error.code === "refused" ? await streamInfo(c, stream) : undefined;
    if (found === undefined) throw error;
    return found;
  }
}

function logOf(c: Connection, name: LogName, info: StreamInfo): Log {
  return createLog(c, name, factsOf(info));
}

function factsOf(info: StreamInfo): LogFacts {
  const { metadata = {}, name, num_replicas: replicas, mirror } = info.config;
  const identity = metadata[identityKey] ?? "";
  const shards = Number(metadata[shardsKey]);
  if (!/^[0-9a-f]{32}$/.test(identity) || !Number.isInteger(shards) || shards < 1 || shards > limits.shardsMax) {
    const text = `stream ${name} is not a log: its metadata has ${identityKey} "${identity}", ${shardsKey} "${metadata[shardsKey] ?? ""}"`;
    throw new MeshError("refused", text);
  }
  return { identity: new Uint8Array(Buffer.from(identity, "hex")), shards, replicas, mirror: mirror !== undefined };
}
