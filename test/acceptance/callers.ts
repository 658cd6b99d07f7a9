import { expect } from "bun:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import type { Endpoints } from "../../cli/demo/endpoints.ts";
import { api, localApi, logStream } from "../../mesh/subjects.ts";
import { EventStore as GoEventStore } from "../../store/gen/eventstore/eventstore_pb.ts";
import { EventStore } from "../../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { until } from "../cli/until.ts";
import { withToken } from "../gateway/harness.ts";
import { openUser } from "./nats-user.ts";

export const regions = ["us-east", "eu-west", "ap-south"] as const;
export type Region = (typeof regions)[number];
export type Tenant = "acme" | "globex";

interface Listed {
  readonly order_id: string;
  readonly status: string;
}

export const streamOf = (home: string) => logStream({ log: "orders", home, generation: 1 });

/** How a call was refused. */
export async function codeOf(refused: Promise<unknown>): Promise<string> {
  const error = await refused.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error === undefined ? "not refused" : Code[ConnectError.from(error).code]!;
}

export type Callers = ReturnType<typeof createCallers>;

/** A running demo's ways in, as the two tenants use them. */
export function createCallers(endpoints: Endpoints) {
  function call(tenant: Tenant, region: Region, path: string, init: RequestInit & { token?: string } = {}) {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${endpoints.tokens[tenant]![init.token ?? "full"]}`);
    return fetch(`${endpoints.regions[region]!.http}${path}`, { ...init, headers });
  }

  const post = (tenant: Tenant, region: Region, order: object | string, headers: Record<string, string> = {}) =>
    call(tenant, region, "/v1/orders", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof order === "string" ? order : JSON.stringify(order),
    });

  async function json<T extends object>(tenant: Tenant, region: Region, path: string): Promise<T> {
    const response = await call(tenant, region, path);
    expect({ path, status: response.status }).toEqual({ path, status: 200 });
    return (await response.json()) as T;
  }

  const transport = (tenant: Tenant, region: Region, kind = "full") =>
    createConnectTransport({
      baseUrl: endpoints.regions[region]!.http,
      interceptors: withToken(endpoints.tokens[tenant]![kind]!),
    });
  const events = (tenant: Tenant, region: Region, kind?: string) =>
    createClient(EventStore, transport(tenant, region, kind));
  const goEvents = (tenant: Tenant, region: Region, kind?: string) =>
    createClient(GoEventStore, transport(tenant, region, kind));

  async function listed(tenant: Tenant, region: Region): Promise<Listed[]> {
    const all: Listed[] = [];
    let cursor = "";
    do {
      const page = await json<{ orders: Listed[]; cursor?: string }>(tenant, region, `/v1/orders?limit=200${cursor}`);
      all.push(...page.orders);
      cursor = page.cursor === undefined ? "" : `&cursor=${page.cursor}`;
    } while (cursor !== "");
    return all;
  }

  /** Every order of acme has come to its end and is seen so everywhere: nothing of its own moves its logs any more. */
  async function settled(): Promise<void> {
    const ended = async (region: Region) => {
      const orders = await listed("acme", region);
      return orders.length > 60 && orders.every(({ status }) => ["approved", "rejected", "in-review"].includes(status));
    };
    for (const region of regions) await until(`acme's orders are ended in ${region}`, () => ended(region), 30_000);
  }

  /** Identity and last sequence of acme's log of each home, asked of that home's broker. */
  async function acmeLogs(): Promise<{ identity: string; last: number }[]> {
    const logs = regions.map(async (home) => {
      await using user = await openUser(endpoints, home, "acme", "observer");
      const answer = await user.ask(localApi(api.streamInfo(home, streamOf(home))), {});
      const info = JSON.parse(new TextDecoder().decode(answer)) as {
        config: { metadata: Record<string, string> };
        state: { last_seq: number };
      };
      const identity = Object.values(info.config.metadata).find((value) => /^[0-9a-f]{32}$/.test(value))!;
      return { identity, last: info.state.last_seq };
    });
    return Promise.all(logs);
  }

  /** Streams of all events in a region's own log, as a subscriber gets them. */
  async function streamsIn(tenant: Tenant, region: Region): Promise<string[]> {
    const streams = new Set<string>();
    for await (const { notice } of events(tenant, region).subscribe({})) {
      if (notice.case === "event") streams.add(notice.value.stream);
      if (notice.case === "caughtUp") break;
    }
    return [...streams];
  }

  return { call, post, json, events, goEvents, listed, settled, acmeLogs, streamsIn };
}
