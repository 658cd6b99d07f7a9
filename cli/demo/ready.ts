import { setTimeout as wait } from "node:timers/promises";

/** How often is asked: short beside the second or two that a start takes, rare enough to cost nothing. */
const pollMs = 100;
const answerMs = 2_000;

/** Resolves when `url` answers 2xx; rejects only when the signal aborts. */
export async function untilOk(url: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    if (await isOk(url, signal)) return;
    await wait(pollMs, undefined, { signal });
  }
}

async function isOk(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
