/**
 * How mirrors stand, from both ends of the link: the home knows what it has not sent, the region that holds a mirror when it
 * last heard.
 */
import type { Connection } from "./connection.ts";
import { MeshError } from "./error.ts";
import { call, type StreamInfo } from "./jetstream-api.ts";
import * as limits from "./limits.ts";
import type { LogName } from "./log.ts";
import { listConsumers } from "./retention.ts";
import { api, logStream, mirrorTarget } from "./subjects.ts";

export interface MirrorTarget {
  readonly target: string;
  /** Messages that were not sent there yet. A link that hangs takes messages until it is given up, after 10 to 15 s. */
  readonly pending: number;
  /**
   * Sent, and not confirmed: nearly all of it has arrived. A mirror confirms (ack_policy "flow_control") when it has nothing
   * to do for a second or the server asks it to, so under a steady load this grows for minutes.
   */
  readonly unconfirmed: number;
}

/** At the home: what each mirror has still to be sent. */
export async function mirrorPending(c: Connection, name: LogName): Promise<MirrorTarget[]> {
  const stream = logStream(name);
  return (await listConsumers(c, stream)).flatMap(({ name: consumer, num_pending, num_ack_pending }) => {
    const target = mirrorTarget(consumer);
    return target === undefined ? [] : [{ target, pending: num_pending, unconfirmed: num_ack_pending }];
  });
}

export interface HeldMirror {
  /** Messages behind the home, as it said when it was last heard: it stays as it is while the link is cut. */
  readonly lag: number;
  /** Since it last heard from its home, which says every second that it is there; undefined: not since its server began. */
  readonly silentMs: number | undefined;
}

/** In the region that holds it; undefined while it is not made. Rejects with MeshError when this region does not answer. */
export async function heldMirror(c: Connection, name: LogName): Promise<HeldMirror | undefined> {
  try {
    const subject = api.streamInfo(c.region, logStream(name));
    const { mirror } = await call<StreamInfo>(c, subject, undefined, { timeoutMs: limits.getTimeoutMs });
    if (mirror === undefined) return undefined;
    return { lag: mirror.lag, silentMs: mirror.active < 0 ? undefined : mirror.active / 1e6 };
  } catch (error) {
    if (error instanceof MeshError && error.code === "not-found") return undefined;
    throw error;
  }
}
