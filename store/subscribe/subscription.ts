import { StoreError } from "../error.ts";
import type { Notice, RecordedEvent } from "../event-store.ts";
import type { SubscriptionLimits } from "../limits.ts";
import type { Filter } from "../read/event-filter.ts";
import type { Part } from "./subscription-part.ts";

/** One reader of the logs. It is never ahead of who takes its notices: nothing is held for a slow one. */
export interface Subscription {
  readonly notices: AsyncGenerator<Notice>;
  /** To be called now and then: says what has become due, and ends a reader that is too slow. */
  look(): void;
  /** Ends it with this error, whether its reader comes again or not. */
  end(error: StoreError): void;
}

export interface SubscriptionOptions {
  /** One for each log; `wake` is called when one of them has more. */
  readonly parts: (wake: () => void) => readonly Part[];
  readonly filter: Filter;
  readonly limits: SubscriptionLimits;
  readonly signal: AbortSignal;
  readonly closed: () => void;
}

// long: one state machine, whose states share what they set and read
export function createSubscription(options: SubscriptionOptions): Subscription {
  const { filter, limits, signal } = options;
  const gate = createGate();
  const parts = options.parts(gate.wake);
  let ended: unknown;
  let closed = false;
  /** It has said "caught up", and not "fell behind" since. */
  let told = false;
  /** Since when its reader has not come for more; undefined: it waits for us. */
  let awayMs: number | undefined;
  /** When it was last found to be away, but not too slow. */
  let lookedMs = 0;
  let saidMs = performance.now();
  /** Events that were filtered out since its positions were said last. */
  let passed = 0;
  let passedMs = 0;

  function close(): void {
    if (closed) return;
    closed = true;
    signal.removeEventListener("abort", close);
    for (const part of parts) part.close();
    gate.wake();
    options.closed();
  }

  function end(error: unknown): void {
    ended ??= error;
    close();
  }

  function passOver(events: number): void {
    if (events === 0) return;
    if (passed === 0) passedMs = performance.now();
    passed += events;
  }

  /** What is to be said between two batches. */
  function due(): Notice | undefined {
    const positions = () => parts.flatMap((part) => part.positions());
    const live = parts.every((part) => (told ? part.live() : part.caughtUp()));
    if (live !== told) {
      told = live;
      return { kind: live ? "caught-up" : "fell-behind", positions: positions() };
    }
    const now = performance.now();
    if (passed >= limits.checkpointEvents || (passed > 0 && now - passedMs >= limits.checkpointMs)) {
      return { kind: "checkpoint", positions: positions() };
    }
    return now - saidMs >= limits.heartbeatMs ? { kind: "heartbeat", positions: positions() } : undefined;
  }

  async function* follow(): AsyncGenerator<Notice> {
    try {
      signal.addEventListener("abort", close);
      if (signal.aborted) close();
      // One that was told to stop does not care what failed meanwhile.
      await Promise.all(parts.map((part) => part.begin())).catch((error) => closed || end(error));
      while (!closed) {
        let idle = true;
        for (const part of parts) {
          const batch = part.take();
          if (batch === undefined) continue;
          idle = false;
          const all = filter.batch(batch) ? batch.events : nothing;
          passOver(batch.events.length - all.length);
          for (const event of all) {
            if (filter.event?.(event) === false) {
              passOver(1);
              continue;
            }
            part.passed(event.position);
            saidMs = awayMs = performance.now();
            yield { kind: "event", event };
            awayMs = undefined;
            if (closed) break;
          }
          if (closed) break;
          if (batch.accepted) part.passed(batch);
        }
        const notice = closed ? undefined : due();
        if (notice !== undefined) {
          passed = 0;
          saidMs = awayMs = performance.now();
          yield notice;
          awayMs = undefined;
        } else if (idle && !closed) await gate.opened();
      }
    } finally {
      close();
    }
    if (ended !== undefined) throw ended;
  }

  /** It takes nothing, and more waits for it than may: it would keep its turn from others, and its place, for ever. */
  async function endIfSlow(since: number): Promise<void> {
    const waiting = await Promise.all(parts.map((part) => part.waiting())).catch(() => []);
    const batches = waiting.reduce((sum, each) => sum + each, 0);
    const tooMany = batches > limits.waitingBatchesMax || parts.some((part) => part.dropped());
    if (awayMs !== since || closed || !tooMany) return;
    const positions = parts.flatMap((part) => part.positions());
    const text = `the subscriber took nothing for ${limits.slowMs} ms while ${batches} batches waited for it; resume after \`positions\``;
    end(new StoreError("slow-subscriber", text, { positions }));
  }

  return {
    notices: follow(),
    end,
    look() {
      const now = performance.now();
      if (awayMs === undefined) {
        if (passed > 0 || now - saidMs >= limits.heartbeatMs || parts.some((part) => part.behind())) gate.wake();
      } else if (
        now - Math.max(awayMs, lookedMs) >= limits.slowMs &&
        parts.some((part) => !part.live() || part.dropped())
      ) {
        lookedMs = now;
        void endIfSlow(awayMs);
      }
    },
  };
}

const nothing: readonly RecordedEvent[] = [];

/** Opened by what comes, and shut by who has passed. */
function createGate() {
  let open = false;
  let pass: (() => void) | undefined;
  return {
    wake(): void {
      open = true;
      pass?.();
      pass = undefined;
    },
    async opened(): Promise<void> {
      if (!open) {
        await new Promise<void>((resolve) => {
          pass = resolve;
        });
      }
      open = false;
    },
  };
}
