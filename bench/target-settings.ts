/**
 * What a process under measurement is. `kind`:
 *
 * - `store`: gateway and event store, and the archive's projector in a thread of its own, as a region runs them;
 * - `ceiling`: the same gateway before a store that answers at once and keeps nothing: same route, authentication, check,
 *   decimals, digest and answer, without the append;
 * - `echo`: the event store's service on Connect and gRPC, the same messages and adapters, and nothing behind it: no
 *   authentication, no check, no store (echo.ts);
 * - `bare`: Hono that parses the body and answers as long an answer;
 * - `afternoon`: what one would write in an afternoon (afternoon.ts).
 */
export interface TargetSettings {
  readonly kind: "store" | "ceiling" | "echo" | "bare" | "afternoon";
  readonly nats: string;
  readonly database: string;
  readonly log: string;
  readonly publicKey: string;
  /** False: a second process of the region, which sends every append to who owns the shard. */
  readonly owns?: boolean;
  /** False: without the archive's projector. */
  readonly projects?: boolean;
  /** 1 where it does not say. */
  readonly replicas?: number;
}

/** Where a target answers `process.cpuUsage()`. */
export const cpuPath = "/bench/cpu";
