import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { after } from "../../mesh/clock.ts";
import type { Connection } from "../../mesh/connection.ts";
import { MeshError } from "../../mesh/error.ts";
import { request } from "../../mesh/requests.ts";
import { appendSubject, ownersPresent } from "../../mesh/subjects.ts";
import { StoreError } from "../error.ts";
import type { AppendOutcome } from "../event-store.ts";
import {
  type ForwardedAppendSchema,
  type ForwardedResult,
  ForwardRequestSchema,
  ForwardResponseSchema,
} from "../gen/meridian/log/v1/forward_pb.ts";
import {
  anyoneTimeoutMs,
  forwardAnswerMs,
  forwardAppendsMax,
  forwardBytesMax,
  forwardsInFlightMax,
  forwardTimeoutMs,
  leftAnswerMs,
  queuedAppendsMax,
  queuedBytesMax,
} from "../limits.ts";
import { toAppendMessage } from "../messages.ts";
import { movedAway } from "../owner/moved-away.ts";
import { expired, givenUp, type Pending, streamsOf } from "../owner/pending.ts";
import { fromResult } from "./forward-results.ts";

/**
 * Sends appends to the owner of their shard: another process of this region, or any process of another region. Grouped,
 * with two requests in flight a target: measured 2.8 times the rate of one request an append.
 */
export interface Forwarder {
  /**
   * `owner`: the nonce of a process, or `anyone`. `lane`: the shard, by its lease's key where that is known; a request is answered
   * when the last of its appends is, so those of a shard that nobody can claim must not keep the others'. Resolves with what
   * settles the append; rejects with StoreError.
   */
  append(region: string, owner: string, lane: string, pending: Pending): Promise<readonly AppendOutcome[]>;
  /**
   * Called by who watches the leases. What a process was sent that neither holds the shard nor is there any more, and has not
   * answered a moment later, is refused with "no-home" and left behind, so that its sender may ask the next owner; what has
   * only waited to be sent there is refused so at once.
   */
  seen(leaseKey: string, owner: string | undefined): void;
}

/** Whoever of a region's processes that own shards takes it, and knows more. */
export const anyone = "any";

/** Version of the messages of forward.proto: the second where an append has several parts. */
export const forwardVersions = { one: 1, several: 2 } as const;
export const priorities = ["client", "order", "worker"] as const;

interface Waiting {
  readonly pending: Pending;
  /** Answered, or its caller waits no longer. */
  over: boolean;
  resolve(outcomes: readonly AppendOutcome[]): void;
  reject(error: StoreError): void;
}

interface Target {
  readonly key: string;
  readonly subject: string;
  readonly region: string;
  readonly owner: string;
  readonly lane: string;
  waiting: Waiting[];
  appends: number;
  bytes: number;
  /** The requests that are not answered yet; aborted: their appends are left behind. */
  readonly inFlight: Set<AbortController>;
}

export function createForwarder(connection: Connection): Forwarder {
  const targets = new Map<string, Target>();
  /** Holders by the leases' keys. */
  const held = new Map<string, string>();

  const gone = ({ owner, lane }: Target) =>
    owner !== anyone && held.get(lane) !== owner && !held.has(ownersPresent + owner);

  /** Who has just stopped in order may still answer. */
  function leave(target: Target): void {
    after(leftAnswerMs, () => {
      if (gone(target)) for (const request of target.inFlight) request.abort();
    });
  }

  function pump(target: Target): void {
    while (target.waiting.length > 0 && target.inFlight.size < forwardsInFlightMax) {
      const group = take(target);
      if (group.length === 0) break;
      const leaving = new AbortController();
      target.inFlight.add(leaving);
      void send(connection, target, group, leaving.signal).finally(() => {
        target.inFlight.delete(leaving);
        pump(target);
      });
    }
    if (target.waiting.length > 0 || target.inFlight.size > 0) return;
    // A new one may have its place by now.
    if (targets.get(target.key) === target) targets.delete(target.key);
  }

  return {
    append: (region, owner, lane, pending) =>
      new Promise((resolve, reject) => {
        const subject = appendSubject(region, owner);
        const key = `${subject} ${lane}`;
        let target = targets.get(key);
        if (target === undefined) {
          target = { key, subject, region, owner, lane, waiting: [], appends: 0, bytes: 0, inFlight: new Set() };
          targets.set(key, target);
        }
        if (target.appends >= queuedAppendsMax || target.bytes >= queuedBytesMax) {
          const text = `${target.appends} appends wait for region ${region}; try again shortly`;
          return reject(new StoreError("overloaded", text, { retryAfterMs: 1_000 }));
        }
        weigh(target, pending, 1);
        target.waiting.push(waitingFor(pending, resolve, reject));
        const filled = target;
        if (target.waiting.length === 1) setImmediate(() => pump(filled));
      }),
    seen(leaseKey, owner) {
      if (owner === undefined) held.delete(leaseKey);
      else held.set(leaseKey, owner);
      for (const target of targets.values()) {
        if ((leaseKey !== target.lane && leaseKey !== ownersPresent + target.owner) || !gone(target)) continue;
        // Never sent: the next owner's answer is certain, whatever it is.
        for (const one of target.waiting) refuse(one, movedAway(streamsOf(one.pending.parts)));
        leave(target);
      }
    },
  };
}

/** `left`: aborted where the process is gone: what it was sent is left behind. */
async function send(
  connection: Connection,
  target: Target,
  group: readonly Waiting[],
  left: AbortSignal,
): Promise<void> {
  for (const { pending } of group) pending.underWay = true;
  try {
    const version = versionOf(group[0]!.pending);
    const appends = group.map(({ pending }) => toForwarded(pending));
    const message = create(ForwardRequestSchema, { version, appends });
    const bytes = await request(connection, target.subject, toBinary(ForwardRequestSchema, message), {
      // Twice: its callers are told first, each for how long it waited.
      timeoutMs: Math.min(patienceMs(target), longest(group) + 2 * forwardAnswerMs),
      signal: left,
    });
    const { results } = fromBinary(ForwardResponseSchema, bytes);
    for (const [at, one] of group.entries()) settle(one, results[at], target.region);
  } catch (cause) {
    const silent = cause instanceof MeshError && cause.code === "timeout";
    // Whoever of them took it, and what became of that one, is not known here; another one may take it.
    if (left.aborted || (silent && target.owner === anyone)) for (const one of group) leaveBehind(one);
    const error = unreachable(target.region, cause);
    for (const one of group) refuse(one, error);
  }
}

/** Answered a moment after its deadline at the latest, whoever is asked and how many wait before it. */
function waitingFor(pending: Pending, resolve: Waiting["resolve"], reject: Waiting["reject"]): Waiting {
  const end = () => {
    waiting.over = true;
    cancel();
  };
  const waiting: Waiting = {
    pending,
    over: false,
    resolve(outcomes) {
      end();
      resolve(outcomes);
    },
    reject(error) {
      end();
      reject(error);
    },
  };
  const leftMs = Math.max(0, pending.deadline - performance.now() + forwardAnswerMs);
  const cancel = after(leftMs, () => waiting.reject(expired(pending, "as nobody has answered it")));
  return waiting;
}

function weigh(target: Target, { parts, bytes }: Pending, sign: 1 | -1): void {
  target.appends += sign * parts.length;
  target.bytes += sign * bytes;
}

const patienceMs = ({ owner }: Target) => (owner === anyone ? anyoneTimeoutMs : forwardTimeoutMs);

/** How long the most patient of them waits. An answer that nobody waits for any more would only keep what waits behind it. */
const longest = (group: readonly Waiting[]) =>
  Math.max(0, ...group.map(({ pending }) => pending.deadline - performance.now()));

const versionOf = ({ parts }: Pending) => (parts.length === 1 ? forwardVersions.one : forwardVersions.several);

/** What the next request carries: of one version, so that a process which knows only the first still takes most of it. */
function take(target: Target): Waiting[] {
  const group: Waiting[] = [];
  let bytes = 0;
  let appends = 0;
  let taken = 0;
  for (const one of target.waiting) {
    const { pending } = one;
    if (pending.settled) one.reject(givenUp(pending));
    else if (!one.over && performance.now() > pending.deadline)
      one.reject(expired(pending, "as others were before it"));
    else if (!one.over) {
      const full = bytes + pending.bytes > forwardBytesMax || appends + pending.parts.length > forwardAppendsMax;
      if (group[0] !== undefined && (full || versionOf(group[0].pending) !== versionOf(pending))) break;
      bytes += pending.bytes;
      appends += pending.parts.length;
      group.push(one);
    }
    taken++;
    weigh(target, pending, -1);
  }
  target.waiting.splice(0, taken);
  return group;
}

function toForwarded(pending: Pending): MessageInitShape<typeof ForwardedAppendSchema> {
  const [first, ...more] = pending.parts;
  return {
    append: toAppendMessage(first!.request),
    more: more.map((part) => toAppendMessage(part.request)),
    digests: pending.parts.flatMap((part) => part.request.events.map((event) => event.digest ?? 0n)),
    priority: priorities.indexOf(pending.priority),
    each: !pending.atomic,
    waitMs: Math.max(1, Math.ceil(pending.deadline - performance.now())),
  };
}

function settle(waiting: Waiting, result: ForwardedResult | undefined, region: string): void {
  const { resolve, reject } = waiting;
  const { parts } = waiting.pending;
  if (result === undefined) return void reject(expired(waiting.pending, "as nobody has answered it"));
  const outcomes = [result, ...result.more].map((one, at) => fromResult(one, parts, at, region));
  const [first] = outcomes;
  if (outcomes.length === parts.length && (parts.length > 1 || !(first instanceof StoreError))) resolve(outcomes);
  else if (first instanceof StoreError) refuse(waiting, first);
  else reject(new StoreError("unavailable", `region ${region} answered only in part; repeat it with the same ids`));
}

function refuse({ pending, over, reject }: Waiting, error: StoreError): void {
  // Surely nothing was recorded, and nobody has it any more.
  if (error.code === "no-home" && !over) pending.underWay = false;
  reject(error);
}

function leaveBehind({ pending, over, reject }: Waiting): void {
  if (over) return;
  pending.leftBehind = true;
  reject(movedAway(streamsOf(pending.parts)));
}

function unreachable(region: string, cause: unknown): StoreError {
  const nobody = cause instanceof MeshError && cause.code === "no-responders";
  const text = nobody
    ? `nobody in region ${region} takes appends now: nothing was recorded; try again, or send it to that region`
    : `region ${region} did not answer: whether the append was recorded is not known; repeat it with the same ids`;
  return new StoreError(nobody ? "no-home" : "unavailable", text, { retryAfterMs: 1_000 }, { cause });
}
