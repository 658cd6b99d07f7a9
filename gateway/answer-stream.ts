import { stalled } from "./rpc-errors.ts";
import { after } from "./wait.ts";

/**
 * Pulls no faster than the client reads: one part waits here, beside what the sockets' buffers take (4 MB, measured on
 * Linux). A client that goes away aborts `gone`, and with it what the call waits for; so does one that takes nothing for
 * `stalledMs`, whose connection is cut.
 */
export function toStream(
  body: AsyncIterable<Uint8Array>,
  gone: AbortController,
  stalledMs: number,
): ReadableStream<Uint8Array> {
  const parts = body[Symbol.asyncIterator]();
  let taken = () => {};
  return new ReadableStream({
    async pull(controller) {
      taken();
      const part = await parts.next();
      if (part.done === true) return controller.close();
      controller.enqueue(part.value);
      taken = after(stalledMs, () => {
        const reason = stalled(stalledMs);
        gone.abort(reason);
        controller.error(reason);
        void parts.return?.();
      });
    },
    async cancel(reason) {
      taken();
      gone.abort(reason);
      await parts.return?.();
    },
  });
}
