import type { MsgHdrs } from "nats";
import type { Connection } from "./connection.ts";
import { MeshError } from "./error.ts";
import type { PublishOutcome } from "./log.ts";
import { publishOutcome, storeFailed } from "./outcome.ts";

const decoder = new TextDecoder();

export interface Publish {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs;
  readonly timeoutMs: number;
  /** Asked when the store failed: full, or broken? Absent: unknown. */
  readonly full?: () => Promise<string | undefined>;
}

/** One publish into JetStream, as a request. It never rejects: what is not known is "unknown". */
export async function publish(c: Connection, p: Publish): Promise<PublishOutcome> {
  try {
    const answer = await c.wire.ask(p.subject, p.data, p);
    const parsed = JSON.parse(decoder.decode(answer.data));
    const full = parsed.error?.err_code === storeFailed ? await p.full?.() : undefined;
    return full === undefined ? publishOutcome(parsed) : { kind: "refused", reason: `${full} (${storeFailed})` };
  } catch (error) {
    if (error instanceof MeshError && error.code === "refused") return { kind: "refused", reason: error.message };
    return { kind: "unknown", reason: error instanceof Error ? error.message : String(error) };
  }
}
