import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import { checkCount, checkTogether, inAppend } from "./append-checks.ts";
import { StoreError, type StoreErrorCode } from "./error.ts";
import type { AppendOutcome, AppendRequest, AppendResult, EventStore } from "./event-store.ts";
import { checkStreamId, hashShard, parseTag } from "./ids.ts";
import {
  appendBytesMax,
  appendEventsMax,
  appendManyBytesMax,
  appendManyMax,
  appendStreamsMax,
  handOverRetryMs,
  packedBytesMax,
} from "./limits.ts";
import { type AppendPart, packPart } from "./owner/append-part.ts";
import { isMovedAway } from "./owner/moved-away.ts";
import { Pending, type PendingOptions } from "./owner/pending.ts";
import type { Regions } from "./regions.ts";
import type { AppendForwarded } from "./shards/forward-handler.ts";
import { anyone, type Forwarder } from "./shards/forwarder.ts";
import type { LocalLog } from "./shards/local-log.ts";

export interface AppendsOptions {
  readonly region: string;
  readonly homes: Regions;
  readonly logOf: (stream: string) => LocalLog;
  readonly forwarder: Forwarder;
}

/** The appending half of a store: each append goes to the owner of its shard, here or in its home region. */
export interface Appends extends Pick<EventStore, "append" | "appendStreams" | "appendMany"> {
  /** What other processes and regions send here. `final`: as to the owner, so it is not handed on again. */
  forwarded(final: boolean): AppendForwarded;
}

/** Where an append goes: one shard of this region, or another region. */
export interface Routed {
  /** The same for all that go the same way. */
  readonly way: string;
  readonly home: string;
  /** Undefined: another region's. */
  readonly place: { readonly log: LocalLog; readonly shard: number } | undefined;
  readonly part: AppendPart;
}

// long: one question, which way, and the three answers to it
export function createAppends({ region, homes, logOf, forwarder }: AppendsOptions): Appends {
  /** Throws StoreError. */
  function route(request: AppendRequest): Routed {
    checkStreamId(request.stream);
    const home = homes.homeOf(request.stream, request.home);
    if (home !== region) return { way: home, home, place: undefined, part: packPart({ ...request, home }) };
    const log = logOf(request.stream);
    const { shard, part } = log.pack(request);
    return { way: `${home}/${log.name}/${shard}`, home, place: { log, shard }, part };
  }

  function send({ home, place }: Routed, parts: readonly AppendPart[], options: PendingOptions) {
    if (place !== undefined) return place.log.shard(place.shard).append(() => parts, options);
    return new Promise<readonly AppendOutcome[]>((resolve, reject) => {
      void sendAway(home, new Pending(parts, options, resolve, reject));
    });
  }

  /** The shard at its home, as far as is known here: the regions of a tenant are made alike. What is wrong with an id its home says. */
  function laneOf(stream: string): string {
    const lane = attempt(() => {
      const { shards } = logOf(stream).own;
      return parseTag(stream, homes.tags, shards)?.shard ?? hashShard(stream, shards);
    });
    return lane instanceof StoreError ? "0" : String(lane);
  }

  /** To another region: where the process that took it stops, or says nothing for long, another one takes the append. */
  async function sendAway(home: string, pending: Pending): Promise<void> {
    const lane = laneOf(pending.parts[0]!.request.stream);
    while (!pending.settled) {
      try {
        return pending.resolve(await forwarder.append(home, anyone, lane, pending));
      } catch (error) {
        const late = performance.now() > pending.deadline;
        if (late || !isMovedAway(error)) return pending.reject(storeError(error));
      }
      await wait(handOverRetryMs);
    }
  }

  async function append(request: AppendRequest, options: PendingOptions = {}): Promise<AppendResult> {
    checkStreamId(request.stream);
    if (homes.homeOf(request.stream, request.home) === region) return logOf(request.stream).append(request, options);
    const routed = route(request);
    const [outcome] = await send(routed, [routed.part], options);
    return outcome as AppendResult;
  }

  async function appendStreams(requests: readonly AppendRequest[], options: PendingOptions = {}) {
    checkCount(requests.length, appendStreamsMax);
    const routed = requests.map((request, at) => inAppend(at, () => route(request)));
    checkTogether(routed);
    const outcomes = await send(
      routed[0]!,
      routed.map(({ part }) => part),
      { ...options, atomic: true },
    );
    return outcomes as readonly AppendResult[];
  }

  async function appendMany(requests: readonly AppendRequest[], options: PendingOptions = {}) {
    const { outcomes, rows } = await routeAll(requests);
    await Promise.all(rows.map((row) => sendRow(row, outcomes, options)));
    if (options.signal?.aborted !== true) return outcomes;
    throw new StoreError("cancelled", "many appends were given up; repeat them with the same ids");
  }

  /** What is refused at once, and the others by where they go. */
  async function routeAll(requests: readonly AppendRequest[]): Promise<{ outcomes: AppendOutcome[]; rows: Row[] }> {
    checkCount(requests.length, appendManyMax);
    const outcomes: AppendOutcome[] = new Array(requests.length);
    const rows = new Map<string, Row>();
    let bytes = 0;
    let turn = 0;
    for (const [at, request] of requests.entries()) {
      const routed = attempt(() => route(request));
      if (routed instanceof StoreError) {
        outcomes[at] = routed;
        continue;
      }
      const row = rows.get(routed.way) ?? { first: routed, appends: [] };
      row.appends.push({ at, part: routed.part });
      rows.set(routed.way, row);
      bytes += routed.part.bytes;
      if (bytes > appendManyBytesMax)
        throw invalid(`many appends have at most ${appendManyBytesMax} bytes, these more`);
      if (bytes - turn < packedBytesMax) continue;
      turn = bytes;
      await nextTurn();
    }
    return { outcomes, rows: [...rows.values()] };
  }

  /** As many at once as one batch takes; the next ones wait, as only so none overtakes another of its stream. */
  async function sendRow({ first, appends }: Row, outcomes: AppendOutcome[], options: PendingOptions): Promise<void> {
    const { timeoutMs = Number.POSITIVE_INFINITY } = options;
    const end = performance.now() + timeoutMs;
    let failed: StoreError | undefined;
    /** Streams of which an append was not decided: what stands behind it would overtake it. */
    const stuck = new Map<string, StoreError>();
    for (let from = 0; from < appends.length; ) {
      const group = appends.slice(from, from + fitting(appends, from));
      const leftMs = end - performance.now();
      if (from > 0 && leftMs <= 0) failed ??= tooLate(timeoutMs);
      from += group.length;
      const open = failed === undefined ? group.filter(({ part }) => !stuck.has(part.request.stream)) : [];
      if (open.length > 0) {
        const parts = open.map(({ part }) => part);
        const given = { ...options, atomic: false, ...(options.timeoutMs === undefined ? {} : { timeoutMs: leftMs }) };
        const answers = await send(first, parts, given).catch(storeError);
        if (!(answers instanceof StoreError))
          for (const [index, { at }] of open.entries()) outcomes[at] = answers[index]!;
        else if (open.length === 1 && decided.has(answers.code)) outcomes[open[0]!.at] = answers;
        else failed = answers;
      }
      for (const { at, part } of group) {
        const { stream } = part.request;
        // What comes of these is not known, so those behind them cannot be decided: they may be of the same stream.
        const outcome = outcomes[at] ?? stuck.get(stream) ?? failed!;
        outcomes[at] = outcome;
        if (outcome instanceof StoreError && !decided.has(outcome.code)) stuck.set(stream, outcome);
      }
    }
  }

  return {
    append,
    appendStreams,
    appendMany,
    forwarded:
      (final) =>
      async (requests, { atomic, ...given }) => {
        const options = { ...given, forwarded: true, final };
        const here = requests.map((request) => ({ ...request, home: region }));
        if (here.length === 1) return [await append(here[0]!, options)];
        if (atomic) return appendStreams(here, options);
        const { outcomes, rows } = await routeAll(here);
        const [row] = rows;
        // Of one shard, as another process of this region sends them: as a whole it is answered that the shard has moved.
        if (row?.appends.length === here.length && fitting(row.appends, 0) === here.length) {
          return send(
            row.first,
            row.appends.map(({ part }) => part),
            { ...options, atomic },
          );
        }
        await Promise.all(rows.map((one) => sendRow(one, outcomes, options)));
        return outcomes;
      },
  };
}

const tooLate = (waitedMs: number) =>
  new StoreError("unavailable", `those before this append took all of its ${waitedMs} ms: nothing of it was recorded`, {
    retryAfterMs: 1_000,
  });

/** An append that is refused so was decided. */
const decided: ReadonlySet<string> = new Set<StoreErrorCode>(["invalid", "wrong-revision", "already-exists"]);

/** Appends that go the same way, in the order of the request. */
interface Row {
  readonly first: Routed;
  readonly appends: { readonly at: number; readonly part: AppendPart }[];
}

/** How many appends from `from` on one batch takes; at least one. */
function fitting(appends: Row["appends"], from: number): number {
  let events = 0;
  let bytes = 0;
  let count = 0;
  for (let at = from; at < appends.length; at++, count++) {
    const { part } = appends[at]!;
    events += part.events.length;
    bytes += part.bytes;
    if (count > 0 && (events > appendEventsMax || bytes > appendBytesMax)) break;
  }
  return count;
}

function attempt<T>(call: () => T): T | StoreError {
  try {
    return call();
  } catch (error) {
    return storeError(error);
  }
}

function storeError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  throw error;
}

const invalid = (message: string) => new StoreError("invalid", message, { field: "appends" });
