/**
 * Leases: who works on what, for a while. A key of a JetStream KV bucket whose value names the owner and whose age is
 * the lease's time. It avoids fights; safety is the fence's. But an answer that no publish confirms rests on `held()`,
 * so the bucket is on file: in memory a restart of the server would free a key whose owner still believes in it.
 */
import { headers as createHeaders } from "nats";
import { monotonicMs, sleep } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { MeshError } from "./error.ts";
import { callPatiently, type StreamInfo } from "./jetstream-api.ts";
import { getMessage } from "./jetstream-log.ts";
import { watchLeases } from "./lease-watch.ts";
import * as limits from "./limits.ts";
import type { PublishOutcome } from "./log.ts";
import { publish } from "./publish.ts";
import { api, leaseStream, leaseSubject, leaseSubjects } from "./subjects.ts";

export interface Lease {
  readonly key: string;
  readonly owner: string;
  /** Surely held: by a monotonic clock, counted from before the last renewal was sent, less the margin. */
  held(): boolean;
  /** Aborts when another has it, or the key is gone: someone may have held it meanwhile. Not by release(). */
  readonly lost: AbortSignal;
  /** Frees the key for others at once. Never rejects: what cannot be freed runs out. */
  release(): Promise<void>;
}

export interface LeaseChange {
  readonly key: string;
  /** Absent: nobody has it. */
  readonly owner?: string;
}

export interface Leases {
  /** Undefined: someone else has it, or it could not be known; try again. Rejects with MeshError "refused", "closed". */
  acquire(key: string, owner: string): Promise<Lease | undefined>;
  holder(key: string): Promise<string | undefined>;
  /**
   * First what is held now, then every change of an owner, until `signal` aborts. `keys`: a pattern as subjects have it;
   * default: all.
   */
  watch(signal: AbortSignal, keys?: string): AsyncIterable<LeaseChange>;
}

export interface LeaseOptions {
  readonly ttlMs: number;
  readonly renewMs: number;
  /** How much earlier than the server the owner stops to believe. */
  readonly marginMs: number;
  /** Of the bucket; default 1. */
  readonly replicas?: number;
  /** False: the bucket is another's to make, and must be there. Default true. */
  readonly make?: boolean;
}

export const leaseDefaults: LeaseOptions = { ttlMs: 5_000, renewMs: 1_500, marginMs: 500 };

/**
 * Makes the bucket where it is not there yet. Rejects with MeshError: "configuration" when it has another time,
 * "not-found" when it is not there and must not be made.
 */
export async function openLeases(c: Connection, bucket: string, options: LeaseOptions): Promise<Leases> {
  const stream = leaseStream(bucket);
  const { config } = await (options.make === false ? bucketInfo(c, bucket) : ensureBucket(c, bucket, options));
  if (config.max_age !== options.ttlMs * 1e6) {
    const text = `leases in ${stream} run ${config.max_age / 1e6} ms, this process is set to ${options.ttlMs} ms`;
    throw new MeshError("configuration", text);
  }
  if (config.num_replicas < (options.replicas ?? 1)) {
    const text = `${stream} was made with ${config.num_replicas} replicas, not ${options.replicas}: no shard has an owner while its server is away`;
    c.wire.logger.warn({ bucket, replicas: config.num_replicas }, text);
  }
  return {
    async acquire(key, owner) {
      checkKey(key);
      const taken = await take(c, bucket, key, owner);
      return taken && keep(c, bucket, options, { key, owner, ...taken });
    },
    async holder(key) {
      checkKey(key);
      return (await readKey(c, bucket, key)).owner;
    },
    watch: (signal, keys = ">") => watchLeases(c, bucket, keys, signal),
  };
}

const bucketInfo = (c: Connection, bucket: string) =>
  callPatiently<StreamInfo>(c, api.streamInfo(c.region, leaseStream(bucket)), undefined);

async function ensureBucket(c: Connection, bucket: string, options: LeaseOptions): Promise<StreamInfo> {
  const stream = leaseStream(bucket);
  const config = {
    name: stream,
    subjects: [leaseSubjects(bucket)],
    storage: "file",
    retention: "limits",
    discard: "new",
    max_msgs_per_subject: 1,
    max_bytes: limits.leaseBucketBytesMax,
    max_age: options.ttlMs * 1e6,
    duplicate_window: Math.min(options.ttlMs, limits.idWindowMs) * 1e6,
    num_replicas: options.replicas ?? 1,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
    // Expiry alone tells a watcher nothing; with these it gets an empty message.
    allow_msg_ttl: true,
    subject_delete_marker_ttl: limits.leaseMarkerMs * 1e6,
  };
  try {
    return await callPatiently<StreamInfo>(c, api.streamCreate(c.region, stream), config);
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== "refused") throw error;
    return bucketInfo(c, bucket); // it is there with other settings
  }
}

function checkKey(key: string): void {
  if (key.length <= limits.leaseKeyLengthMax && /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(key)) return;
  throw new MeshError("refused", `"${key.slice(0, limits.leaseKeyLengthMax)}" cannot be a lease's key`);
}

interface KeyState {
  /** Sequence of the key's last message; 0: none. */
  readonly revision: number;
  /** Absent: free (never held, released or run out). */
  readonly owner?: string;
}

async function readKey(c: Connection, bucket: string, key: string): Promise<KeyState> {
  const message = await getMessage(c, leaseStream(bucket), { last_by_subj: leaseSubject(bucket, key) });
  if (message === undefined) return { revision: 0 };
  // Released and run out leave an empty message behind.
  const owner = new TextDecoder().decode(message.data);
  return owner === "" ? { revision: message.sequence } : { revision: message.sequence, owner };
}

/**
 * True: nothing newer than what is known, as a leader that was cut off may answer. What it names proves nothing, ours neither:
 * this process may have held the key then.
 */
const isPast = (now: KeyState, known: number) => now.revision > 0 && now.revision <= known;

function writeKey(
  c: Connection,
  bucket: string,
  o: { key: string; value: string; expected: number; timeoutMs: number },
): Promise<PublishOutcome> {
  const headers = createHeaders();
  headers.set("Nats-Expected-Last-Subject-Sequence", String(o.expected));
  if (o.value === "") headers.set("KV-Operation", "DEL");
  const subject = leaseSubject(bucket, o.key);
  return publish(c, { subject, data: new TextEncoder().encode(o.value), headers, timeoutMs: o.timeoutMs });
}

interface Taken {
  readonly revision: number;
  readonly sentMs: number;
}

async function take(c: Connection, bucket: string, key: string, owner: string): Promise<Taken | undefined> {
  const timeoutMs = limits.getTimeoutMs;
  const sentMs = monotonicMs();
  try {
    const before = await readKey(c, bucket, key);
    if (before.owner !== undefined && before.owner !== owner) return undefined;
    const outcome = await writeKey(c, bucket, { key, value: owner, expected: before.revision, timeoutMs });
    if (outcome.kind === "stored") return { revision: outcome.sequence, sentMs };
    if (outcome.kind === "refused") throw new MeshError("refused", `cannot lease ${key}: ${outcome.reason}`);
    // The answer may be lost: the key says whether it was ours.
    const now = await readKey(c, bucket, key);
    return now.owner === owner && !isPast(now, before.revision) ? { revision: now.revision, sentMs } : undefined;
  } catch (error) {
    if (error instanceof MeshError && (error.code === "timeout" || error.code === "no-responders")) return undefined;
    throw error;
  }
}

/** Renews until it is lost or released. */
function keep(
  c: Connection,
  bucket: string,
  options: LeaseOptions,
  taken: Taken & { key: string; owner: string },
): Lease {
  const { key, owner } = taken;
  const lost = new AbortController();
  const stop = new AbortController();
  const lastsMs = options.ttlMs - options.marginMs;
  let revision = taken.revision;
  let heldUntilMs = taken.sentMs + lastsMs;
  /** When the first renewal without a known outcome was sent. */
  let openMs: number | undefined;

  const lose = (reason: string) => {
    heldUntilMs = Number.NEGATIVE_INFINITY;
    stop.abort();
    c.wire.logger.warn({ bucket, key, reason }, "lost a lease");
    lost.abort(new MeshError("refused", `the lease of ${key} is lost: ${reason}`));
  };
  /** Answers how long to wait for the next renewal. */
  async function renew(): Promise<number> {
    const sentMs = monotonicMs();
    const outcome = await writeKey(c, bucket, { key, value: owner, expected: revision, timeoutMs: options.renewMs });
    if (outcome.kind === "stored") revision = outcome.sequence; // release() needs it
    if (stop.signal.aborted) return 0;
    if (outcome.kind === "stored") {
      heldUntilMs = sentMs + lastsMs;
      openMs = undefined;
      return options.renewMs;
    }
    if (outcome.kind !== "wrong-last-sequence") {
      openMs ??= sentMs;
      return limits.leaseRetryMs;
    }
    const now = await readKey(c, bucket, key).catch(() => undefined);
    if (stop.signal.aborted) return 0;
    if (now === undefined || isPast(now, revision)) return limits.leaseRetryMs;
    if (now.owner !== owner) {
      lose(now.owner === undefined ? "it ran out" : "another process has it");
      return 0;
    }
    // An earlier renewal was stored although its answer was lost: its time counts, not this one's.
    revision = now.revision;
    heldUntilMs = Math.max(heldUntilMs, (openMs ?? sentMs) + lastsMs);
    openMs = undefined;
    return 0;
  }
  const renewing = (async () => {
    for (let waitMs = options.renewMs; ; waitMs = await renew()) {
      await sleep(waitMs, stop.signal);
      if (stop.signal.aborted) return;
      if (c.wire.closed()) return lose("the connection is closed");
    }
  })();
  return {
    key,
    owner,
    held: () => monotonicMs() < heldUntilMs,
    lost: lost.signal,
    async release() {
      heldUntilMs = Number.NEGATIVE_INFINITY;
      if (stop.signal.aborted) return;
      stop.abort();
      await renewing;
      await writeKey(c, bucket, { key, value: "", expected: revision, timeoutMs: options.renewMs });
    },
  };
}
