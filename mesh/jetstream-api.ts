/** Calls of the JetStream API: JSON in, JSON out, errors by code. */
import type { Connection } from "./connection.ts";
import { MeshError } from "./error.ts";
import * as limits from "./limits.ts";
import { patiently } from "./replies.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Stream, consumer or message not found. */
const notFound = new Set([10014, 10037, 10059, 10149]);
/** The cluster has no leader at the moment, too few servers, or JetStream is still starting: to be asked again, like a timeout. */
const unavailable = new Set([10004, 10005, 10007, 10008, 10009, 10039, 10076, 10118, 10119]);

function apiError(code: number, subject: string, description: string): MeshError {
  const kind = notFound.has(code) ? "not-found" : unavailable.has(code) ? "timeout" : "refused";
  return new MeshError(kind, `${subject}: ${description} (${code})`, { cause: { apiCode: code } });
}

export const noMessageFound = 10037;
/** Of a server that knows no leader, while another one may. */
export const unavailableNow = 10008;

/** JetStream's own code behind an error of `call`. */
export function apiCode(error: unknown): number | undefined {
  const cause = error instanceof MeshError ? error.cause : undefined;
  return typeof cause === "object" && cause !== null && "apiCode" in cause ? Number(cause.apiCode) : undefined;
}

interface ApiAnswer {
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string };
}

/** Rejects with MeshError: what `ask` rejects with, "not-found", and "refused" for every other error in the answer. */
export async function call<T>(
  c: Connection,
  subject: string,
  body: unknown,
  o: { timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<T> {
  const data = encoder.encode(body === undefined ? "" : JSON.stringify(body));
  const answer = await c.wire.ask(subject, data, { timeoutMs: o.timeoutMs ?? limits.apiTimeoutMs, signal: o.signal });
  const parsed = JSON.parse(decoder.decode(answer.data)) as T & ApiAnswer;
  if (parsed.error !== undefined) {
    const code = parsed.error.err_code ?? parsed.error.code;
    throw apiError(code, subject, parsed.error.description ?? "no description");
  }
  return parsed;
}

/** The same, repeated while nobody answers: an API call is idempotent as we use it. */
export function callPatiently<T>(
  c: Connection,
  subject: string,
  body: unknown,
  o: { patienceMs?: number; signal?: AbortSignal } = {},
): Promise<T> {
  return patiently(() => call<T>(c, subject, body, { signal: o.signal }), {
    patienceMs: o.patienceMs ?? limits.apiPatienceMs,
    pauseMs: limits.reconnectWaitMs,
    signal: o.signal,
  });
}

export interface StreamInfo {
  readonly created: string;
  /** The server's clock as it answered, RFC 3339. */
  readonly ts: string;
  readonly did_create?: boolean;
  readonly config: {
    readonly name: string;
    readonly subjects?: readonly string[];
    readonly num_replicas: number;
    readonly max_bytes: number;
    /** Nanoseconds. */
    readonly max_age: number;
    readonly metadata?: Readonly<Record<string, string>>;
    readonly mirror?: object;
    readonly storage: string;
  };
  readonly state: {
    readonly messages: number;
    readonly bytes: number;
    readonly first_seq: number;
    readonly last_seq: number;
    readonly consumer_count: number;
  };
  readonly mirror?: {
    readonly lag: number;
    /** Nanoseconds since it last heard from its origin; -1: it never has. */
    readonly active: number;
    readonly error?: { readonly description: string };
  };
}

export interface ConsumerInfo {
  readonly name: string;
  readonly num_pending: number;
  readonly num_ack_pending: number;
  readonly ack_floor: { readonly stream_seq: number };
  readonly config: Readonly<Record<string, unknown>>;
}
