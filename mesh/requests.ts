import { createAnswering } from "./answering.ts";
import { sleep } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { MeshError } from "./error.ts";
import * as limits from "./limits.ts";
import { serviceHeaders } from "./subjects.ts";

/**
 * Asks a service. Rejects with MeshError: "no-responders" (surely not done), "timeout" (unknown), "refused" (the service
 * is busy or failed, or a permission forbids it), "closed" (the caller's signal, or the connection).
 */
export async function request(
  c: Connection,
  subject: string,
  data: Uint8Array,
  options: { timeoutMs: number; signal?: AbortSignal },
): Promise<Uint8Array> {
  const answer = await c.wire.ask(subject, data, options);
  const error = answer.headers?.get(serviceHeaders.error) ?? "";
  if (error !== "") throw new MeshError("refused", `${subject}: ${error}`);
  return answer.data;
}

/**
 * Answers requests, at most `concurrency` at once; a bounded number waits, the rest is refused at once. With `queue`, one
 * of the processes that serve the subject gets each request. Disposing finishes what has begun.
 */
export function serve(
  c: Connection,
  subject: string,
  options: { queue?: string; concurrency?: number },
  handler: (data: Uint8Array) => Promise<Uint8Array>,
): AsyncDisposable {
  const { logger } = c.wire;
  const concurrency = options.concurrency ?? limits.serveConcurrency;
  const answering = createAnswering(c, subject, concurrency, async ({ data, respond }) => respond(await handler(data)));
  const subscription = c.wire.nc.subscribe(subject, {
    queue: options.queue,
    callback: (error, message) => {
      if (error) logger.error({ subject, error }, "NATS refused the subscription of a service");
      else answering.take(message);
    },
  });
  return {
    async [Symbol.asyncDispose]() {
      // Not unsubscribe(): a request that is on its way here would be dropped, and its sender wait for nothing.
      const drained = subscription.isClosed() ? undefined : subscription.drain().catch(() => {});
      if (c.connected()) await Promise.race([drained, sleep(limits.closeTimeoutMs)]);
      await answering.ended();
    },
  };
}
