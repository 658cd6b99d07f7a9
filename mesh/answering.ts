import { headers as createHeaders, type Msg } from "nats";
import type { Connection } from "./connection.ts";
import * as limits from "./limits.ts";
import { serviceHeaders } from "./subjects.ts";

/** A question to a service. Whoever answers it neither way leaves the asker without an answer. */
export interface Question {
  readonly data: Uint8Array;
  respond(data: Uint8Array): void;
  /** Answers with an error, as NATS services do; `code` is like HTTP's. */
  refuse(code: number, reason: string): void;
}

export interface Answering {
  take(message: Msg): void;
  /** Resolves when nothing is under way, or waits. */
  ended(): Promise<void>;
  counts(): AnsweringCounts;
}

export interface AnsweringCounts {
  readonly running: number;
  readonly waiting: number;
  readonly ended: number;
  /** Answered with an error. */
  readonly refused: number;
  /** Of all that have ended, their wait included. */
  readonly totalMs: number;
}

/** Works on at most `concurrency` questions at once; a bounded number waits, the rest is refused at once. */
export function createAnswering(
  c: Connection,
  subject: string,
  concurrency: number,
  handler: (question: Question) => Promise<void>,
): Answering {
  const waiting: { message: Msg; atMs: number }[] = [];
  const running = new Set<Promise<void>>();
  const counts = { ended: 0, refused: 0, totalMs: 0 };

  function refuse(message: Msg, code: number, reason: string): void {
    counts.refused++;
    if (c.wire.closed()) return;
    const headers = createHeaders();
    headers.set(serviceHeaders.error, reason);
    headers.set(serviceHeaders.errorCode, String(code));
    message.respond(undefined, { headers });
  }
  async function answer(message: Msg): Promise<void> {
    try {
      await handler({
        data: message.data,
        respond: (data) => void (c.wire.closed() || message.respond(data)),
        refuse: (code, reason) => refuse(message, code, reason),
      });
    } catch (error) {
      c.wire.logger.error({ subject, error }, "a service failed");
      refuse(message, 500, "the service failed");
    }
  }
  const start = (message: Msg, atMs: number) => {
    const work = answer(message).then(() => {
      running.delete(work);
      counts.ended++;
      counts.totalMs += performance.now() - atMs;
      const next = waiting.shift();
      if (next !== undefined) start(next.message, next.atMs);
    });
    running.add(work);
  };
  return {
    take(message) {
      const atMs = performance.now();
      if (running.size < concurrency) start(message, atMs);
      else if (waiting.length < limits.serveWaitingMax) waiting.push({ message, atMs });
      else refuse(message, 503, "busy");
    },
    async ended() {
      while (running.size > 0) await Promise.all(running);
    },
    counts: () => ({ ...counts, running: running.size, waiting: waiting.length }),
  };
}
