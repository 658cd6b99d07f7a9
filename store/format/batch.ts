import type { Attribute } from "../event-store.ts";

/** Kinds of a batch, as in meridian.log.v1.Kind. */
export const kinds = { events: 0, epoch: 1, seal: 2, continue: 3 } as const;

/** A batch as decoded from a message of the log, with what its reader takes of its events. */
export interface BatchOf<Name, Event> {
  /** 16 bytes. */
  readonly log: Uint8Array;
  readonly shard: number;
  readonly epoch: number;
  readonly previous: number;
  readonly owner: bigint;
  readonly number: number;
  readonly kind: number;
  readonly timeUs: number;
  readonly streams: readonly Name[];
  readonly events: readonly Event[];
  readonly otherLog: Uint8Array;
  readonly otherSequence: number;
  readonly writer: string;
}

/** All of it; 64-bit numbers are safe integers, but for owner and digest. */
export type Batch = BatchOf<string, BatchEvent>;

export interface BatchEvent {
  /** Name of the stream (resolved). */
  readonly stream: string;
  readonly revision: number;
  readonly recordedUs: number;
  /** Events of one append share it. */
  readonly append: number;
  readonly digest: bigint;
  readonly id: string;
  readonly type: string;
  readonly data: Uint8Array;
  readonly contentType: string;
  readonly schema: number;
  readonly occurredUs: number;
  readonly correlation: string;
  readonly causation: string;
  readonly traceparent: string;
  readonly attributes: readonly Attribute[];
  readonly actor: string;
  readonly dataKey: string;
}
