/** Messages by direct get: any replica of the stream answers from what it has, the one of the server asked before others. */
import { type Msg, nuid } from "nats";
import { after } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { MeshError } from "./error.ts";
import * as limits from "./limits.ts";
import type { StoredMessage } from "./log.ts";
import { api, replyPrefix, shardOf } from "./subjects.ts";

const encoder = new TextEncoder();

/** Undefined: the replica has no such message. */
export async function directGet(c: Connection, stream: string, sequence: number): Promise<StoredMessage | undefined> {
  const query = encoder.encode(JSON.stringify({ seq: sequence }));
  const subject = api.directGet(c.region, stream);
  const answer = await c.wire.ask(subject, query, { timeoutMs: limits.getTimeoutMs });
  const code = answer.headers?.code ?? -1;
  if (code === 404) return undefined;
  if (code !== 0) throw new MeshError("refused", `${subject} for sequence ${sequence}: status ${code}`);
  return stored(answer);
}

/** `code` 0: as it was stored. */
function stored(message: Msg): StoredMessage {
  const text = (name: string) => message.headers?.get(name) ?? "";
  return {
    subject: text("Nats-Subject"),
    shard: shardOf(text("Nats-Subject")),
    sequence: Number(text("Nats-Sequence")),
    timeMs: Date.parse(text("Nats-Time-Stamp")),
    data: message.data,
    id: text("Nats-Msg-Id"),
  };
}

export interface DirectRange {
  readonly stream: string;
  /** One subject; absent: all. */
  readonly filter?: string;
  readonly from: number;
  readonly signal: AbortSignal;
}

/**
 * What a replica has from a sequence on, in portions; ends where it has no more. In a cluster this is how a range is read:
 * a consumer there is made by the leader of the whole cluster and lives on one of its servers, so that a read would stand
 * still while that leader is elected, or that server is away.
 */
export async function* readReplica(c: Connection, range: DirectRange): AsyncGenerator<StoredMessage, void> {
  for (let from = range.from; !range.signal.aborted; ) {
    const { messages, more } = await readPortion(c, { ...range, from });
    yield* messages;
    const last = messages.at(-1);
    if (last === undefined || !more) return;
    from = last.sequence + 1;
  }
}

interface Portion {
  readonly messages: readonly StoredMessage[];
  readonly more: boolean;
}

/** Rejects with MeshError: "timeout" where a part of it did not come, "refused", "closed". */
async function readPortion(c: Connection, { stream, filter, from, signal }: DirectRange): Promise<Portion> {
  const failure = (code: "timeout" | "refused" | "closed", why: string) =>
    new MeshError(code, `reading ${filter ?? stream} from ${from}: ${why}`);
  if (!c.connected() && !(await c.wire.ready(limits.getTimeoutMs, signal))) throw failure("timeout", "no connection");
  if (c.wire.closed() || signal.aborted) throw failure("closed", "it was given up");
  const { promise, resolve, reject } = Promise.withResolvers<Portion>();
  const inbox = `${replyPrefix(c.region)}.${nuid.next()}.get`;
  const messages: StoredMessage[] = [];
  const take = (message: Msg) => {
    const code = message.headers?.code ?? -1;
    if (code === 404) resolve({ messages, more: false });
    else if (code === 204) resolve({ messages, more: Number(message.headers?.get("Nats-Num-Pending")) > 0 });
    else if (code !== 0) reject(failure(code === 503 ? "timeout" : "refused", `status ${code}`));
    // Each names the one that was sent before it: one that was lost on the way is not passed over.
    else if (Number(message.headers?.get("Nats-Last-Sequence")) !== (messages.at(-1)?.sequence ?? 0)) {
      reject(failure("timeout", "a message was lost on the way"));
    } else messages.push(stored(message));
  };
  let stopTimer = () => {};
  const expectMore = () => {
    stopTimer();
    const late = () => reject(failure("timeout", `nothing more within ${limits.getTimeoutMs} ms`));
    stopTimer = after(limits.getTimeoutMs, late);
  };
  const subscription = c.wire.nc.subscribe(inbox, {
    callback: (error, message) => {
      if (error) return reject(failure("refused", "the server refused the subscription"));
      expectMore();
      take(message);
    },
  });
  const stopListening = c.wire.onDisconnect(() => reject(failure("timeout", "the connection was lost")));
  const onAbort = () => reject(failure("closed", "it was given up"));
  signal.addEventListener("abort", onAbort);
  try {
    const query = { seq: from, next_by_subj: filter ?? ">", batch: limits.directMessagesMax };
    const portion = { ...query, max_bytes: limits.directBytesMax };
    c.wire.nc.publish(api.directGet(c.region, stream), encoder.encode(JSON.stringify(portion)), { reply: inbox });
    expectMore();
    return await promise;
  } finally {
    stopTimer();
    stopListening();
    signal.removeEventListener("abort", onAbort);
    subscription.unsubscribe();
  }
}
