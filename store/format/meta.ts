import type { Attribute, RecordedEvent } from "../event-store.ts";
import { encodeMetaFields } from "./encode.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** What an event says beside its id, type and data: fields 9 to 17 of meridian.log.v1.RecordedEvent. */
export type Meta = Pick<
  RecordedEvent,
  | "contentType"
  | "schema"
  | "occurredUs"
  | "correlation"
  | "causation"
  | "traceparent"
  | "attributes"
  | "actor"
  | "dataKey"
>;

/** Most events say nothing: they share this one. */
export const emptyMeta: Meta = Object.freeze({
  contentType: "",
  schema: 0,
  occurredUs: 0,
  correlation: "",
  causation: "",
  traceparent: "",
  attributes: Object.freeze([]) as readonly Attribute[],
  actor: "",
  dataKey: "",
});

type Mutable = { -readonly [K in keyof Meta]: Meta[K] };

/** Reads one field into `meta`, which is copied when it is the shared empty one. */
export function decodeMetaField(reader: WireReader, tag: number, meta: Meta): Meta {
  const out: Mutable = meta === emptyMeta ? { ...emptyMeta } : (meta as Mutable);
  if (tag === 74) out.contentType = reader.text();
  else if (tag === 80) out.schema = reader.uint();
  else if (tag === 88) out.occurredUs = reader.uint();
  else if (tag === 98) out.correlation = reader.text();
  else if (tag === 106) out.causation = reader.text();
  else if (tag === 114) out.traceparent = reader.text();
  else if (tag === 122) out.attributes = [...out.attributes, decodeAttribute(reader)];
  else if (tag === 130) out.actor = reader.text();
  else if (tag === 138) out.dataKey = reader.text();
  else reader.skip(tag);
  return out;
}

function decodeAttribute(reader: WireReader): Attribute {
  const inner = new WireReader(reader.bytes());
  let name = "";
  let value = "";
  while (inner.at < inner.end) {
    const tag = inner.uint();
    if (tag === 10) name = inner.text();
    else if (tag === 18) value = inner.text();
    else inner.skip(tag);
  }
  return { name, value };
}

/** The archive's `meta` column; undefined: nothing to keep. */
export function encodeMeta(event: Meta): Uint8Array | undefined {
  const out = new WireWriter(64);
  encodeMetaFields(out, event);
  const bytes = out.done();
  return bytes.length === 0 ? undefined : bytes;
}

export function decodeMeta(bytes: Uint8Array | null | undefined): Meta {
  if (bytes === null || bytes === undefined || bytes.length === 0) return emptyMeta;
  const reader = new WireReader(bytes);
  let meta = emptyMeta;
  while (reader.at < reader.end) meta = decodeMetaField(reader, reader.uint(), meta);
  return meta;
}
