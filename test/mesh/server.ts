/** A real nats-server for tests: own directory, free port, every write on disk. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findServer } from "../../mesh/server-binary.ts";

export interface NatsServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now. */
  readonly pid: number;
  readonly dir: string;
  /** Resolves when the process has ended (for SIGSTOP: has stopped; for SIGCONT: when the signal is sent). */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and directory; ends what still runs first. */
  restart(): Promise<void>;
}

const given = new Set<number>();

/** Below the range from which the system takes ports for outgoing connections, and never the same one twice. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

let found: Promise<string> | undefined;
export function serverPath(): Promise<string> {
  found ??= findServer({}).then((server) => server.path);
  return found;
}

export interface NatsOptions {
  readonly jetstream?: boolean;
  readonly domain?: string;
  /** Added to the configuration file. */
  readonly config?: string;
  readonly storage?: string;
  /** Bytes of a file, as it starts: what would be written beyond fails, as on a full disk. */
  readonly fileBytesMax?: () => number | undefined;
}

export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const dir = await mkdtemp(join(tmpdir(), "meridian-nats-"));
  const port = await freePort();
  const domain = options.domain ?? "us-east";
  const jetstream = `jetstream { store_dir: "${dir}", domain: ${domain}, sync_interval: always, max_file: ${options.storage ?? "1GB"} }\n`;
  const text = `server_name: test-${port}
listen: "127.0.0.1:${port}"
max_payload: 8MB
ping_interval: 5s
${options.jetstream === false ? "" : jetstream}${options.config ?? ""}`;
  const file = join(dir, "server.conf");
  await writeFile(file, text);
  const server = await runServer(file, options.fileBytesMax);
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    dir,
    get pid() {
      return server.pid();
    },
    kill: server.kill,
    restart: server.restart,
    async [Symbol.asyncDispose]() {
      await server.kill("SIGKILL");
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export interface RunningServer {
  pid(): number;
  kill(signal: NodeJS.Signals): Promise<void>;
  restart(): Promise<void>;
}

/** Runs a server from a configuration file, and waits until it is ready. */
export async function runServer(file: string, fileBytesMax?: () => number | undefined): Promise<RunningServer> {
  let child = await spawnReady(file, fileBytesMax?.());
  const kill = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(signal);
    if (signal === "SIGSTOP") await stopped(child.pid!);
    else if (signal !== "SIGCONT" && signal !== "SIGHUP") await ended;
  };
  return {
    pid: () => child.pid!,
    kill,
    async restart() {
      await kill("SIGKILL");
      child = await spawnReady(file, fileBytesMax?.());
    },
  };
}

/** A process goes on for a moment after it was told to stop: until the system says, where it does, that it has. */
async function stopped(pid: number): Promise<void> {
  for (;;) {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
    if (stat === undefined || /\) [TtZ] /.test(stat)) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function spawnReady(file: string, fileBytesMax?: number): Promise<ChildProcess> {
  const command = [await serverPath(), "-c", file];
  // POSIX: `ulimit -f` counts blocks of 512 bytes. The shell becomes the server, so that signals reach it.
  const limited = ["sh", "-c", `ulimit -f ${(fileBytesMax ?? 0) / 512}; exec "$0" "$@"`, ...command];
  const [program, ...args] = fileBytesMax === undefined ? command : limited;
  const child = spawn(program!, args, { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`nats-server was not ready within 15 s:\n${log}`));
    }, 15_000);
    child.stderr!.on("data", (chunk: Buffer) => {
      if (log.length < 20_000) log += chunk.toString();
      if (log.includes("Server is ready")) {
        clearTimeout(timer);
        resolve();
      }
    });
    child.once("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`nats-server ended with ${code} before it was ready:\n${log}`));
    });
  });
  return child;
}
