/**
 * What the answer to a publish says, by error code, never by text (10164 says "wrong last sequence" too, and means
 * something else). Measured in part (10071, 10158, 10164, 10077, 10047), the rest read in the server's errors.json.
 */
import type { PublishOutcome } from "./log.ts";

/** Read back what follows the last message known. */
const wrongLastSequence = 10071;

/** Leaderless, in process, starting up: the message may be stored, or come to be. */
const unknownCodes = new Map<number, string>([
  [10007, "JetStream is not assigned to this server yet"],
  [10008, "JetStream is temporarily unavailable"],
  [10009, "this server cannot answer for the cluster"],
  [10118, "the stream is offline"],
  [10158, "the same message id is in process"],
  [10163, "the expectation cannot be checked yet"],
  [10164, "another message of the shard is in process"],
  [10167, "the stream has too many requests"],
  [10194, "the stream is offline"],
]);

/** Checked before anything is stored. */
const refusedCodes = new Map<number, string>([
  [10002, "the account's JetStream limits are reached"],
  [10023, "the server's JetStream resources are used up"],
  [10028, "the server's JetStream memory is used up"],
  [10047, "the storage is used up"],
  [10053, "a limit of the stream is reached"],
  [10054, "the message is larger than the stream allows"],
  [10060, "the stream is not the expected one"],
  [10070, "the expected last message id is not met"],
  [10097, "the headers are larger than 64 kB"],
  [10109, "the stream is sealed"],
  [10193, "the expectation has no sequence"],
]);

/** The store said no: because the stream is full, or because the disk failed; the caller looks which. */
export const storeFailed = 10077;

interface PublishAnswer {
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: { readonly err_code?: number; readonly code?: number; readonly description?: string };
}

/** A code that no table names counts as unknown: to repeat is always safe, to give up is not. */
export function publishOutcome(answer: PublishAnswer): PublishOutcome {
  const { error } = answer;
  if (error === undefined) {
    if (typeof answer.seq !== "number" || answer.seq < 1)
      return { kind: "unknown", reason: "no sequence in the answer" };
    return { kind: "stored", sequence: answer.seq, duplicate: answer.duplicate === true };
  }
  const code = error.err_code ?? 0;
  if (code === wrongLastSequence) return { kind: "wrong-last-sequence" };
  const refused = refusedCodes.get(code);
  if (refused !== undefined) return { kind: "refused", reason: `${refused} (${code})` };
  return { kind: "unknown", reason: `${unknownCodes.get(code) ?? error.description ?? "no reason given"} (${code})` };
}
