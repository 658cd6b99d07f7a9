import { StoreError } from "../error.ts";
import type { AppendOptions, AppendOutcome } from "../event-store.ts";
import { appendWaitMs } from "../limits.ts";
import type { AppendPart } from "./append-part.ts";
import { movedAway } from "./moved-away.ts";

export interface PendingOptions extends AppendOptions {
  /** True (the default): all its parts or none. False: each part for itself, one after the other. */
  readonly atomic?: boolean;
  /** True: another process sent it here, and looks for the next one when this one does not take it. */
  readonly forwarded?: boolean;
  /** True: it was sent here as to the owner; it is not handed on again. */
  readonly final?: boolean;
}

/**
 * An append on its way through the owner of its shard: to one stream, to several at once, or a row of appends that keep their
 * order. It waits, is decided in a group, and is settled with the group's batch. Before it is decided it can be withdrawn.
 */
export class Pending {
  readonly priority: NonNullable<AppendOptions["priority"]>;
  readonly atomic: boolean;
  readonly forwarded: boolean;
  readonly final: boolean;
  /** How long it may wait, and performance.now() from which on it is decided no more. */
  readonly waitMs: number;
  readonly deadline: number;
  /** Of all its parts. */
  readonly events: number;
  readonly bytes: number;
  settled = false;
  /** True: in a group whose batch may be on its way, or sent to another process. */
  underWay = false;
  /**
   * True: an earlier owner was sent it and lost the shard without an answer. What the next one says of it is certain only where
   * it was recorded: the first one may still hold it, and wake.
   */
  leftBehind = false;
  private readonly signal: AbortSignal | undefined;
  private readonly withdraw: (() => void) | undefined;

  constructor(
    readonly parts: readonly AppendPart[],
    options: PendingOptions,
    /** One for each part, in order. A refusal among them: only where each part is for itself. */
    private readonly onOutcomes: (outcomes: readonly AppendOutcome[]) => void,
    private readonly onError: (error: StoreError) => void,
  ) {
    let events = 0;
    let bytes = 0;
    for (const part of parts) {
      events += part.events.length;
      bytes += part.bytes;
    }
    this.events = events;
    this.bytes = bytes;
    this.priority = options.priority ?? "client";
    this.atomic = options.atomic ?? true;
    this.forwarded = options.forwarded ?? false;
    this.final = options.final ?? false;
    this.waitMs = Math.min(appendWaitMs, options.timeoutMs ?? appendWaitMs);
    this.deadline = performance.now() + this.waitMs;
    this.signal = options.signal;
    if (this.signal === undefined) return;
    this.withdraw = () => this.reject(givenUp(this));
    if (this.signal.aborted) this.withdraw();
    else this.signal.addEventListener("abort", this.withdraw);
  }

  resolve(outcomes: readonly AppendOutcome[]): void {
    this.end();
    const certain = (one: AppendOutcome) => (one instanceof StoreError ? unknown(this, one) : one);
    this.onOutcomes(this.leftBehind ? outcomes.map(certain) : outcomes);
  }

  reject(error: StoreError): void {
    this.end();
    this.onError(this.leftBehind ? unknown(this, error) : error);
  }

  private end(): void {
    this.settled = true;
    if (this.withdraw !== undefined) this.signal?.removeEventListener("abort", this.withdraw);
  }
}

function unknown({ parts }: Pending, cause: StoreError): StoreError {
  const text = `append to ${streamsOf(parts)} was sent to a process that has lost its shard, and did not answer: whether it was recorded is not known; repeat it with the same ids`;
  const code = cause.code === "cancelled" ? cause.code : "unavailable";
  return new StoreError(code, text, { retryAfterMs: 1_000 }, { cause });
}

/** Its caller waits no longer. What is not under way never will be; what is, is recorded if it is accepted. */
export function givenUp(pending: Pending): StoreError {
  const what = pending.underWay
    ? "while it was under way: repeat it with the same ids to learn what became of it"
    : "before it was decided: nothing was recorded";
  return new StoreError("cancelled", `append to ${streamsOf(pending.parts)} was given up ${what}`);
}

/** It waited as long as its caller would. */
export function expired(pending: Pending, why = "it was not decided in time"): StoreError {
  const outcome = pending.underWay ? "whether it was recorded is not known" : "nothing was recorded";
  const text = `append to ${streamsOf(pending.parts)} waited ${Math.round(pending.waitMs)} ms in vain, ${why}: ${outcome}; repeat it with the same ids`;
  return new StoreError("unavailable", text, { retryAfterMs: 1_000 });
}

/** The process stops, and had not decided it. Who sent it here finds the next one. */
export function stopping(pending: Pending): StoreError {
  if (pending.forwarded) return movedAway(streamsOf(pending.parts));
  const outcome = pending.underWay ? "whether the append was recorded is not known" : "nothing was recorded";
  const text = `this process is stopping: ${outcome}; repeat it with the same ids`;
  return new StoreError("unavailable", text, { retryAfterMs: 1_000 });
}

/** Names an append in a message. */
export function streamsOf(parts: readonly AppendPart[]): string {
  const { stream } = parts[0]!.request;
  return parts.length === 1 ? stream : `${stream} and ${parts.length - 1} more`;
}
