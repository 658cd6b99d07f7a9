import type { Connection } from "./connection.ts";
import { createTrouble, deliveries, openEphemeral } from "./feed.ts";
import type { LeaseChange } from "./lease.ts";
import { leaseKey, leaseStream, leaseSubject } from "./subjects.ts";

/**
 * What is held now, then every change of an owner. Each time the reader opens anew (the connection was lost), it compares
 * what is there with what it knew: a marker that came and went meanwhile is not missed.
 */
export async function* watchLeases(
  c: Connection,
  bucket: string,
  keys: string,
  signal: AbortSignal,
): AsyncGenerator<LeaseChange, void> {
  const stream = leaseStream(bucket);
  const trouble = createTrouble(c, stream, signal);
  const known = new Map<string, string>();
  const decoder = new TextDecoder();
  while (!signal.aborted) {
    const start = { stream, filter: leaseSubject(bucket, keys), from: "last-per-subject" } as const;
    const opened = await openEphemeral(c, start, signal).catch(trouble.report);
    if (opened === undefined) {
      await trouble.pause();
      continue;
    }
    const seen = new Set<string>();
    let snapshot = opened.pending > 0;
    if (!snapshot) yield* vanished(known, seen);
    const source = deliveries(c, { stream, consumer: opened.consumer, signal });
    try {
      for (;;) {
        const result = await source.next();
        if (result.done) {
          trouble.interrupted(result.value);
          break;
        }
        trouble.over();
        const { message, pending } = result.value;
        const key = leaseKey(bucket, message.subject);
        const owner = decoder.decode(message.data);
        seen.add(key);
        if ((known.get(key) ?? "") !== owner) {
          if (owner === "") known.delete(key);
          else known.set(key, owner);
          yield owner === "" ? { key } : { key, owner };
        }
        if (snapshot && pending === 0) {
          snapshot = false;
          yield* vanished(known, seen);
        }
      }
    } finally {
      await source.return("closed");
    }
    await trouble.pause();
  }
}

function* vanished(known: Map<string, string>, seen: ReadonlySet<string>): Generator<LeaseChange, void> {
  for (const key of [...known.keys()]) {
    if (seen.has(key)) continue;
    known.delete(key);
    yield { key };
  }
}
