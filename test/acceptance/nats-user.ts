import { readFileSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { connect, credsAuthenticator, type Msg, type NatsConnection } from "nats";
import type { Endpoints } from "../../cli/demo/endpoints.ts";
import { appendSubject, replyPrefix } from "../../mesh/subjects.ts";
import type { Batch } from "../../store/format/batch.ts";
import { decodeBatch } from "../../store/format/decode.ts";
import { ForwardRequestSchema } from "../../store/gen/meridian/log/v1/forward_pb.ts";

/** A NATS user of one tenant, region and role with a stock client, who tries everything and keeps all that reaches it. */
export interface NatsUser extends AsyncDisposable {
  readonly nc: NatsConnection;
  /** Everything that was delivered: answers, what a consumer sent, what was overheard. */
  readonly heard: Uint8Array[];
  /** What the server answered or nothing, where it refused or nobody was there. */
  ask(subject: string, data: unknown): Promise<Uint8Array | undefined>;
  /** Asks for a consumer that delivers all of a stream to an inbox of this user. */
  drain(stream: string): Promise<void>;
  listen(subjects: readonly string[]): void;
}

const askMs = 1_500;

export async function openUser(endpoints: Endpoints, region: string, tenant: string, role: string): Promise<NatsUser> {
  const { nats, credentials } = endpoints.regions[region]!;
  const nc = await connect({
    servers: nats,
    authenticator: credsAuthenticator(readFileSync(credentials[tenant]![role]!)),
    // An observer listens on inboxes of the usual name, our own processes on theirs.
    ...(role === "observer" ? {} : { inboxPrefix: replyPrefix(region) }),
  });
  const heard: Uint8Array[] = [];
  const inbox = role === "observer" ? "_INBOX" : replyPrefix(region);
  const keep = (_: Error | null, message: Msg) => void (message?.data && heard.push(message.data));
  let drains = 0;
  const user: NatsUser = {
    nc,
    heard,
    async ask(subject, data) {
      const bytes = data instanceof Uint8Array ? data : new TextEncoder().encode(JSON.stringify(data));
      try {
        const answer = await nc.request(subject, bytes, { timeout: askMs });
        heard.push(answer.data);
        return answer.data;
      } catch {
        return undefined; // a refusal, nobody there, or no answer: no difference to who wants to read
      }
    },
    async drain(stream) {
      const name = `spy-${role}-${drains++}`;
      const to = `${inbox}.${name}.${stream}`;
      nc.subscribe(to, { callback: keep });
      const config = { name, deliver_subject: to, deliver_policy: "all", ack_policy: "none", inactive_threshold: 60e9 };
      await user.ask(`$JS.API.CONSUMER.CREATE.${stream}.${name}`, { stream_name: stream, config });
    },
    listen(subjects) {
      for (const subject of subjects) nc.subscribe(subject, { callback: keep });
    },
    [Symbol.asyncDispose]: () => nc.close(),
  };
  return user;
}

/** The batch in what was heard: as it stands in the log, or as JetStream's answer carries it. */
export function batchIn(data: Uint8Array): Batch | undefined {
  for (const candidate of [data, stored(data)]) {
    try {
      if (candidate !== undefined) return decodeBatch(candidate);
    } catch {
      // not a batch
    }
  }
  return undefined;
}

function stored(data: Uint8Array): Uint8Array | undefined {
  try {
    const answer = JSON.parse(new TextDecoder().decode(data)) as { message?: { data?: string } };
    return answer.message?.data === undefined ? undefined : Buffer.from(answer.message.data, "base64");
  } catch {
    return undefined;
  }
}

/** What a process sends to have an event appended in `region`. */
export function forwardedAppend(region: string, stream: string): { subject: string; data: Uint8Array } {
  const event = { id: "stolen", type: "order.created", data: new TextEncoder().encode("{}") };
  const append = { stream, events: [event], home: region };
  const message = create(ForwardRequestSchema, { version: 1, appends: [{ append, digests: [0n], priority: 0 }] });
  return { subject: appendSubject(region, "any"), data: toBinary(ForwardRequestSchema, message) };
}
