/** Reading a stream in order through ephemeral consumers that are opened again whenever anything is odd. */
import { nuid } from "nats";
import { monotonicMs, sleep } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { readReplica } from "./direct-get.ts";
import { MeshError } from "./error.ts";
import { type ConsumerInfo, call } from "./jetstream-api.ts";
import * as limits from "./limits.ts";
import type { StoredMessage } from "./log.ts";
import { type Pulled, pull } from "./pull.ts";
import { api } from "./subjects.ts";

export interface Start {
  readonly stream: string;
  /** One subject; absent: all. */
  readonly filter?: string;
  /** First stream sequence wanted, or the last message of each subject and what follows (needs a filter). */
  readonly from: number | "last-per-subject";
  /** The server deletes the consumer when nobody has read from it for so long. */
  readonly inactiveMs?: number;
}

export interface Opened {
  readonly consumer: string;
  /** Messages that wait for it. */
  readonly pending: number;
}

/** In a cluster it may be given to a server that has just died and never comes to be: then another one is asked for. */
export async function openEphemeral(c: Connection, start: Start, signal?: AbortSignal): Promise<Opened> {
  try {
    return await createEphemeral(c, start, { timeoutMs: limits.consumerTimeoutMs, signal });
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== "timeout" || !c.connected()) throw error;
    return createEphemeral(c, start, { timeoutMs: limits.apiTimeoutMs, signal });
  }
}

async function createEphemeral(
  c: Connection,
  start: Start,
  options: { timeoutMs: number; signal?: AbortSignal },
): Promise<Opened> {
  const consumer = nuid.next();
  const from =
    start.from === "last-per-subject"
      ? { deliver_policy: "last_per_subject" }
      : start.from <= 1
        ? { deliver_policy: "all" }
        : { deliver_policy: "by_start_sequence", opt_start_seq: start.from };
  const config = {
    name: consumer,
    ...from,
    ...(start.filter === undefined ? {} : { filter_subject: start.filter }),
    ack_policy: "none",
    max_deliver: 1,
    mem_storage: true,
    num_replicas: 1,
    replay_policy: "instant",
    inactive_threshold: (start.inactiveMs ?? limits.consumerInactiveMs) * 1e6,
  };
  const subject = api.consumerCreate(c.region, start.stream, consumer, start.filter);
  const body = { stream_name: start.stream, config, action: "create" };
  const info = await call<ConsumerInfo>(c, subject, body, options);
  return { consumer, pending: info.num_pending };
}

/** Deliveries of one ephemeral consumer; ends, with the reason, at the first that is missing. */
export async function* deliveries(
  c: Connection,
  o: { stream: string; consumer: string; signal: AbortSignal },
): AsyncGenerator<Pulled, string> {
  const pulling = pull(c, { ...o, messagesMax: limits.pullMessagesMax });
  let expected = 1;
  try {
    for (;;) {
      const next = await pulling.next();
      if (next.done) return next.value;
      if (next.value.delivery !== expected) return `delivery ${expected} was lost`;
      expected += 1;
      yield next.value;
    }
  } finally {
    await pulling.return("closed");
  }
}

/** `Log.follow` for one stream: see there. */
export async function* follow(
  c: Connection,
  stream: string,
  o: { from: number; signal: AbortSignal },
): AsyncGenerator<StoredMessage, void> {
  const { signal } = o;
  const trouble = createTrouble(c, stream, signal);
  let next = Math.max(1, o.from);
  while (!signal.aborted) {
    const opened = await openEphemeral(c, { stream, from: next }, signal).catch(trouble.report);
    if (opened === undefined) {
      await trouble.pause();
      continue;
    }
    const source = deliveries(c, { stream, consumer: opened.consumer, signal });
    try {
      for (;;) {
        const result = await source.next();
        if (result.done) {
          trouble.interrupted(result.value);
          break;
        }
        trouble.over();
        const { message } = result.value;
        // A start above the stream's end is moved down to it by the server: a mirror that still catches up.
        if (message.sequence < next) continue;
        next = message.sequence + 1;
        yield message;
      }
    } finally {
      await source.return("closed");
    }
    await trouble.pause();
  }
}

/** Backoff, and a log line when something begins to be wrong, then about every ten seconds. */
export function createTrouble(c: Connection, stream: string, signal: AbortSignal) {
  let pauseMs = limits.reopenMsMin;
  let warned = Number.NEGATIVE_INFINITY;
  return {
    report(error: unknown): undefined {
      if (!signal.aborted && monotonicMs() - warned > limits.warnEveryMs) {
        warned = monotonicMs();
        c.wire.logger.warn({ stream, region: c.region, error }, "cannot read the stream; trying again");
      }
    },
    interrupted(reason: string): void {
      if (!signal.aborted) c.wire.logger.debug({ stream, region: c.region, reason }, "reading the stream again");
    },
    over(): void {
      pauseMs = limits.reopenMsMin;
      warned = Number.NEGATIVE_INFINITY;
    },
    async pause(): Promise<void> {
      await sleep(pauseMs, signal);
      pauseMs = Math.min(pauseMs * 2, limits.reopenMsMax);
      if (!c.connected()) await c.wire.ready(limits.reopenMsMax, signal);
    },
  };
}

/**
 * Messages of one subject, or of all, with from <= sequence <= to, in order. At the end of what the server has, but before `to`, it
 * opens again for a while (a new leader may lag behind), then rejects with MeshError "not-found".
 */
export async function* readRange(
  c: Connection,
  o: { stream: string; filter?: string; replicas: number; from: number; to: number; signal?: AbortSignal },
): AsyncGenerator<StoredMessage, void> {
  const readNow = o.replicas === 1 ? readOnce : readReplica;
  const giveUp = new AbortController();
  const signal = o.signal === undefined ? giveUp.signal : AbortSignal.any([o.signal, giveUp.signal]);
  const what = o.filter ?? o.stream;
  let next = Math.max(1, o.from);
  let progress = monotonicMs();
  let last: unknown;
  try {
    while (next <= o.to) {
      if (o.signal?.aborted) throw new MeshError("closed", `reading ${what} was given up by its caller`);
      const before = next;
      try {
        for await (const message of readNow(c, { ...o, from: next, signal })) {
          next = message.sequence + 1;
          if (message.sequence <= o.to) yield message;
          if (message.sequence >= o.to) return;
        }
      } catch (error) {
        last = error;
      }
      if (next > before) progress = monotonicMs();
      if (monotonicMs() - progress > limits.readPatienceMs) {
        const text = `${what} cannot be read up to ${o.to}: nothing after ${next - 1} within ${limits.readPatienceMs} ms`;
        throw new MeshError(last instanceof MeshError ? last.code : "not-found", text, { cause: last });
      }
      await sleep(limits.reopenMsMin, signal);
    }
  } finally {
    giveUp.abort();
  }
}

/** What is there now, from one consumer; rejects when it is interrupted, ends when nothing more waits. */
async function* readOnce(
  c: Connection,
  o: { stream: string; filter?: string; from: number; signal: AbortSignal },
): AsyncGenerator<StoredMessage, void> {
  const { consumer, pending } = await openEphemeral(c, o, o.signal);
  if (pending === 0) return;
  const source = deliveries(c, { stream: o.stream, consumer, signal: o.signal });
  try {
    for (;;) {
      const result = await source.next();
      if (result.done)
        throw new MeshError("timeout", `reading ${o.filter ?? o.stream} was interrupted: ${result.value}`);
      if (result.value.message.sequence >= o.from) yield result.value.message;
      if (result.value.pending === 0) return;
    }
  } finally {
    await source.return("closed");
  }
}
