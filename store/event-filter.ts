import { streamCategory } from "./ids.ts";
import { eventTypeBytesMax, filterNamesMax } from "./limits.ts";
import { invalidField } from "./messages.ts";
import { checkCategory, checkPrefix } from "./read-checks.ts";

export interface EventFilter {
  readonly categories?: readonly string[];
  readonly streamPrefix?: string;
  readonly types?: readonly string[];
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

/** Undefined: everything passes. */
export function createFilter(
  filter: EventFilter,
): ((event: { readonly stream: string; readonly type: string }) => boolean) | undefined {
  const categories = some(filter.categories);
  const types = some(filter.types);
  const prefix = filter.streamPrefix ?? "";
  if (categories === undefined && types === undefined && prefix === "") return undefined;
  return ({ stream, type }) =>
    (types?.has(type) ?? true) && stream.startsWith(prefix) && (categories?.has(streamCategory(stream)) ?? true);
}

const some = (names: readonly string[] = []) => (names.length === 0 ? undefined : new Set(names));
