import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/**
 * How many messages are in one, at any depth, counted without decoding it. `check` is called with each count, and ends it by
 * throwing. Bytes that are no message of this kind throw a RangeError or an Error; what comes before the fault is counted.
 */
export function countParts(schema: DescMessage, bytes: Uint8Array, check: (count: number) => void): void {
  const reader = new BinaryReader(bytes);
  let count = 0;
  // Not by recursion: the depth is the sender's to choose.
  const open = [{ schema, fields: fieldsOf(schema), end: bytes.length }];
  for (let at = open.at(-1); at !== undefined; at = open.at(-1)) {
    if (reader.pos >= at.end) {
      open.pop();
      continue;
    }
    const [number, wireType] = reader.tag();
    // Whatever the wire type says: the decoder does not look at it either.
    const field = at.fields.get(number);
    if (field === undefined) {
      pass(reader, wiresOf(at.schema).get(number) ?? wireType, number);
      continue;
    }
    check(++count);
    const length = reader.uint32();
    if (field.fieldKind === "map") reader.pos += length;
    else open.push({ schema: field.message!, fields: fieldsOf(field.message!), end: reader.pos + length });
  }
}

/** As `skip` does, without the view that it makes of each field: counting takes half the time. */
function pass(reader: BinaryReader, wireType: WireType, number: number): void {
  if (wireType !== WireType.LengthDelimited) {
    reader.skip(wireType, number);
    return;
  }
  const length = reader.uint32();
  reader.pos += length;
  if (reader.pos > reader.len) throw new RangeError("premature EOF");
}

const known = new WeakMap<DescMessage, ReadonlyMap<number, DescField>>();

/** The fields that hold messages, or entries of a map, by number. */
function fieldsOf(schema: DescMessage): ReadonlyMap<number, DescField> {
  let fields = known.get(schema);
  if (fields === undefined) {
    const holding = schema.fields.filter((field) => field.fieldKind === "map" || field.message !== undefined);
    fields = new Map(holding.map((field) => [field.number, field]));
    known.set(schema, fields);
  }
  return fields;
}

const wires = new WeakMap<DescMessage, ReadonlyMap<number, WireType>>();

/**
 * How the decoder reads the other fields: by what they are, whatever wire type their tag names. A number whose tag says
 * "length-delimited" is a number to it, and what seems to be its content are fields.
 */
function wiresOf(schema: DescMessage): ReadonlyMap<number, WireType> {
  let found = wires.get(schema);
  if (found === undefined) {
    const known = schema.fields.flatMap((field): [number, WireType][] => {
      if (field.fieldKind === "scalar") return [[field.number, wireOf(field.scalar)]];
      if (field.fieldKind === "enum") return [[field.number, WireType.Varint]];
      // Of numbers they may be packed or not, as the tag says.
      const wire = field.fieldKind === "list" && field.listKind === "scalar" ? wireOf(field.scalar) : undefined;
      return wire === WireType.LengthDelimited ? [[field.number, wire]] : [];
    });
    found = new Map(known);
    wires.set(schema, found);
  }
  return found;
}

function wireOf(scalar: ScalarType): WireType {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return WireType.LengthDelimited;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    default:
      return WireType.Varint;
  }
}

const quote = 0x22;
const backslash = 0x5c;
const brace = 0x7b;
const bracket = 0x5b;

/** The same of JSON: its objects and arrays. */
export function countJsonParts(bytes: Uint8Array, check: (count: number) => void): void {
  let count = 0;
  let quoted = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === quote) quoted = !quoted;
    else if (quoted) at += byte === backslash ? 1 : 0;
    else if (byte === brace || byte === bracket) check(++count);
  }
}
