import { createConnection } from "node:net";

/** One kept-alive connection on a raw socket: any HTTP client of the runtime would cost as much as the server under test. */
export interface Exchange {
  /** Sends it; `done` is called with undefined, or with what was wrong, when all of the answer is there. */
  send(body: Uint8Array, done: (failure?: string) => void): void;
}

export interface HttpOptions {
  readonly port: number;
  readonly token: string;
  readonly path: string;
  readonly type: string;
  /** The answer is a stream of messages, whose end says whether all went well. */
  readonly streams?: boolean;
}

/** Ends a Connect stream that went well: flags 2, two bytes, "{}"; and the chunk that ends the answer. */
const wellEnded = "\x02\0\0\0\x02{}\r\n0\r\n\r\n";
const tailBytes = 64;

export function openHttp(options: HttpOptions): Exchange {
  const { port, path, type, streams = false } = options;
  const socket = createConnection({ port, host: "127.0.0.1", noDelay: true });
  const version =
    type.startsWith("application/json") || type.includes("ndjson") ? "" : "connect-protocol-version: 1\r\n";
  const head = `POST ${path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${options.token}\r\ncontent-type: ${type}\r\n${version}content-length: `;
  let buffered = "";
  let done: (failure?: string) => void = () => {};
  const settle = (failure?: string) => {
    buffered = "";
    done(failure);
  };
  socket.on("error", (error) => settle(error.message));
  socket.on("data", (bytes) => {
    // Of a long stream only the beginning and the end are looked at.
    if (streams && buffered.length > 8_192) buffered = buffered.slice(0, 1_024) + buffered.slice(-tailBytes);
    buffered += bytes.toString(
      "latin1",
      streams && buffered.length > 1_024 ? Math.max(0, bytes.length - tailBytes) : 0,
    );
    const end = buffered.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = /content-length: (\d+)/i.exec(buffered.slice(0, end));
    const whole = length === null ? buffered.endsWith("0\r\n\r\n") : buffered.length >= end + 4 + Number(length[1]);
    if (!whole) return;
    // One of many appends that is refused is told in an answer that went well.
    const refused = buffered.includes("/problems/");
    const well = /^HTTP\/1\.1 20[01]/.test(buffered) && !refused && (!streams || buffered.endsWith(wellEnded));
    settle(well ? undefined : buffered.slice(0, 600) + buffered.slice(600).slice(-200));
  });
  return {
    send(body, whenDone) {
      done = whenDone;
      socket.write(Buffer.concat([Buffer.from(`${head}${body.length}\r\n\r\n`), body]));
    },
  };
}
