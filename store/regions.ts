import { StoreError } from "./error.ts";
import { parseTag } from "./ids.ts";

/** Which region is the home of a stream. */
export interface Regions {
  readonly tags: ReadonlySet<string>;
  tagOf(region: string): string;
  /** The home that the stream's id names by itself. Throws StoreError "invalid" where it looks minted and is not. */
  taggedHome(stream: string): string | undefined;
  /** The tag of the stream's id, else `given`, else the tenant's default region. Throws StoreError "invalid" or "unknown-region". */
  homeOf(stream: string, given?: string): string;
}

export function createRegions(options: {
  readonly regions: readonly { readonly name: string; readonly tag: string }[];
  readonly defaultRegion: string;
}): Regions {
  const byTag = new Map(options.regions.map(({ name, tag }) => [tag, name]));
  const byName = new Map(options.regions.map(({ name, tag }) => [name, tag]));
  const tags: ReadonlySet<string> = new Set(byTag.keys());
  function taggedHome(stream: string): string | undefined {
    const tag = parseTag(stream, tags, 256);
    return tag === undefined ? undefined : byTag.get(tag.tag);
  }
  return {
    tags,
    taggedHome,
    tagOf(region) {
      const tag = byName.get(region);
      if (tag === undefined)
        throw new StoreError("unknown-region", `there is no region "${region}"`, { field: "home" });
      return tag;
    },
    homeOf(stream, given) {
      if (given !== undefined && !byName.has(given)) {
        throw new StoreError(
          "unknown-region",
          `there is no region "${given}"; regions are ${[...byName.keys()].join(", ")}`,
          {
            field: "home",
          },
        );
      }
      const tagged = taggedHome(stream);
      if (tagged !== undefined && given !== undefined && tagged !== given) {
        throw new StoreError("invalid", `stream "${stream}" is at home in ${tagged}, not in ${given}`, {
          field: "home",
        });
      }
      return tagged ?? given ?? options.defaultRegion;
    },
  };
}
