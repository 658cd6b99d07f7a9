/**
 * Messages of a JetStream consumer, asked for in portions so that a slow reader holds the server back. One pull ends
 * ("interrupted") at anything odd: a lost connection, missing heartbeats, a consumer that is gone. Its caller opens the
 * next one, at the place that it has reached.
 */
import type { Msg } from "nats";
import { nuid } from "nats";
import { every, monotonicMs } from "./clock.ts";
import type { Connection } from "./connection.ts";
import * as limits from "./limits.ts";
import type { StoredMessage } from "./log.ts";
import { api, replyPrefix, shardOf } from "./subjects.ts";

export interface Pulled {
  readonly message: StoredMessage;
  /** 1 at the first delivery. */
  readonly attempt: number;
  /** Counts the consumer's deliveries, from 1: a hole in it means that one was lost on the way. */
  readonly delivery: number;
  /** What the consumer still had after this message. */
  readonly pending: number;
  /** Where it is acknowledged. */
  readonly reply: string;
}

export interface PullOptions {
  readonly stream: string;
  readonly consumer: string;
  readonly messagesMax: number;
  readonly signal: AbortSignal;
  /** Called at the end with where each message that came, but was not read, could be acknowledged. */
  readonly unread?: (reply: string) => void;
}

const encoder = new TextEncoder();

/** Ends when it is interrupted or aborted; the return value says why, for the log. */
export async function* pull(c: Connection, o: PullOptions): AsyncGenerator<Pulled, string> {
  const state = openPull(c, o);
  try {
    for (;;) {
      for (let next = state.take(); next !== undefined; next = state.take()) yield next;
      if (state.ended() !== undefined) return state.ended()!;
      await state.arrival();
    }
  } finally {
    state.close();
  }
}

// long: one state machine, whose parts share what they set and read
function openPull(c: Connection, o: PullOptions) {
  const inbox = `${replyPrefix(c.region)}.${nuid.next()}.pull`;
  const nextSubject = api.consumerNext(c.region, o.stream, o.consumer);
  const queue = createQueue();
  let outstanding = 0;
  let heard = monotonicMs();
  let ended: string | undefined;
  let closed = false;

  const end = (reason: string) => {
    ended ??= reason;
    queue.wake();
  };
  const ask = () => {
    const batch = o.messagesMax - outstanding - queue.size();
    // Half a portion at least; none while much is unread, for one that ended by its bytes has messages to spare.
    if (ended !== undefined || batch * 2 < o.messagesMax || queue.bytes() >= limits.unreadBytesMax) return;
    if (outstanding === 0) heard = monotonicMs(); // nothing was asked for: silence counts from now
    outstanding += batch;
    try {
      c.wire.nc.publish(nextSubject, portionOf(batch), { reply: inbox });
    } catch {
      end("the connection is closed");
    }
  };
  const subscription = c.wire.nc.subscribe(inbox, {
    callback: (error, message) => {
      if (error) return end("the server refused the subscription");
      heard = monotonicMs();
      if (message.subject !== inbox) {
        if (closed) return o.unread?.(message.reply ?? "");
        outstanding = Math.max(0, outstanding - 1);
        return queue.put(message);
      }
      const left = portionLeft(message);
      if (left === "heartbeat") return;
      if (left === "gone") return end(`status ${message.headers?.code} from consumer ${o.consumer}`);
      outstanding = Math.max(0, outstanding - left);
      ask();
    },
  });
  const stopTimer = every(limits.heartbeatMs, () => {
    // Heartbeats come only while a pull is outstanding: a reader that is slow by itself is not an interruption.
    const silentMs = outstanding === 0 ? 0 : monotonicMs() - heard;
    if (silentMs > limits.heartbeatMs * limits.heartbeatsMissedMax) end(`nothing heard for ${Math.round(silentMs)} ms`);
  });
  const stopListening = c.wire.onDisconnect(() => end("the connection was lost"));
  const onAbort = () => end("aborted");
  o.signal.addEventListener("abort", onAbort);
  if (o.signal.aborted) onAbort();
  if (!c.connected()) end("not connected");
  ask();

  return {
    ended: () => ended,
    take(): Pulled | undefined {
      if (o.signal.aborted) return undefined;
      const message = queue.take();
      ask();
      return message === undefined ? undefined : delivered(message);
    },
    arrival: (): Promise<void> => (ended === undefined ? queue.arrival() : Promise.resolve()),
    close() {
      end("closed");
      stopTimer();
      stopListening();
      o.signal.removeEventListener("abort", onAbort);
      closed = true;
      if (o.unread === undefined) return subscription.unsubscribe();
      for (const message of queue.rest()) o.unread(message.reply ?? "");
      // The server sends until it has heard of the end: what is under way is handed back too. A lost connection has its own way.
      subscription.drain().catch(() => subscription.unsubscribe());
    },
  };
}

function portionOf(batch: number): Uint8Array {
  const body = {
    batch,
    max_bytes: limits.pullBytesMax,
    expires: limits.pullExpiresMs * 1e6,
    idle_heartbeat: limits.heartbeatMs * 1e6,
  };
  return encoder.encode(JSON.stringify(body));
}

/** What has come and was not taken yet. */
function createQueue() {
  let messages: (Msg | undefined)[] = [];
  let taken = 0;
  let bytes = 0;
  let wake: () => void = () => {};
  return {
    size: () => messages.length - taken,
    bytes: () => bytes,
    put(message: Msg): void {
      messages.push(message);
      bytes += message.data.length;
      wake();
    },
    take(): Msg | undefined {
      const message = messages[taken];
      if (message === undefined) return undefined;
      bytes -= message.data.length;
      messages[taken++] = undefined;
      if (taken === messages.length) {
        messages = [];
        taken = 0;
      }
      return message;
    },
    rest: () => messages.slice(taken) as Msg[],
    /** Resolves when there is something to take, or at wake(). */
    arrival: (): Promise<void> =>
      taken < messages.length
        ? Promise.resolve()
        : new Promise((resolve) => {
            wake = resolve;
          }),
    wake: () => wake(),
  };
}

/** How many messages of the portion a status takes back; "gone" when the consumer cannot go on. */
function portionLeft(status: Msg): number | "heartbeat" | "gone" {
  const code = status.headers?.code ?? 0;
  if (code === 100) return "heartbeat";
  const left = status.headers?.get("Nats-Pending-Messages") ?? "";
  // 408: the time of the pull is over; 409 with a rest: the bytes are. Without a rest: deleted, no leader, shutting down.
  if (left !== "") return Number(left);
  return "gone";
}

/** `$JS.ACK.<domain>.<account>.<stream>.<consumer>.<attempt>.<sequence>.<delivery>.<time ns>.<pending>[.<random>]` */
function delivered(message: Msg): Pulled {
  const reply = message.reply ?? "";
  const tokens = reply.split(".");
  const at = tokens.length === 9 ? 4 : 6;
  const subject = message.subject;
  return {
    message: {
      subject,
      shard: shardOf(subject),
      sequence: Number(tokens[at + 1]),
      timeMs: Number(tokens[at + 3]!.slice(0, -6)),
      data: message.data,
      id: message.headers?.get("Nats-Msg-Id") ?? "",
    },
    attempt: Number(tokens[at]),
    delivery: Number(tokens[at + 2]),
    pending: Number(tokens[at + 4]),
    reply,
  };
}
