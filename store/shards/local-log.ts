import { every } from "../../mesh/clock.ts";
import type { Leases } from "../../mesh/lease.ts";
import type { Logger } from "../../mesh/logger.ts";
import type { Members } from "../../mesh/members.ts";
import { logStream } from "../../mesh/subjects.ts";
import type { Archive, LogKey } from "../archive.ts";
import type { AppendRequest, AppendResult, Durability } from "../event-store.ts";
import { hashShard, mintId, parseTag } from "../ids.ts";
import * as limits from "../limits.ts";
import { type AppendPart, packPart } from "../owner/append-part.ts";
import { createShardOwner } from "../owner/owner.ts";
import type { PendingOptions } from "../owner/pending.ts";
import type { Shard } from "../owner/shard.ts";
import type { StoreLog } from "../store-options.ts";
import type { Forwarder } from "./forwarder.ts";
import { createHandOver } from "./hand-over.ts";
import { createShardSender } from "./shard-sender.ts";

/** This region's own log of one name: its shards, and which of them an append or a new id goes to. */
export interface LocalLog extends StoreLog, AsyncDisposable {
  readonly key: LogKey;
  append(request: AppendRequest, options: PendingOptions): Promise<AppendResult>;
  /** The stream's part of an append, and its shard. Throws StoreError "invalid". */
  pack(request: AppendRequest): { readonly shard: number; readonly part: AppendPart };
  shard(number: number): Shard;
  mint(): string;
  /** A lease changed hands; keys of other logs are passed over. */
  seen(leaseKey: string, owner: string | undefined): void;
  status(): readonly object[];
}

export interface LocalLogOptions extends StoreLog {
  readonly key: LogKey;
  readonly region: string;
  /** False: this process claims no shard. */
  readonly owns: boolean;
  readonly owner: { readonly nonce: bigint; readonly name: string };
  readonly tag: string;
  readonly tags: ReadonlySet<string>;
  readonly leases: Leases;
  readonly archive: Archive;
  readonly durability: Durability;
  readonly index: Partial<limits.IndexLimits>;
  readonly writer: string;
  readonly forwarder: Forwarder;
  readonly members: Members;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

// long: mostly what each of its shards is made with
export function createLocalLog(options: LocalLogOptions): LocalLog {
  const { own, region, logger } = options;
  const stream = logStream(own.name);
  const fill = options.owns ? watchFill(options) : unwatched;

  const shards: Shard[] = Array.from({ length: own.shards }, (_, shard) => {
    const leaseKey = `${stream}-${shard}`;
    const meant = () => options.members.meant(stream, shard, own.shards);
    const { unheard } = options.members;
    if (!options.owns) return createShardSender({ ...options, leaseKey, meant, unheard });
    return createShardOwner({
      log: own,
      key: options.key,
      home: region,
      shard,
      leases: options.leases,
      leaseKey,
      owner: options.owner.nonce,
      ownerName: options.owner.name,
      codec: options.codec,
      archive: options.archive,
      writer: options.writer,
      durability: options.durability,
      index: options.index,
      fill: fill.now,
      onFull: fill.full,
      onStored: fill.stored,
      meant,
      handOver: createHandOver({
        ...options,
        unheard,
        leaseKey,
        owner: () => shards[shard]!,
      }),
      logger,
      signal: options.signal,
    });
  });
  let collecting = 0;

  /** One shard at a time, so that the others go on while it moves. */
  let moving = false;
  const stopBalance = every(limits.balanceMs, async () => {
    if (moving || options.members.settledMs() < limits.balanceAfterMs) return;
    const shard = shards.find(
      (one, number) => one.last() !== undefined && options.members.meant(stream, number, own.shards) !== undefined,
    );
    if (shard === undefined) return;
    moving = true;
    await shard.giveUp().finally(() => {
      moving = false;
    });
  });

  const tagOf = (stream: string) => parseTag(stream, options.tags, own.shards);

  return {
    ...options,
    shard: (number) => shards[number]!,
    async append(request, given) {
      const tag = tagOf(request.stream);
      const shard = tag?.shard ?? hashShard(request.stream, own.shards);
      const outcomes = await shards[shard]!.append(() => [packPart(request, tag?.timeMs)], given);
      // A refusal of its only part rejects it.
      return outcomes[0] as AppendResult;
    },
    pack(request) {
      const tag = tagOf(request.stream);
      return { shard: tag?.shard ?? hashShard(request.stream, own.shards), part: packPart(request, tag?.timeMs) };
    },
    /** Sticky: stays in one shard until a full batch waits there, so that few callers still make full batches. */
    mint() {
      for (let tried = 0; tried < shards.length; tried++) {
        const shard = shards[collecting]!;
        const { events, bytes } = shard.queued();
        if (shard.elsewhere() === undefined && events < limits.batchEventsMax && bytes < limits.batchBytesMax) break;
        collecting = (collecting + 1) % shards.length;
      }
      // By the owner's clock where it is here: what this process's own does meanwhile is no matter then.
      return mintId(options.tag, collecting, Math.floor(shards[collecting]!.nowMs()));
    },
    seen(leaseKey, owner) {
      const shard = leaseKey.startsWith(`${stream}-`) ? shards[Number(leaseKey.slice(stream.length + 1))] : undefined;
      shard?.seen(owner);
    },
    status: () => shards.map((shard, number) => ({ shard: number, ...shard.status() })),
    async [Symbol.asyncDispose]() {
      stopBalance();
      fill.stop();
      await Promise.all(shards.map((shard) => shard[Symbol.asyncDispose]()));
    },
  };
}

interface Fill {
  /** 0 to 1. */
  now(): number;
  /** This process has stored a message of so many bytes. */
  stored(bytes: number): void;
  /** The broker refused one. */
  full(): void;
  stop(): void;
}

/** Whoever owns a shard admits to it. */
const unwatched: Fill = { now: () => 0, stored() {}, full() {}, stop() {} };

/** How full the log is: asked now and then, and counted on in between, so that admission ends before the log does. */
function watchFill(options: LocalLogOptions): Fill {
  let known = 0;
  let most = 0;
  let since = 0;
  const ask = () => {
    const counted = since;
    return options.own.state().then(
      ({ bytes, bytesMax }) => {
        known = bytes;
        most = bytesMax;
        since -= counted;
      },
      (error) => options.logger.debug({ error }, "the log's state could not be read"),
    );
  };
  void ask();
  const stop = every(limits.fillEveryMs, ask);
  return {
    now: () => (most > 0 ? (known + since) / most : 0),
    stored(bytes) {
      since += bytes + limits.messageOverheadBytes;
    },
    full() {
      known = most;
    },
    stop,
  };
}
