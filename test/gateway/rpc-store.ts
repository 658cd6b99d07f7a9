import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import type { EventStore } from "../../store/event-store.ts";
import { EventStore as Service } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { mintId } from "../../store/ids.ts";
import { createRegions } from "../../store/regions.ts";
import { withToken } from "./harness.ts";
import { appendsOver } from "./rpc-store-appends.ts";
import { readsOver } from "./rpc-store-reads.ts";
import { shardInfoOver } from "./rpc-store-shards.ts";
import { subscriptionsOver } from "./rpc-store-subscriptions.ts";

/**
 * An EventStore whose every call goes through a generated client, so that the conformance suite runs over the wire.
 *
 * What the wire does not carry is answered here: `mint`, `homeOf` and `taggedHome` (a client that wants them knows the
 * regions), the home of an appended event (homeOf), and the digest of a recorded event (that of its bytes). The `digest`
 * and the `priority` of an append cannot be said: see `unsaid` in the conformance suite.
 */
export function createRpcStore(transport: Transport, options: Regions): EventStore {
  const client = createClient(Service, transport);
  const homes = createRegions(options);
  const [first] = options.regions;
  return {
    ...appendsOver(client, homes.homeOf),
    ...readsOver(client),
    ...subscriptionsOver(client),
    ...shardInfoOver(client),
    mint: () => mintId(first!.tag, 0, Date.now()),
    homeOf: homes.homeOf,
    taggedHome: homes.taggedHome,
  };
}

export type RpcClient = Client<typeof Service>;
type Regions = Parameters<typeof createRegions>[0];

/** Each protocol that the gateway speaks, by name. */
export function transportsTo(sockets: { http: string; grpc: string }, token: string): Record<string, Transport> {
  const interceptors = withToken(token);
  const http = { baseUrl: sockets.http, interceptors };
  return {
    "Connect, JSON": createConnectTransport(http),
    "Connect, binary": createConnectTransport({ ...http, useBinaryFormat: true }),
    "gRPC-Web": createGrpcWebTransport(http),
    gRPC: createGrpcTransport({ baseUrl: sockets.grpc, interceptors }),
  };
}
