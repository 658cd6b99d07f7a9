import { readFile } from "node:fs/promises";
import { connect, credsAuthenticator, Events, type NatsConnection, NatsError, type Status } from "nats";
import { after, sleep } from "./clock.ts";
import { MeshError } from "./error.ts";
import * as limits from "./limits.ts";
import type { Logger } from "./logger.ts";
import { mendTransport } from "./nats-transport.ts";
import { createReplies, type Replies } from "./replies.ts";
import { localApi, replyPrefix } from "./subjects.ts";

/** One connection of a tenant's role to the servers of its region. */
export interface Connection extends AsyncDisposable {
  readonly name: string;
  /** The region; also the name of its JetStream domain. */
  readonly region: string;
  connected(): boolean;
  /** Flushes, then closes. What still waits for an answer rejects. */
  close(): Promise<void>;
  /** For `mesh/` only. */
  readonly wire: Wire;
}

export interface Wire extends Pick<Replies, "ask"> {
  readonly nc: NatsConnection;
  readonly logger: Logger;
  /** `listener` is called each time the connection is lost or closed; the answer takes it off again. */
  onDisconnect(listener: () => void): () => void;
  /** Waits until the connection is up; false after `timeoutMs`, when closed or aborted. */
  ready(timeoutMs: number, signal?: AbortSignal): Promise<boolean>;
  closed(): boolean;
}

export interface ConnectionOptions {
  readonly servers: string[];
  /** Path of a `.creds` file; absent or empty: a server without authentication. */
  readonly credentials?: string;
  readonly name: string;
  readonly region: string;
  readonly logger: Logger;
  /** Ends the wait for the first connection. */
  readonly signal?: AbortSignal;
}

/**
 * Waits for the first connection however long it takes (the server may start later) and from then on connects again for
 * ever. Rejects with MeshError: "refused" when the server does not take the credentials, "not-found" without their file,
 * "closed" when `signal` aborts first.
 */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const nc = await firstConnection(options, await readCredentials(options.credentials));
  const { logger } = options;
  const link = createLink();
  const replies = createReplies(nc, replyPrefix(options.region), link);
  void watchStatus(nc, options, link, replies); // the library never ends this loop; it goes with the connection
  void nc.closed().then(() => {
    link.down(true);
    replies.interrupt("the connection was closed");
  });

  async function close(): Promise<void> {
    if (!nc.isClosed()) {
      const flushed = nc.flush().catch(() => {}); // rejects when the link is down: then there is nothing to wait for
      if (link.connected()) await Promise.race([flushed, sleep(limits.closeTimeoutMs)]);
      await nc.close();
    }
  }
  return {
    name: options.name,
    region: options.region,
    connected: link.connected,
    close,
    [Symbol.asyncDispose]: close,
    wire: {
      nc,
      logger,
      ask: replies.ask,
      onDisconnect: link.onDown,
      ready: link.ready,
      closed: () => nc.isClosed(),
    },
  };
}

async function readCredentials(path: string | undefined): Promise<Uint8Array | undefined> {
  if (path === undefined || path === "") return undefined;
  try {
    return await readFile(path);
  } catch (cause) {
    throw new MeshError("not-found", `cannot read the credentials file ${path}`, { cause });
  }
}

async function firstConnection(options: ConnectionOptions, credentials?: Uint8Array): Promise<NatsConnection> {
  const { servers, name, logger, signal } = options;
  mendTransport();
  for (let attempt = 1; ; attempt++) {
    if (signal?.aborted) throw new MeshError("closed", `connecting to ${servers.join(", ")} was given up`);
    try {
      return await connect({
        servers,
        name,
        authenticator: credentials === undefined ? undefined : credsAuthenticator(credentials),
        inboxPrefix: replyPrefix(options.region),
        maxReconnectAttempts: -1,
        reconnectTimeWait: limits.reconnectWaitMs,
        reconnectJitter: limits.reconnectWaitMs,
        ignoreAuthErrorAbort: true,
        ignoreClusterUpdates: true, // the servers are those of the settings: a cluster may announce unreachable addresses
        pingInterval: limits.clientPingMs,
        maxPingOut: limits.pingsOutstandingMax,
        timeout: limits.connectTimeoutMs,
        noAsyncTraces: true,
      });
    } catch (cause) {
      const code = cause instanceof NatsError ? cause.code : "";
      if (code === "AUTHORIZATION_VIOLATION" || code === "BAD_CREDS") {
        throw new MeshError("refused", `${servers.join(", ")} refused the credentials of ${name} (${code})`, { cause });
      }
      // The first failure and then about one line in ten seconds.
      if (attempt % 40 === 1) logger.warn({ servers, attempt, code }, "no NATS server answers yet; trying again");
      await sleep(limits.reconnectWaitMs, signal);
    }
  }
}

interface LinkState {
  connected(): boolean;
  ready(timeoutMs: number, signal?: AbortSignal): Promise<boolean>;
  onDown(listener: () => void): () => void;
  up(): void;
  down(final: boolean): void;
}

/** Whether the connection is up, and who wants to know of it. */
function createLink(): LinkState {
  let connected = true;
  let closed = false;
  const downListeners = new Set<() => void>();
  const upListeners = new Set<() => void>();
  const fire = (listeners: Set<() => void>) => {
    for (const listener of [...listeners]) listener();
  };
  return {
    connected: () => connected,
    ready(timeoutMs, signal) {
      if (connected || closed) return Promise.resolve(connected);
      return new Promise((resolve) => {
        const done = () => {
          cancel();
          upListeners.delete(done);
          signal?.removeEventListener("abort", done);
          resolve(connected);
        };
        const cancel = after(timeoutMs, done);
        upListeners.add(done);
        signal?.addEventListener("abort", done);
      });
    },
    onDown(listener) {
      downListeners.add(listener);
      return () => downListeners.delete(listener);
    },
    up() {
      connected = true;
      fire(upListeners);
    },
    down(final) {
      connected = false;
      closed ||= final;
      fire(downListeners);
      if (final) fire(upListeners);
    },
  };
}

async function watchStatus(nc: NatsConnection, o: ConnectionOptions, link: LinkState, replies: Replies): Promise<void> {
  const fields = { connection: o.name, region: o.region };
  for await (const status of nc.status()) {
    switch (status.type) {
      case Events.Disconnect:
        link.down(false);
        replies.interrupt("the connection was lost");
        o.logger.warn({ ...fields, server: status.data }, "lost the connection to NATS");
        break;
      case Events.Reconnect:
        link.up();
        o.logger.info({ ...fields, server: status.data }, "connected to NATS again");
        break;
      case Events.Error:
        refused(status, o, replies);
        break;
    }
  }
}

function refused(status: Status, o: ConnectionOptions, replies: Replies): void {
  const context = status.permissionContext;
  o.logger.warn({ connection: o.name, code: status.data, ...context }, "NATS refused an operation");
  if (context?.operation !== "publish") return;
  replies.refuse((asked) => asked === context.subject || localApi(asked) === context.subject);
}
