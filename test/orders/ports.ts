import type { Msg, NatsConnection } from "nats";
import type { Connection } from "../../mesh/connection.ts";
import { MeshError } from "../../mesh/error.ts";
import type { WorkerPorts } from "./mesh.ts";

/** What goes out over a worker's connection, by what it is for. */
export interface Tap {
  ask(name: string, subject: string, send: () => Promise<Msg>): Promise<Msg>;
  publish(name: string, send: () => void): void;
}

/** The connection, with everything that it sends passing the tap. */
export function tapped(connection: Connection, tap: Tap): Connection {
  const { wire } = connection;
  const nc = new Proxy<NatsConnection>(wire.nc, {
    get(target, name) {
      if (name === "publish") {
        const publish: NatsConnection["publish"] = (subject, data, options) =>
          tap.publish(nameOf(subject, data), () => target.publish(subject, data, options));
        return publish;
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const ask: typeof wire.ask = (subject, data, options) =>
    tap.ask(nameOf(subject, data), subject, () => wire.ask(subject, data, options));
  return { ...connection, wire: { ...wire, nc, ask } };
}

const decoder = new TextDecoder();

function nameOf(subject: string, data: unknown): string {
  const text = data instanceof Uint8Array && data.length < 100 ? decoder.decode(data) : "";
  if (text === "+ACK") return "acknowledge";
  if (text === "+WPI") return "in progress";
  if (text.startsWith("-NAK")) return "hand back";
  if (subject.startsWith("payments.")) return "provider";
  if (subject.startsWith("$KV.")) return "lease";
  return /API\.((?:CONSUMER|STREAM)\.(?:CREATE|INFO|MSG\.GET|MSG\.NEXT))/.exec(subject)?.[1]?.toLowerCase() ?? subject;
}

/** The first acknowledgement of every message is lost on its way, so that everything is delivered twice. */
export function losingAcknowledgements({ connection, store }: WorkerPorts): WorkerPorts {
  const tap: Tap = {
    ask(name, subject, send) {
      const tokens = subject.split(".");
      const delivered = tokens[tokens.length === 9 ? 4 : 6];
      if (name !== "acknowledge" || delivered !== "1") return send();
      return Promise.reject(new MeshError("timeout", `nothing was heard from ${subject}`));
    },
    publish: (_, send) => send(),
  };
  return { connection: tapped(connection, tap), store };
}
