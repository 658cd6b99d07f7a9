import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "nats";
import type { Beside } from "./table.ts";

export interface Publishing {
  readonly nats: string;
  readonly clients: number;
  readonly bytes: number;
  readonly messages: number;
}

/**
 * What the same server takes of bare messages, each acknowledged when it is on disk: by `nats bench` where that tool is on
 * the PATH, else by a loop of the client library, and the name says which. `units`: events that one message stands for.
 */
export async function publishBare(publishing: Publishing, units = 1): Promise<Beside> {
  const what = `${publishing.clients} publishers of ${publishing.bytes} B`;
  const benched = await natsBench(publishing);
  if (benched !== undefined) return { name: `nats bench, ${what}`, value: benched * units };
  return {
    name: `bare publish loop (no \`nats\` on the PATH), ${what}`,
    value: (await publishLoop(publishing)) * units,
  };
}

let streams = 0;

/** Messages a second; undefined: there is no such tool. */
async function natsBench({ nats, clients, bytes, messages }: Publishing): Promise<number | undefined> {
  const stream = `natsbench${process.pid}x${++streams}`;
  const which = ["bench", "js", "pub", "sync", `${stream}.x`, "--create", "--stream", stream, "--no-progress"];
  const sizes = ["--clients", String(clients), "--msgs", String(messages), "--size", String(bytes)];
  const child = spawn("nats", ["--server", nats, ...which, ...sizes], { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  const ended = await once(child, "close").catch(() => undefined);
  if (ended === undefined) return undefined;
  // With several clients the sum follows their own lines.
  const rates = [...text.matchAll(/stats: ([\d,.]+) msgs\/sec/g)];
  const rate = rates.at(-1)?.[1];
  if (rate === undefined) throw new Error(`nats bench said no rate:\n${text.slice(-2_000)}`);
  return Number(rate.replaceAll(",", ""));
}

async function publishLoop({ nats, clients, bytes, messages }: Publishing): Promise<number> {
  const nc = await connect({ servers: nats });
  try {
    const stream = `publishloop${process.pid}x${++streams}`;
    await (await nc.jetstreamManager()).streams.add({ name: stream, subjects: [`${stream}.>`] });
    const js = nc.jetstream();
    const payload = crypto.getRandomValues(new Uint8Array(Math.min(bytes, 65_536)));
    const message = Buffer.alloc(bytes, payload);
    let left = messages;
    const begun = performance.now();
    const publisher = async () => {
      while (left-- > 0) await js.publish(`${stream}.x`, message);
    };
    await Promise.all(Array.from({ length: clients }, publisher));
    return messages / ((performance.now() - begun) / 1000);
  } finally {
    await nc.close();
  }
}
