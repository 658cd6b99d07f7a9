import type { DecodedBatch } from "../chain/decoded-batch.ts";
import type { RecordedEvent } from "../event-store.ts";
import { streamCategory } from "../ids.ts";
import { eventTypeBytesMax, filterNamesMax } from "../limits.ts";
import { invalidField } from "../messages.ts";
import { checkCategory, checkPrefix } from "./read-checks.ts";

/** What a reader asks for; what is absent or empty asks for everything. */
export interface EventFilter {
  readonly streams?: readonly string[];
  readonly categories?: readonly string[];
  readonly streamPrefix?: string;
  readonly types?: readonly string[];
  readonly fromRevision?: number;
}

/** Throws StoreError "invalid" that names the field. */
export function checkFilter({ categories = [], streamPrefix = "", types = [] }: EventFilter): void {
  for (const [field, names] of [["categories", categories] as const, ["types", types] as const]) {
    if (names.length > filterNamesMax)
      throw invalidField(field, `may hold ${filterNamesMax} names, not ${names.length}`);
  }
  for (const [at, category] of categories.entries()) checkCategory(category, `categories/${at}`);
  for (const [at, type] of types.entries()) {
    const bytes = Buffer.byteLength(type);
    if (bytes >= 1 && bytes <= eventTypeBytesMax) continue;
    throw invalidField(`types/${at}`, `must have 1 to ${eventTypeBytesMax} bytes, not ${bytes}`);
  }
  if (streamPrefix !== "") checkPrefix(streamPrefix, "stream_prefix");
}

/** Which events a reader gets. */
export interface Filter {
  /** False: surely none of the batch. */
  batch(batch: Pick<DecodedBatch, "events" | "streams" | "categories">): boolean;
  /** Absent: every event passes. */
  readonly event?: (event: Filtered) => boolean;
}

type Filtered = Pick<RecordedEvent, "stream" | "type" | "revision">;

export function createFilter(filter: EventFilter): Filter {
  const streams = some(filter.streams);
  const categories = some(filter.categories);
  const types = some(filter.types);
  const { streamPrefix = "", fromRevision = 0 } = filter;
  const everything = [streams, categories, types].every((set) => set === undefined);
  return {
    batch: (batch) =>
      batch.events.length > 0 &&
      (streams === undefined || !streams.isDisjointFrom(batch.streams())) &&
      (categories === undefined || !categories.isDisjointFrom(batch.categories())),
    ...(everything && streamPrefix === "" && fromRevision === 0
      ? {}
      : {
          event: ({ stream, type, revision }) =>
            (types?.has(type) ?? true) &&
            (streams?.has(stream) ?? true) &&
            stream.startsWith(streamPrefix) &&
            (categories?.has(streamCategory(stream)) ?? true) &&
            revision >= fromRevision,
        }),
  };
}

const some = (names: readonly string[] = []) => (names.length === 0 ? undefined : new Set(names));
