import { headers as createHeaders, type MsgHdrs } from "nats";
import { monotonicMs, sleep } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { directGet } from "./direct-get.ts";
import { MeshError } from "./error.ts";
import { follow, openEphemeral, readRange } from "./feed.ts";
import { apiCode, call, noMessageFound, type StreamInfo, unavailableNow } from "./jetstream-api.ts";
import * as limits from "./limits.ts";
import type { Log, LogName, LogState, PublishRequest, StoredMessage } from "./log.ts";
import { publish } from "./publish.ts";
import { api, logStream, logSubjects, shardOf } from "./subjects.ts";

export interface LogFacts {
  readonly identity: Uint8Array;
  readonly shards: number;
  readonly replicas: number;
  readonly mirror: boolean;
}

/** The log behind a stream in this region's domain: its own, or the mirror of another region's. */
export function createLog(c: Connection, name: LogName, facts: LogFacts): Log {
  const stream = logStream(name);
  const subjects = logSubjects(name, facts.shards);
  const subjectOf = (shard: number): string => {
    const subject = subjects[shard];
    if (subject !== undefined) return subject;
    throw new MeshError("not-found", `${stream} has shards 0 to ${facts.shards - 1}, no shard ${shard}`);
  };
  return {
    name,
    ...facts,
    async publish(shard, data, request) {
      if (facts.mirror) return { kind: "refused", reason: `${stream} in ${c.region} is a mirror` };
      return publish(c, {
        subject: subjectOf(shard),
        data,
        headers: publishHeaders(request),
        timeoutMs: request.timeoutMs,
        full: () => fullness(c, stream, data.length),
      });
    },
    lastMessage: async (shard) => getMessage(c, stream, { last_by_subj: subjectOf(shard) }),
    messageAfter: async (shard, sequence) =>
      getMessage(c, stream, { seq: sequence + 1, next_by_subj: subjectOf(shard) }),
    async message(sequence) {
      if (facts.replicas === 1) return directGet(c, stream, sequence);
      // Any replica answers, also one that lags behind or is about to die: then the leader is asked.
      const found = await directGet(c, stream, sequence).catch(() => undefined);
      return found ?? getMessage(c, stream, { seq: sequence });
    },
    read: (shard, range) => readRange(c, { stream, filter: subjectOf(shard), replicas: facts.replicas, ...range }),
    readAll: (range) => readRange(c, { stream, replicas: facts.replicas, ...range }),
    follow: (options) => follow(c, stream, options),
    state: () => logState(c, stream),
    // The server counts for a consumer, which it deletes again at once.
    count: async (shard, sequence) => {
      const start = { stream, filter: subjectOf(shard), from: sequence + 1, inactiveMs: limits.countingInactiveMs };
      return (await openEphemeral(c, start)).pending;
    },
  };
}

async function logState(c: Connection, stream: string): Promise<LogState> {
  const { state, config, ts } = await call<StreamInfo>(c, api.streamInfo(c.region, stream), undefined);
  return {
    messages: state.messages,
    bytes: state.bytes,
    bytesMax: config.max_bytes,
    firstSequence: state.first_seq,
    lastSequence: state.last_seq,
    timeMs: Date.parse(ts),
  };
}

function publishHeaders(request: PublishRequest): MsgHdrs {
  const headers = createHeaders();
  headers.set("Nats-Msg-Id", request.id);
  headers.set("Nats-Expected-Last-Subject-Sequence", String(request.expected));
  for (const name in request.headers) headers.set(name, request.headers[name]!);
  return headers;
}

/**
 * A full stream and a failing disk give the same code. Only a full one has surely not stored the message: after a failed
 * write it may still be found in the file at the next start.
 */
async function fullness(c: Connection, stream: string, bytes: number): Promise<string | undefined> {
  const { bytes: used, bytesMax } = await logState(c, stream);
  const full = bytesMax > 0 && used + bytes + limits.messageOverheadBytesMax > bytesMax;
  return full ? `${stream} is full: ${used} of ${bytesMax} bytes` : undefined;
}

interface StoredAnswer {
  readonly message: {
    readonly subject: string;
    readonly seq: number;
    readonly hdrs?: string;
    readonly data?: string;
    readonly time: string;
  };
}

type MessageQuery = { last_by_subj: string } | { seq: number; next_by_subj?: string };

/** Asked of whoever believes to be the stream's leader. Undefined: no such message. */
export async function getMessage(
  c: Connection,
  stream: string,
  query: MessageQuery,
): Promise<StoredMessage | undefined> {
  const until = monotonicMs() + limits.getTimeoutMs;
  for (;;) {
    try {
      return await askForMessage(c, stream, query);
    } catch (error) {
      // A server that has just started or woken up says so before it knows the leader, and before that one answers.
      if (apiCode(error) !== unavailableNow || monotonicMs() > until) throw error;
    }
    await sleep(limits.reopenMsMin);
  }
}

async function askForMessage(c: Connection, stream: string, query: MessageQuery): Promise<StoredMessage | undefined> {
  const subject = api.messageGet(c.region, stream);
  try {
    const { message } = await call<StoredAnswer>(c, subject, query, { timeoutMs: limits.getTimeoutMs });
    return {
      subject: message.subject,
      shard: shardOf(message.subject),
      sequence: message.seq,
      timeMs: Date.parse(message.time),
      data: Buffer.from(message.data ?? "", "base64"),
      id: /^Nats-Msg-Id: *(.*?)\r?$/m.exec(Buffer.from(message.hdrs ?? "", "base64").toString())?.[1] ?? "",
    };
  } catch (error) {
    if (apiCode(error) === noMessageFound) return undefined;
    throw error;
  }
}
