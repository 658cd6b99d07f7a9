import { join } from "node:path";
import { writeFileAtomic } from "../write-file.ts";
import type { ProcessReport } from "./supervised.ts";

export interface RegionEndpoints {
  readonly http: string;
  readonly grpc: string;
  /** The listeners that take the Go system's clients, without a token. */
  readonly open: { readonly http: string; readonly grpc: string };
  /** Of the process that takes orders in; every process has its own, see `processes`. */
  readonly admin: string;
  readonly nats: string;
  readonly database: string;
  /** Tenant → role → file. */
  readonly credentials: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** `DIR/endpoints.json`: where other tools find everything of a running demo. */
export interface Endpoints {
  readonly regions: Readonly<Record<string, RegionEndpoints>>;
  readonly tokens: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly processes: readonly ProcessReport[];
}

export const endpointsFile = (dir: string) => join(dir, "endpoints.json");

/** Tokens are in it, so it is for its owner only. */
export function writeEndpoints(dir: string, endpoints: Endpoints): void {
  writeFileAtomic(endpointsFile(dir), `${JSON.stringify(endpoints, null, 2)}\n`, 0o600);
}
