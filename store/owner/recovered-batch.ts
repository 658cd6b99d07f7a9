import type { BatchOf } from "../format/batch.ts";
import { decodeBatchOf, nameOf, type Taking } from "../format/decode.ts";
import { decodeMetaField, emptyMeta } from "../format/meta.ts";
import { keyOf, type TextKey } from "../format/text-key.ts";
import type { WireReader } from "../format/wire.ts";

/** What the index takes of an event in the log: views of its message, so use it at once. */
export interface RecoveredEvent {
  readonly stream: TextKey;
  readonly id: TextKey;
  readonly revision: number;
  readonly digest: bigint;
  readonly recordedUs: number;
}

export type RecoveredBatch = BatchOf<TextKey, RecoveredEvent>;

const taking: Taking<TextKey, RecoveredEvent> = { name: (reader) => reader.key(), event: decodeEvent };

/** As decodeBatch; it refuses just what that one refuses. */
export function decodeForIndex(message: Uint8Array): RecoveredBatch {
  return decodeBatchOf(message, taking);
}

const noText: TextKey = keyOf("");

function decodeEvent(reader: WireReader, timeUs: number, streams: readonly TextKey[]): RecoveredEvent {
  const end = reader.length() + reader.at;
  const outer = reader.end;
  reader.end = end;
  let stream = 0;
  let revision = 0;
  let delta = 0;
  let digest = 0n;
  let id = noText;
  while (reader.at < end) {
    const tag = reader.uint();
    if (tag === 8) stream = reader.uint();
    else if (tag === 16) revision = reader.uint();
    else if (tag === 24) delta = reader.uint();
    else if (tag === 32) reader.uint();
    else if (tag === 41) digest = reader.fixed64();
    else if (tag === 50) id = reader.key();
    else if (tag === 58) reader.key();
    else if (tag === 66) reader.skip(tag);
    else decodeMetaField(reader, tag, emptyMeta);
  }
  reader.end = outer;
  return { stream: nameOf(streams, stream), id, revision, digest, recordedUs: timeUs + delta };
}
