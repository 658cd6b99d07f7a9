import { openConnection } from "../../mesh/connection.ts";
import { leaseDefaults, openLeases } from "../../mesh/lease.ts";
import { silent } from "../../mesh/logger.ts";
import { ensureLog } from "../../mesh/streams.ts";
import { openStore, type Store } from "../../store/open.ts";
import type { TestRegion } from "./region.ts";

/** A store of eu-west on the same server: what it is told for us-east it sends to an owner there, whichever takes it. */
export async function openFarStore(url: string, { log, archive }: TestRegion): Promise<Store & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  // Of the server that there is: which region the store is of is said below.
  const connection = await openConnection({ servers: [url], name: "far", region: "us-east", logger: silent });
  stack.defer(() => connection.close());
  const name = { ...log.name, home: "eu-west" };
  const own = await ensureLog(connection, name, { shards: log.shards, replicas: 1, bytesMax: 10 << 20 });
  const store = stack.use(
    await openStore({
      tenant: "acme",
      region: "eu-west",
      regions: [
        { name: "us-east", tag: "use" },
        { name: "eu-west", tag: "euw" },
      ],
      defaultRegion: "us-east",
      logs: [{ name: name.log, categories: ["order"], rest: true, codec: "zstd", own, mirror: () => undefined }],
      connection,
      leases: await openLeases(connection, `leases-far-${name.log}`, leaseDefaults),
      archive,
      fsync: true,
      logger: silent,
      signal: new AbortController().signal,
    }),
  );
  const opened = stack.move();
  return { ...store, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
