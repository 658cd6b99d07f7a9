import type { Stage } from "../stage.ts";
import { type Row, ratio } from "../table.ts";

export interface Delivery {
  readonly p50: number;
  readonly p99: number;
}

export interface LiveSettings {
  readonly subscribers: number;
  /** To every event; else each to one stream of its own. */
  readonly everything: boolean;
  readonly perSecond: number;
  readonly seconds: number;
}

/** Stream of an append: each has its turn, so each subscriber to one has an event now and then. */
export const liveStream = (at: number, { subscribers }: Pick<LiveSettings, "subscribers">) =>
  `live-${at % subscribers}`;

/** How many deliveries `events` appends make. */
export const deliveriesOf = (events: number, { everything, subscribers }: LiveSettings) =>
  everything ? events * subscribers : events;

export type Audience = "one" | "own streams" | "everything";

function settingsOf(audience: Audience, seconds: number): LiveSettings {
  if (audience === "one") return { subscribers: 1, everything: true, perSecond: 200, seconds };
  const everything = audience === "everything";
  // 1,000 to everything: what they all take a second is bounded by one core.
  return { subscribers: 1_000, everything, perSecond: everything ? 10 : 200, seconds };
}

/** When a live subscriber has an event, counted from its acknowledgement; in the process that owns the shard. */
export async function liveInside(stage: Stage, seconds: number, audience: Audience): Promise<Row> {
  const settings = settingsOf(audience, seconds);
  const place = await stage.place();
  const { store, bare } = await stage.inside<{ store: Delivery; bare: Delivery }>("live.ts", { ...place, ...settings });
  return row(`in process, ${who(settings)}`, store, bare, "JetStream's own consumers, p99");
}

/** The same over Connect, from the load's process. */
export async function liveConnect(stage: Stage, seconds: number, audience: Audience): Promise<Row> {
  const settings = settingsOf(audience, seconds);
  const bare = await stage.deliver("echo", settings);
  const store = await stage.deliver("store", settings);
  return row(`Connect, ${who(settings)}`, store, bare, "bare Connect echo to as many, p99");
}

function who({ subscribers, everything, perSecond }: LiveSettings): string {
  const rate = `${perSecond} events/s`;
  if (subscribers === 1) return `one subscriber, ${rate}`;
  return `${subscribers.toLocaleString("en")} subscribers to ${everything ? "everything" : "a stream each"}, ${rate}`;
}

function row(how: string, store: Delivery, bare: Delivery, ceilingIs: string): Row {
  return {
    name: `(n) delivery after the acknowledgement, ${how}`,
    unit: "ms",
    measured: store.p99,
    ceiling: bare.p99,
    ceilingIs,
    ratio: ratio(store.p99, bare.p99),
    aimMsMost: 10,
    p50: store.p50,
    p99: store.p99,
  };
}
