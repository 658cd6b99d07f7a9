import { afternoonCase } from "./cases/afternoon.ts";
import { append } from "./cases/append.ts";
import { appendMany } from "./cases/append-many.ts";
import { bulk } from "./cases/bulk.ts";
import { forwarded } from "./cases/forwarded.ts";
import { liveConnect, liveInside } from "./cases/live.ts";
import { lookUps } from "./cases/look-ups.ts";
import { posts } from "./cases/posts.ts";
import { processes } from "./cases/processes.ts";
import { projectors } from "./cases/projectors.ts";
import { readLogCold, readLogConnect } from "./cases/read-log.ts";
import { readStream } from "./cases/read-stream.ts";
import { recovery } from "./cases/recovery.ts";
import { replicas } from "./cases/replicas.ts";
import { steady } from "./cases/steady.ts";
import { unary } from "./cases/unary.ts";
import type { Stage } from "./stage.ts";
import type { Row } from "./table.ts";

export interface Case {
  /** For --help. */
  readonly about: string;
  /** One row of the table each. */
  readonly rows: readonly ((stage: Stage, seconds: number) => Promise<Row>)[];
}

/** By letter: orders a to c, f and r, projectors e, the event store all others. */
export const cases: Record<string, Case> = {
  a: {
    about: "one order a POST",
    rows: [
      (stage, seconds) =>
        posts(stage, { name: "(a) one order a POST", kind: "minted", connections: 64, seconds, aim: 0.5 }),
      (stage, seconds) =>
        posts(stage, { name: "(a) one order a POST", kind: "minted", connections: 512, seconds, aim: 0.7 }),
    ],
  },
  b: {
    about: "the same with clients' own ids",
    rows: [
      (stage, seconds) =>
        posts(stage, { name: "(b) clients' own ids", kind: "ownIds", connections: 64, seconds, aim: 0.45 }),
      (stage, seconds) =>
        posts(stage, { name: "(b) clients' own ids", kind: "ownIds", connections: 512, seconds, aim: 0.6 }),
    ],
  },
  c: { about: "1,000 orders a request", rows: [bulk] },
  d: { about: "Append of 500 events", rows: [append] },
  e: {
    about: "the projectors",
    rows: (["archive", "orders", "order_items", "customers"] as const).map(
      (projection) => (stage: Stage) => projectors(stage, projection),
    ),
  },
  f: { about: "against an afternoon's work", rows: [afternoonCase] },
  g: { about: "Append of one event, Connect", rows: [(stage, seconds) => unary(stage, seconds, { grpc: false })] },
  h: { about: "Append of one event, gRPC", rows: [(stage, seconds) => unary(stage, seconds, { grpc: true })] },
  i: { about: "AppendMany", rows: [appendMany] },
  j: { about: "Append forwarded from a second process", rows: [forwarded] },
  k: {
    about: "ReadStream of 10 and of 10,000 events",
    rows: [(stage, seconds) => readStream(stage, seconds, 10), (stage, seconds) => readStream(stage, seconds, 10_000)],
  },
  l: { about: "ReadLog, cold in process and over Connect", rows: [readLogCold, readLogConnect] },
  m: { about: "recovery of a shard, and the index's memory", rows: [recovery] },
  n: {
    about: "live delivery to one and to 1,000 subscribers",
    rows: [
      (stage, seconds) => liveInside(stage, seconds, "one"),
      (stage, seconds) => liveInside(stage, seconds, "own streams"),
      (stage, seconds) => liveInside(stage, seconds, "everything"),
      (stage, seconds) => liveConnect(stage, seconds, "one"),
      (stage, seconds) => liveConnect(stage, seconds, "own streams"),
      (stage, seconds) => liveConnect(stage, seconds, "everything"),
    ],
  },
  o: {
    about: "ids looked up among a million streams",
    rows: [(stage, seconds) => lookUps(stage, seconds, "all"), (stage, seconds) => lookUps(stage, seconds, "half")],
  },
  p: { about: "two processes of a region", rows: [processes] },
  q: {
    about: "R3 against R1",
    rows: [
      (stage, seconds) => replicas(stage, seconds, "unary"),
      (stage, seconds) => replicas(stage, seconds, "append"),
    ],
  },
  r: { about: "what a whole region holds for two minutes", rows: [steady] },
};
