import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Root of the project: configs/ and the orders are in it. */
export const projectRoot = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..");

export const shippedOrders = join(projectRoot, "cli", "demo", "data", "orders-10k.ndjson.gz");

/** Where everything of one demo stands. */
export interface Layout {
  readonly dir: string;
  readonly mesh: string;
  readonly postgres: string;
  readonly provider: string;
  region(name: string): string;
}

export function layout(dir: string): Layout {
  return {
    dir,
    mesh: join(dir, "mesh.toml"),
    postgres: join(dir, "postgres"),
    provider: join(dir, "provider"),
    region: (name) => join(dir, `${name}.toml`),
  };
}

/** A name of PostgreSQL that needs no quotes. */
export const databaseName = (region: string) => region.replaceAll("-", "_");
