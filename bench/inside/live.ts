import { connect, consumerOpts, headers } from "nats";
import { type Delivery, deliveriesOf, type LiveSettings, liveStream } from "../cases/live.ts";
import { atRate, createDeliveries } from "../deliveries.ts";
import { newEvent } from "../requests.ts";
import type { Place } from "../stage.ts";
import { realStore } from "../target-store.ts";

/** Live subscribers of an event store in its own process, then of bare JetStream; the same events at the same rate. */
const settings = JSON.parse(process.argv[2]!) as Place & LiveSettings;
const { subscribers, everything, perSecond, seconds } = settings;
const warmupSeconds = 2;

/** Publishes for a while to warm up, then for what counts. */
async function measured(append: (id: string, at: number) => Promise<unknown>, follow: Follow): Promise<Delivery> {
  let deliveries = createDeliveries();
  await follow((id) => deliveries.delivered(id));
  const phase = async (name: string, length: number) => {
    deliveries = createDeliveries();
    const { acknowledged } = deliveries;
    await atRate(perSecond, length, (at) => void append(`${name}-${at}`, at).then(() => acknowledged(`${name}-${at}`)));
    return deliveries.result(deliveriesOf(perSecond * length, settings));
  };
  await phase("warm", warmupSeconds);
  return phase("live", seconds);
}

/** Resolves when all subscribers are live. */
type Follow = (delivered: (id: string) => void) => Promise<void>;

async function ofStore(): Promise<Delivery> {
  const store = await realStore(settings);
  const stop = new AbortController();
  const follow: Follow = async (delivered) => {
    const live = Array.from({ length: subscribers }, (_, one) => {
      const streams = everything ? [] : [liveStream(one, settings)];
      const caughtUp = Promise.withResolvers<void>();
      const subscriber = async () => {
        for await (const notice of store.subscribe({ from: "end", streams, signal: stop.signal })) {
          if (notice.kind === "event") delivered(notice.event.id);
          else if (notice.kind === "caught-up") caughtUp.resolve();
        }
      };
      subscriber().catch(caughtUp.reject);
      return caughtUp.promise;
    });
    await Promise.all(live);
  };
  const append = (id: string, at: number) =>
    store.append({ stream: liveStream(at, settings), expected: "any", events: [newEvent(at, id) as never] });
  try {
    return await measured(append, follow);
  } finally {
    stop.abort();
    await store[Symbol.asyncDispose]();
  }
}

async function ofJetStream(): Promise<Delivery> {
  const nc = await connect({ servers: settings.nats });
  const js = nc.jetstream();
  const stream = `live${settings.log}`;
  await (await nc.jetstreamManager()).streams.add({ name: stream, subjects: [`${stream}.>`] });
  const follow: Follow = async (delivered) => {
    for (let one = 0; one < subscribers; one++) {
      const options = consumerOpts().orderedConsumer().deliverNew();
      options.callback((_, message) => {
        if (message !== null) delivered(message.headers!.get("id"));
      });
      await js.subscribe(everything ? `${stream}.>` : `${stream}.${liveStream(one, settings)}`, options);
    }
  };
  const append = (id: string, at: number) => {
    const named = headers();
    named.set("id", id);
    return js.publish(`${stream}.${liveStream(at, settings)}`, newEvent(at).data as Uint8Array, { headers: named });
  };
  try {
    return await measured(append, follow);
  } finally {
    await nc.close();
  }
}

const result = { store: await ofStore(), bare: await ofJetStream() };
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
