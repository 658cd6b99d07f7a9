import { startNats } from "../mesh/server.ts";
import { conformance, quickly } from "../store/conformance.ts";
import { openRegion } from "../store/region.ts";
import { createHarness, listen } from "./harness.ts";
import { createMemoryQueries } from "./memory-queries.ts";
import { createMemoryLogs, regions } from "./memory-store.ts";
import { createRpcStore, transportsTo } from "./rpc-store.ts";

const protocols = ["Connect, JSON", "Connect, binary", "gRPC-Web", "gRPC"];

/** Each over a log of its own: the suite begins with an empty one. */
for (const protocol of protocols) {
  conformance(`a store over ${protocol}, whose gateway is its owner`, () => openOver(protocol), { wire: true });
}

async function openOver(protocol: string) {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNats());
  const region = stack.use(await openRegion(server.url));
  const { store } = stack.use(await region.process({ subscriptions: quickly }));
  const queries = createMemoryQueries(createMemoryLogs());
  const acme = { store, queries, defaultRegion: "us-east", currency: "GBP" };
  const harness = await createHarness({ tenants: new Map([["acme", acme]]) });
  const sockets = stack.use(await listen(harness));
  const transport = transportsTo(sockets, harness.token)[protocol]!;
  const opened = stack.move();
  return {
    store: createRpcStore(transport, { regions, defaultRegion: "us-east" }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
