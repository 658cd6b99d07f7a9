import { monotonicMs, sleep } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { MeshError } from "./error.ts";
import { createTrouble } from "./feed.ts";
import { type ConsumerInfo, call, callPatiently } from "./jetstream-api.ts";
import * as limits from "./limits.ts";
import type { Log, LogName, StoredMessage } from "./log.ts";
import { type Pulled, pull } from "./pull.ts";
import { api, logStream, logSubject, workerConsumer } from "./subjects.ts";

export interface Delivery {
  readonly message: StoredMessage;
  /** 1 at the first delivery. */
  readonly attempt: number;
  /**
   * Resolves when the server has noted it; a server that is killed may still forget the last ones. Rejects with MeshError
   * when it is not known that the server has: it is delivered again, unless it was noted and only the answer was lost.
   */
  acknowledge(): Promise<void>;
  /** Still at work: the server waits another `ackWaitMs`. */
  working(): void;
  /** Not now: deliver it again after `delayMs`. */
  later(delayMs: number): void;
}

export interface ConsumeOptions {
  /** Names the worker; each shard has a durable consumer of its own. */
  readonly durable: string;
  readonly shard: number;
  /** Handed out and not acknowledged, put off ones included: with so many the server delivers no further message. */
  readonly maxUnacknowledged: number;
  /** Asked for ahead of the reader; default: all that may be unacknowledged. */
  readonly messagesMax?: number;
  readonly ackWaitMs: number;
  readonly signal: AbortSignal;
}

const encoder = new TextEncoder();
const acknowledgement = encoder.encode("+ACK");
const inProgress = encoder.encode("+WPI");
const notNow = (delayMs: number) => encoder.encode(`-NAK ${JSON.stringify({ delay: Math.round(delayMs * 1e6) })}`);

/**
 * One shard's messages, each until it is acknowledged. First deliveries come in the order of the log; what was not
 * acknowledged in time comes again, before or between them. Goes on through restarts of the server; ends when `signal`
 * aborts.
 */
export async function* consume(c: Connection, log: Log, o: ConsumeOptions): AsyncGenerator<Delivery, void> {
  const stream = logStream(log.name);
  const consumer = workerConsumer(o.durable, o.shard);
  const trouble = createTrouble(c, stream, o.signal);
  while (!o.signal.aborted) {
    // Also after every interruption: the consumer may be gone with the server's disk.
    const ready = await ensureConsumer(c, stream, consumer, log, o).catch(trouble.report);
    if (ready !== undefined) {
      // What was sent ahead and not looked at is handed back, for whoever works here next. With a delay the server puts
      // it in order again; handed back at once, the first came last.
      const unread = (reply: string) => say(c, reply, notNow(limits.unreadDelayMs));
      const messagesMax = o.messagesMax ?? o.maxUnacknowledged;
      const source = pull(c, { stream, consumer, messagesMax, signal: o.signal, unread });
      try {
        for (let next = await source.next(); ; next = await source.next()) {
          if (next.done) {
            trouble.interrupted(next.value);
            break;
          }
          trouble.over();
          yield delivery(c, next.value);
        }
      } finally {
        await source.return("closed");
      }
    }
    await trouble.pause();
  }
}

export interface Backlog {
  readonly waiting: number;
  /** Handed out and not acknowledged, put off ones included. */
  readonly taken: number;
}

/** What a durable consumer of one shard has still to do; nothing where there is no such consumer yet. Rejects with MeshError. */
export async function readBacklog(c: Connection, name: LogName, durable: string, shard: number): Promise<Backlog> {
  try {
    const subject = api.consumerInfo(c.region, logStream(name), workerConsumer(durable, shard));
    const info = await call<ConsumerInfo>(c, subject, undefined, { timeoutMs: limits.getTimeoutMs });
    return { waiting: info.num_pending, taken: info.num_ack_pending };
  } catch (error) {
    if (error instanceof MeshError && error.code === "not-found") return { waiting: 0, taken: 0 };
    throw error;
  }
}

function ensureConsumer(
  c: Connection,
  stream: string,
  consumer: string,
  log: Log,
  o: ConsumeOptions,
): Promise<ConsumerInfo> {
  const filter = logSubject(log.name, o.shard);
  const config = {
    name: consumer,
    durable_name: consumer,
    filter_subject: filter,
    deliver_policy: "all",
    ack_policy: "explicit",
    ack_wait: o.ackWaitMs * 1e6,
    max_ack_pending: o.maxUnacknowledged,
    max_deliver: -1,
    replay_policy: "instant",
  };
  const subject = api.consumerCreate(c.region, stream, consumer, filter);
  return callPatiently<ConsumerInfo>(c, subject, { stream_name: stream, config }, { signal: o.signal });
}

/** While the connection is down nobody hears it; the message then comes again after its time. */
function say(c: Connection, reply: string, data: Uint8Array): void {
  if (c.connected()) c.wire.nc.publish(reply, data);
}

function delivery(c: Connection, pulled: Pulled): Delivery {
  const { message, attempt, reply } = pulled;
  return {
    message,
    attempt,
    acknowledge: () => acknowledge(c, pulled),
    working: () => say(c, reply, inProgress),
    later: (delayMs) => say(c, reply, notNow(delayMs)),
  };
}

/**
 * Repeated while the link is cut or the server starts. A server that hears it and does not answer has forgotten the
 * delivery (it was killed before it wrote it down) and will deliver again: to repeat would only hold the worker.
 */
async function acknowledge(c: Connection, { message, reply }: Pulled): Promise<void> {
  const until = monotonicMs() + limits.acknowledgePatienceMs;
  for (;;) {
    let cut = !c.connected();
    const stopListening = c.wire.onDisconnect(() => {
      cut = true;
    });
    try {
      await c.wire.ask(reply, acknowledgement, { timeoutMs: limits.acknowledgeTimeoutMs });
      return;
    } catch (cause) {
      const code = cause instanceof MeshError ? cause.code : "timeout";
      const again = !c.wire.closed() && (code === "no-responders" || (code === "timeout" && cut));
      if (!again || monotonicMs() > until) {
        const text = `message ${message.sequence} of ${message.subject} could not be acknowledged`;
        throw new MeshError(code, text, { cause });
      }
    } finally {
      stopListening();
    }
    await sleep(limits.reconnectWaitMs);
  }
}
