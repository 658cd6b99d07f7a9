import { randomBytes } from "node:crypto";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { type LeaseOptions, leaseDefaults, openLeases } from "../../mesh/lease.ts";
import type { Log } from "../../mesh/log.ts";
import { type Logger, silent } from "../../mesh/logger.ts";
import { ensureLog } from "../../mesh/streams.ts";
import type { Archive } from "../../store/archive.ts";
import type { NewEvent } from "../../store/event-store.ts";
import type { IndexLimits, SubscriptionLimits } from "../../store/limits.ts";
import { openStore, type Store } from "../../store/open.ts";
import type { CodecName } from "../../store/store-options.ts";
import { createMemoryArchive, type MemoryArchive } from "./memory-archive.ts";

/** One region's event store on a real nats-server, opened as often as a test needs processes. */
export interface TestRegion extends AsyncDisposable {
  readonly log: Log;
  /** Of the leases that its processes share. */
  readonly bucket: string;
  readonly archive: MemoryArchive;
  /** Another process of the region, as far as the store can tell: own connection, leases and owner nonce. */
  process(options?: ProcessOptions): Promise<TestProcess>;
}

export interface ProcessOptions {
  /** Other than the region's. */
  readonly url?: string | readonly string[];
  /** False: it owns no shard, whatever moves. */
  readonly owns?: boolean;
  readonly leases?: Partial<LeaseOptions>;
  /** A lease bucket of its own: such processes do not see each other's leases. */
  readonly bucket?: string;
  readonly archive?: Archive;
  readonly codec?: CodecName;
  readonly logger?: Logger;
  readonly subscriptions?: Partial<SubscriptionLimits>;
  readonly index?: Partial<IndexLimits>;
  /** Stands between the store and its log. */
  readonly wrap?: (log: Log) => Log;
}

export interface TestProcess extends AsyncDisposable {
  readonly store: Store;
  readonly connection: Connection;
  /** Stops it without a word to anybody, as SIGKILL would. */
  kill(): Promise<void>;
}

export interface RegionSettings {
  readonly shards: number;
  readonly bytesMax: number;
  /** Of the log and of the leases; default 1. */
  readonly replicas?: number;
  /** Of a region that another process has opened; default: a new one. */
  readonly log?: string;
}

/** `url`: the server's, or those of a cluster. */
export async function openRegion(
  url: string | readonly string[],
  given: RegionSettings = { shards: 4, bytesMax: 50 << 20 },
): Promise<TestRegion> {
  const { log: logName = `t${randomBytes(6).toString("hex")}`, ...settings } = { replicas: 1, ...given };
  const watching = await openConnection({ servers: [url].flat(), name: "archive", region: "us-east", logger: silent });
  const name = { log: logName, home: "us-east", generation: 1 };
  const log = await ensureLog(watching, name, settings);
  const archive = createMemoryArchive(log);
  const bucket = `leases-${logName}`;

  return {
    log,
    bucket,
    archive,
    async process(options = {}) {
      const c = await openConnection({
        servers: [options.url ?? url].flat(),
        name: "store",
        region: "us-east",
        logger: silent,
      });
      const own = await ensureLog(c, name, settings);
      const stop = new AbortController();
      const leases = await openLeases(c, `${bucket}${options.bucket ?? ""}`, {
        ...leaseDefaults,
        replicas: settings.replicas,
        ...options.leases,
      });
      const store = await openStore({
        tenant: "acme",
        region: "us-east",
        regions: [{ name: "us-east", tag: "use" }],
        defaultRegion: "us-east",
        owns: options.owns ?? true,
        logs: [
          {
            name: logName,
            categories: ["order"],
            rest: true,
            codec: options.codec ?? "zstd",
            own: options.wrap?.(own) ?? own,
            mirror: () => undefined,
          },
        ],
        connection: c,
        leases,
        archive: options.archive ?? archive,
        fsync: true,
        subscriptions: options.subscriptions ?? {},
        index: options.index ?? {},
        logger: options.logger ?? silent,
        signal: stop.signal,
      });
      return {
        store,
        connection: c,
        async kill() {
          await c.wire.nc.close();
          stop.abort(new Error("killed"));
        },
        async [Symbol.asyncDispose]() {
          await store[Symbol.asyncDispose]();
          await c.close();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await archive[Symbol.asyncDispose]();
      await watching.close();
    },
  };
}

export const event = (id: string, body: unknown = { id }): NewEvent => ({
  id,
  type: "thing.happened",
  data: new TextEncoder().encode(JSON.stringify(body)),
});
