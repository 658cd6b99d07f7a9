import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { Leases } from "../mesh/lease.ts";
import type { Log } from "../mesh/log.ts";
import type { Logger } from "../mesh/logger.ts";
import { createMembers } from "../mesh/members.ts";
import { serve } from "../mesh/requests.ts";
import { appendSubject, ownersPresent } from "../mesh/subjects.ts";
import { createAppends } from "./appends.ts";
import type { LogKey } from "./archive.ts";
import { StoreError } from "./error.ts";
import type { Durability, EventStore } from "./event-store.ts";
import { streamCategory } from "./ids.ts";
import { createReads } from "./read/reads.ts";
import { createRegions } from "./regions.ts";
import { createForwardHandler } from "./shards/forward-handler.ts";
import { anyone, createForwarder } from "./shards/forwarder.ts";
import { createLocalLog, type LocalLog } from "./shards/local-log.ts";
import { createShardEnds } from "./shards/shard-ends.ts";
import { createShardInfo } from "./shards/shard-info.ts";
import type { StoreOptions } from "./store-options.ts";
import { createSubscriptions } from "./subscribe/subscriptions.ts";
import { serveArchiveFloors } from "./trim/archive-floors.ts";

export interface Store extends EventStore, AsyncDisposable {
  /** Nonce of this process, as leases and subjects name it. */
  readonly owner: string;
  status(): Record<string, readonly object[]>;
}

/** The event store of one tenant in one region. Keeps the shards that it claims until it is disposed of. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { region, connection, leases, logger, owns = true } = options;
  const nonce = randomBytes(8);
  const owner = nonce.toString("hex");
  const forwarder = createForwarder(connection);
  const homes = createRegions(options);
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, options.signal]);
  const members = createMembers({ leases, prefix: ownersPresent, self: owns ? owner : undefined, logger, signal });
  const locals: LocalLog[] = options.logs.map((log) =>
    createLocalLog({
      ...log,
      key: keyOf(options, log.own),
      owns,
      owner: { nonce: nonce.readBigUInt64BE(0), name: owner },
      tag: homes.tagOf(region),
      region,
      tags: homes.tags,
      leases: options.leases,
      archive: options.archive,
      index: options.index ?? {},
      durability: { fsync: options.fsync, replicas: log.own.replicas } satisfies Durability,
      writer: options.writer ?? `meridian on ${hostname()}`,
      forwarder,
      members,
      logger,
      signal,
    }),
  );

  const logOf = createRouter(options.tenant, locals);

  const { forwarded, ...appends } = createAppends({ region, homes, logOf, forwarder });
  const servers = owns ? serveOthers(options, owner, locals, forwarded) : [];
  const shards = createShardInfo({ ...options, owner, owns, locals });
  const ends = createShardEnds({ ...options, owner, owns, locals });
  const watching = watchLeases(options.leases, [...locals, members, forwarder, shards, ends], logger, signal);
  const minting = locals.find((log) => log.categories.includes("order")) ?? locals.find((log) => log.rest);

  const reading = { ...options, locals, logOf, homes, ends, keyOf: (log: Log) => keyOf(options, log) };

  return {
    owner,
    ...appends,
    ...createReads(reading),
    ...createSubscriptions({ ...reading, signal }),
    shardInfo: shards.shardInfo,
    mint() {
      if (minting === undefined)
        throw new StoreError("invalid", `no log of ${options.tenant} takes the category "order"`);
      return minting.mint();
    },
    homeOf: homes.homeOf,
    taggedHome: homes.taggedHome,
    status: () => Object.fromEntries(locals.map((log) => [log.name, log.status()])),
    async [Symbol.asyncDispose]() {
      // First: what comes from now on is meant for others.
      await members[Symbol.asyncDispose]();
      // Together: what was forwarded here waits for the owners, which wait only so long.
      await Promise.all([...servers, ...locals, shards, ends].map((part) => part[Symbol.asyncDispose]()));
      stop.abort(new StoreError("cancelled", "the store is closing"));
      await watching;
    },
  };
}

/** What a process that owns shards answers to those that do not, and to other regions. */
function serveOthers(
  options: StoreOptions,
  owner: string,
  locals: readonly LocalLog[],
  forwarded: ReturnType<typeof createAppends>["forwarded"],
): AsyncDisposable[] {
  const { region, connection } = options;
  return [
    serve(connection, appendSubject(region, owner), {}, createForwardHandler(forwarded(true))),
    serve(connection, appendSubject(region, anyone), { queue: "owners" }, createForwardHandler(forwarded(false))),
    serveArchiveFloors({ ...options, logs: () => heldLogs(options, locals), keyOf: (log) => keyOf(options, log) }),
  ];
}

/** Own and mirrored. */
function heldLogs({ regions, region }: StoreOptions, locals: readonly LocalLog[]): Log[] {
  const others = regions.filter(({ name }) => name !== region);
  return locals.flatMap((local) => [local.own, ...others.flatMap(({ name }) => local.mirror(name) ?? [])]);
}

function keyOf(options: StoreOptions, log: Log): LogKey {
  return {
    tenant: options.tenant,
    home: log.name.home,
    log: log.name.log,
    generation: log.name.generation,
    identity: log.identity,
  };
}

/** Tells each shard who holds its lease, so that appends go to the right process without asking, and who is there at all. */
async function watchLeases(
  leases: Leases,
  watchers: readonly Pick<LocalLog, "seen">[],
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const { key, owner } of leases.watch(signal)) for (const watcher of watchers) watcher.seen(key, owner);
  } catch (error) {
    if (!signal.aborted) logger.error({ error }, "the leases are no longer watched; shards are asked for when claimed");
  }
}

/** The log that takes a stream: the one that names its category, else the one that takes the rest. */
function createRouter(tenant: string, locals: readonly LocalLog[]): (stream: string) => LocalLog {
  const rest = locals.find((log) => log.rest);
  return (stream) => {
    const category = streamCategory(stream);
    const found = locals.find((log) => log.categories.includes(category)) ?? rest;
    if (found !== undefined) return found;
    throw new StoreError("invalid", `no log of ${tenant} takes the category "${category}"`, { field: "stream" });
  };
}
