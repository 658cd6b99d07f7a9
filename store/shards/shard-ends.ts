import { setTimeout as wait } from "node:timers/promises";
import type { Connection } from "../../mesh/connection.ts";
import type { Leases } from "../../mesh/lease.ts";
import { request, serve } from "../../mesh/requests.ts";
import { logStream, shardEndSubject } from "../../mesh/subjects.ts";
import { StoreError } from "../error.ts";
import { handOverRetryMs, standTimeoutMs, standWaitMs } from "../limits.ts";
import type { LocalLog } from "./local-log.ts";

/**
 * Where this region's own logs end. Of one server the stream itself is asked. A cluster's leader that was stopped or cut off
 * answers from the past, for as long as it has not heard of the next one; so there the shard's owner is asked, who knows
 * what it acknowledged while its lease surely holds. Where nobody owns the shard, it is claimed.
 */
export interface ShardEnds extends AsyncDisposable {
  /** Called by who watches the leases. */
  seen(leaseKey: string, owner: string | undefined): void;
  /** Everything that was acknowledged before it was asked is at or below. Rejects with StoreError "unavailable", or MeshError. */
  shard(local: LocalLog, shard: number): Promise<number>;
  /** Stream sequence of the log's last message, by its leader and the owners that answer; nobody claims for it. */
  log(local: LocalLog): Promise<number>;
}

export interface ShardEndsOptions {
  readonly region: string;
  readonly connection: Connection;
  readonly leases: Leases;
  /** Name of this process. */
  readonly owner: string;
  /** False: this process owns no shards, and nobody asks it. */
  readonly owns: boolean;
  readonly locals: readonly LocalLog[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function createShardEnds(options: ShardEndsOptions): ShardEnds {
  const { owner } = options;
  const holders = new Map<string, string>();
  const ask = createQuestions(options);
  const fromOwner = (local: LocalLog, shard: number, deadline: number) =>
    askOwner(options, { local, shard, deadline, holders, ask });
  const servers = !options.owns ? [] : serveEnds(options, fromOwner);
  return {
    seen(leaseKey, now) {
      if (now === undefined) holders.delete(leaseKey);
      else holders.set(leaseKey, now);
    },
    async shard(local, shard) {
      const { own } = local;
      const known = local.shard(shard).last();
      if (known !== undefined) return known;
      if (own.replicas === 1) return (await own.lastMessage(shard))?.sequence ?? 0;
      const told = await fromOwner(local, shard, performance.now() + standWaitMs);
      if (told !== undefined) return told;
      const text = `shard ${shard} of ${local.name} has no owner who says where it ends; try again`;
      throw new StoreError("unavailable", text, { retryAfterMs: 1_000 });
    },
    async log(local) {
      const stream = logStream(local.own.name);
      const names = Array.from({ length: local.own.shards }, (_, shard) => holders.get(`${stream}-${shard}`));
      const others = new Set(names.filter((name) => name !== undefined && name !== owner));
      const asked = local.own.replicas === 1 ? [] : [...others].map((name) => ask(name!, stream));
      const [{ lastSequence }, ...told] = await Promise.all([local.own.state(), ...asked]);
      return Math.max(lastSequence, lastKnown(local), ...told.map((last) => last ?? 0));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    },
  };
}

/** A question is a log's stream and a shard, or the stream alone; the answer is a sequence, or nothing. */
type Ask = (name: string, question: string) => Promise<number | undefined>;

interface UnderWay {
  readonly answer: Promise<number | undefined>;
  /** For those who asked after it was sent. */
  next?: Promise<number | undefined>;
}

/**
 * One of each question under way at a time. Who asks meanwhile shares the next one, as only an answer to what was sent after
 * it asked counts: however many read a shard that has no owner yet, they take one place of who is asked.
 */
function createQuestions({ connection, region }: ShardEndsOptions): Ask {
  const underWay = new Map<string, UnderWay>();

  async function send(name: string, question: string): Promise<number | undefined> {
    const subject = shardEndSubject(region, name);
    const told = await request(connection, subject, encoder.encode(question), { timeoutMs: standTimeoutMs })
      .then((data) => decoder.decode(data))
      // Nobody there, or busy: whoever asks looks again who owns the shard.
      .catch(() => "");
    return told === "" ? undefined : Number(told);
  }

  function start(name: string, question: string): Promise<number | undefined> {
    const key = `${name} ${question}`;
    const answer = send(name, question);
    const mine: UnderWay = { answer };
    underWay.set(key, mine);
    void answer.then(() => {
      if (mine.next === undefined) underWay.delete(key);
    });
    return answer;
  }

  return (name, question) => {
    const now = underWay.get(`${name} ${question}`);
    if (now === undefined) return start(name, question);
    now.next ??= now.answer.then(() => start(name, question));
    return now.next;
  };
}

interface Asked {
  readonly local: LocalLog;
  readonly shard: number;
  /** By performance.now(). */
  readonly deadline: number;
  /** Who holds the leases, by key. */
  readonly holders: ReadonlyMap<string, string>;
  readonly ask: Ask;
}

async function askOwner({ leases, owner }: ShardEndsOptions, asked: Asked): Promise<number | undefined> {
  const { local, shard, deadline } = asked;
  const stream = logStream(local.own.name);
  const key = `${stream}-${shard}`;
  for (let attempt = 1; performance.now() < deadline; attempt++) {
    // Who is meant to own it may not be there: then whoever is asked claims it.
    const here = await local.shard(shard).stand({ final: attempt > 2, deadline });
    if (here !== undefined) return here;
    // Asked, not only watched: a change that the watch missed would be a dead end.
    const held = attempt === 1 ? asked.holders.get(key) : await leases.holder(key).catch(() => undefined);
    const name = held ?? local.shard(shard).elsewhere() ?? "any";
    const told = name === owner ? undefined : await asked.ask(name, `${stream} ${shard}`);
    if (told !== undefined) return told;
    await wait(handOverRetryMs);
  }
  return undefined;
}

type FromOwner = (local: LocalLog, shard: number, deadline: number) => Promise<number | undefined>;

function serveEnds({ connection, region, owner, locals }: ShardEndsOptions, fromOwner: FromOwner): AsyncDisposable[] {
  const answer = async (data: Uint8Array, asOwner: boolean): Promise<number | undefined> => {
    const [stream, number] = decoder.decode(data).split(" ");
    const local = locals.find(({ own }) => logStream(own.name) === stream);
    if (local === undefined) return undefined;
    if (number === undefined) return lastKnown(local);
    const shard = Number(number);
    if (!Number.isInteger(shard) || shard < 0 || shard >= local.own.shards) return undefined;
    const deadline = performance.now() + standTimeoutMs;
    return asOwner ? local.shard(shard).stand({ final: true, deadline }) : fromOwner(local, shard, deadline);
  };
  const serving = (name: string, queue?: string) =>
    serve(connection, shardEndSubject(region, name), queue === undefined ? {} : { queue }, async (data) =>
      encoder.encode(String((await answer(data, queue === undefined)) ?? "")),
    );
  return [serving(owner), serving("any", "owners")];
}

/** Of the shards that this process owns, it knows at once what was acknowledged. */
function lastKnown(local: LocalLog): number {
  const shards = Array.from({ length: local.own.shards }, (_, shard) => shard);
  return Math.max(...shards.map((shard) => local.shard(shard).last() ?? 0));
}
