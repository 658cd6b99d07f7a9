import { createConnection } from "node:net";
import { parseArgs } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import { AppendRequestSchema, SubscribeRequestSchema } from "../store/gen/meridian/eventstore/v1/eventstore_pb.ts";
import { deliveriesOf, type LiveSettings, liveStream } from "./cases/live.ts";
import { atRate, createDeliveries } from "./deliveries.ts";
import { type Exchange, openHttp } from "./http-client.ts";
import { enveloped, newEvent, service } from "./requests.ts";

/** Subscribers on raw sockets, and one caller that appends at a steady rate: one process, so one clock. Prints JSON. */
const { values } = parseArgs({
  options: {
    ports: { type: "string" },
    token: { type: "string" },
    settings: { type: "string" },
  },
});
const settings = JSON.parse(values.settings!) as LiveSettings;
const { subscribers, everything, perSecond } = settings;
const port = Number(values.ports);
const token = values.token!;
const warmupSeconds = 4;
const run = Math.floor(Math.random() * 2 ** 40).toString(36);
const idPattern = new RegExp(`${run}-[a-z]+-\\d+!`, "g");
let deliveries = createDeliveries();

function subscribeRequest(one: number): Uint8Array {
  const streams = everything ? [] : [liveStream(one, settings)];
  const asked = create(SubscribeRequestSchema, { from: { case: "end", value: true }, streams });
  const body = enveloped(toBinary(SubscribeRequestSchema, asked));
  const head = `POST ${service}/Subscribe HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${token}\r\ncontent-type: application/connect+proto\r\nconnect-protocol-version: 1\r\ncontent-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** Resolves with its first notice, which says that it is live. */
function subscribe(one: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = createConnection({ port, host: "127.0.0.1", noDelay: true });
  let rest = "";
  socket.on("error", reject);
  socket.on("connect", () => socket.write(subscribeRequest(one)));
  socket.on("data", (bytes) => {
    const text = rest + bytes.toString("latin1");
    if (text.startsWith("HTTP/1.1 ") && !text.startsWith("HTTP/1.1 200")) reject(new Error(text.slice(0, 300)));
    if (!text.startsWith("HTTP") || /\r\n\r\n[\s\S]/.test(text)) resolve();
    let end = Math.max(0, text.length - 64);
    for (const match of text.matchAll(idPattern)) {
      deliveries.delivered(match[0]);
      end = Math.max(end, match.index + match[0].length);
    }
    rest = text.slice(end);
  });
  return promise;
}

/** Connections without an append under way. */
const free: Exchange[] = [];
const open = () => openHttp({ port, token, path: `${service}/Append`, type: "application/proto" });

async function phase(name: string, seconds: number) {
  deliveries = createDeliveries();
  const { acknowledged } = deliveries;
  await atRate(perSecond, seconds, (at) => {
    const id = `${run}-${name}-${at}!`;
    const message = create(AppendRequestSchema, { stream: liveStream(at, settings), events: [newEvent(at, id)] });
    const caller = free.pop() ?? open();
    caller.send(toBinary(AppendRequestSchema, message), (failure) => {
      if (failure !== undefined) throw new Error(failure);
      free.push(caller);
      acknowledged(id);
    });
  });
  return deliveries.result(deliveriesOf(perSecond * seconds, settings));
}

for (let from = 0; from < subscribers; from += 50) {
  await Promise.all(Array.from({ length: Math.min(50, subscribers - from) }, (_, at) => subscribe(from + at)));
}
await phase("warm", warmupSeconds);
const result = await phase("live", settings.seconds);
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
