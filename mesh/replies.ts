/**
 * Requests and their answers over one subscription. The client library has this too; ours differs where the log needs it:
 * a lost connection ends what waits at once ("unknown", to be sent again) instead of running into the timeout, and a
 * request makes one small object, no stack trace.
 */
import { type Msg, type MsgHdrs, type NatsConnection, NatsError, nuid } from "nats";
import { after, sleep } from "./clock.ts";
import { MeshError } from "./error.ts";

export interface AskOptions {
  readonly timeoutMs: number;
  readonly headers?: MsgHdrs;
  readonly signal?: AbortSignal;
}

export interface Replies {
  /**
   * One request, one answer. Rejects with MeshError: "no-responders", "timeout" (no answer, or the connection was lost
   * meanwhile), "refused" (a permission, a payload too large), "closed".
   */
  ask(subject: string, data: Uint8Array, options: AskOptions): Promise<Msg>;
  /** Ends everything that waits: its outcome is unknown. */
  interrupt(reason: string): void;
  /** The server refused, for want of rights, what was asked of the subjects that `isIt` names. */
  refuse(isIt: (subject: string) => boolean): void;
}

interface Waiting {
  readonly subject: string;
  readonly resolve: (message: Msg) => void;
  readonly reject: (error: MeshError) => void;
  readonly cancel: () => void;
}

export interface Link {
  connected(): boolean;
  /** Waits until the connection is up, at most `timeoutMs`. */
  ready(timeoutMs: number, signal?: AbortSignal): Promise<boolean>;
}

export function createReplies(nc: NatsConnection, prefix: string, link: Link): Replies {
  const inbox = `${prefix}.${nuid.next()}.`;
  const waiting = new Map<string, Waiting>();
  let count = 0;

  const take = (token: string): Waiting | undefined => {
    const found = waiting.get(token);
    if (found !== undefined) {
      waiting.delete(token);
      found.cancel();
    }
    return found;
  };
  let listening = false;
  /** With the first request: who asks for nothing needs no right to listen. */
  function listen(): void {
    if (!listening) subscribeTo(nc, inbox, take);
    listening = true;
  }

  function send(subject: string, data: Uint8Array, options: AskOptions): Promise<Msg> {
    return new Promise((resolve, reject) => {
      const token = (++count).toString(36);
      const fail = (error: MeshError) => take(token)?.reject(error);
      const onAbort = () => fail(new MeshError("closed", `the request to ${subject} was given up by its caller`));
      const cancelTimer = after(options.timeoutMs, () =>
        fail(new MeshError("timeout", `no answer from ${subject} within ${options.timeoutMs} ms`)),
      );
      const cancel = () => {
        cancelTimer();
        options.signal?.removeEventListener("abort", onAbort);
      };
      options.signal?.addEventListener("abort", onAbort);
      waiting.set(token, { subject, resolve, reject, cancel });
      try {
        listen();
        nc.publish(subject, data, { reply: inbox + token, headers: options.headers });
      } catch (error) {
        fail(publishError(subject, data.length, error));
      }
    });
  }

  return {
    async ask(subject, data, options) {
      if (options.signal?.aborted)
        throw new MeshError("closed", `the request to ${subject} was given up by its caller`);
      // What is published while the connection is down may be dropped without a word.
      if (!link.connected() && !(await link.ready(options.timeoutMs, options.signal))) {
        throw new MeshError("timeout", `no connection for ${subject} within ${options.timeoutMs} ms`);
      }
      return send(subject, data, options);
    },
    interrupt(reason) {
      for (const token of [...waiting.keys()]) {
        const found = take(token);
        found?.reject(new MeshError("timeout", `${reason} before ${found.subject} answered`));
      }
    },
    refuse(isIt) {
      for (const [token, { subject }] of [...waiting]) {
        if (!isIt(subject)) continue;
        take(token)?.reject(new MeshError("refused", `${subject}: the role's permissions forbid it`));
      }
    },
  };
}

function subscribeTo(nc: NatsConnection, inbox: string, take: (token: string) => Waiting | undefined): void {
  nc.subscribe(`${inbox}*`, {
    callback: (error, message) => {
      if (error) return; // the server refuses this inbox: every request runs into its timeout
      const found = take(message.subject.slice(inbox.length));
      if (found === undefined) return;
      if (!isNobody(message)) found.resolve(message);
      else found.reject(new MeshError("no-responders", `nobody listens on ${found.subject}`));
    },
  });
}

/** The server's own answer where no one has subscribed. */
const isNobody = (message: Msg) => message.data.length === 0 && message.headers?.code === 503;

function publishError(subject: string, bytes: number, cause: unknown): MeshError {
  const code = cause instanceof NatsError ? cause.code : "";
  if (code === "MAX_PAYLOAD_EXCEEDED") {
    return new MeshError("refused", `${bytes} bytes for ${subject} are more than the server's max_payload`, { cause });
  }
  return new MeshError("closed", `cannot send to ${subject}: the connection is closed`, { cause });
}

/** Repeats `action` while it fails with "timeout" or "no-responders" and `patienceMs` have not passed. */
export async function patiently<T>(
  action: () => Promise<T>,
  o: { patienceMs: number; pauseMs: number; signal?: AbortSignal },
): Promise<T> {
  const until = performance.now() + o.patienceMs;
  for (;;) {
    try {
      return await action();
    } catch (error) {
      const again = error instanceof MeshError && (error.code === "timeout" || error.code === "no-responders");
      if (!again || o.signal?.aborted || performance.now() > until) throw error;
      await sleep(o.pauseMs, o.signal);
    }
  }
}
