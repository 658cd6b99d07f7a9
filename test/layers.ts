/** The design's import directions; tidy.test.ts holds every file to them. */

/** What puts the store together: it alone at the root of store/ knows the rooms, and none of them knows it. */
const opening = ["store/open.ts", "store/appends.ts", "store/append-checks.ts"];

/** The layer that a file belongs to, by its path from the root. */
export function layerOf(path: string): string {
  if (opening.includes(path)) return "store/open";
  const [folder, room, ...file] = path.split("/");
  const isLayer = folder === "store" ? file.length > 0 && room !== "gen" : folder === "orders" && room === "workers";
  return isLayer ? `${folder}/${room}` : folder!;
}

/**
 * Who may import whom, beside the own layer; "store" is what stands at its root. test and bench may import everything, a
 * folder of store/ that is not named here nothing.
 */
export const allowed: Record<string, readonly string[]> = {
  orders: [],
  mesh: [],
  store: ["mesh"],
  "store/format": ["store"],
  "store/chain": ["store/format", "store", "mesh"],
  "store/owner": ["store/chain", "store/format", "store", "mesh"],
  "store/shards": ["store/owner", "store", "mesh"],
  "store/read": ["store/shards", "store/owner", "store/chain", "store/format", "store", "mesh"],
  "store/subscribe": ["store/read", "store/shards", "store/chain", "store/format", "store", "mesh"],
  "store/trim": ["store", "mesh"],
  "store/open": ["store/trim", "store/subscribe", "store/read", "store/shards", "store/owner", "store", "mesh"],
  projections: ["store/chain", "store/format", "store", "orders"],
  "orders/workers": ["store/chain", "store/format", "store", "mesh", "orders"],
  gateway: ["projections", "store/open", "store/chain", "store/format", "store", "orders"],
  cli: [
    ...["gateway", "projections", "orders/workers", "orders", "store", "store/open", "store/subscribe", "store/read"],
    ...["store/trim", "store/shards", "store/owner", "store/chain", "store/format", "mesh"],
  ],
};

/** What only one folder may touch. */
export const guarded: Record<string, readonly string[]> = {
  nats: ["mesh"],
  "nkeys.js": ["mesh"],
  "@nats-io/jwt": ["mesh"],
  "@nats-io/nkeys": ["mesh"],
  postgres: ["projections"],
  hono: ["gateway"],
  commander: ["cli"],
  pino: ["cli"],
  "prom-client": ["cli"],
};
