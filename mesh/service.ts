import type { Endpoint } from "nats";
import { type Answering, createAnswering, type Question } from "./answering.ts";
import { sleep } from "./clock.ts";
import type { Connection } from "./connection.ts";
import * as limits from "./limits.ts";

/**
 * A service as NATS means it (ADR-32): it can be found, and asked how it does, with `nats micro ls`, `info`, `stats` and
 * `ping`. The library does that; ours are the bounds, the figures of work that takes its time, and a stop that loses
 * nothing.
 */
export interface ServiceOptions {
  readonly name: string;
  /** Semantic version. */
  readonly version: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly endpoint: string;
  readonly subject: string;
  /** One of the processes that serve the subject with the same queue gets each question. */
  readonly queue: string;
  readonly concurrency: number;
}

/**
 * Answers from when this resolves. Disposing finishes what has begun. Where the server refuses one of its subscriptions
 * the library stops the whole service; it is then started again every few seconds.
 */
export async function startService(
  c: Connection,
  options: ServiceOptions,
  handler: (question: Question) => Promise<void>,
): Promise<AsyncDisposable> {
  const { nc, logger } = c.wire;
  const { name, subject } = options;
  const answering = createAnswering(c, subject, options.concurrency, handler);
  const stop = new AbortController();

  async function open() {
    const service = await nc.services.add({
      ...{ name, version: options.version, description: options.description, queue: options.queue },
      metadata: { ...options.metadata },
      statsHandler: async (endpoint) => tellFigures(endpoint, answering),
    });
    const listen = (error: Error | null, message: Parameters<Answering["take"]>[0]) => {
      if (error === null) answering.take(message);
    };
    service.addEndpoint(options.endpoint, { subject, handler: listen });
    return service;
  }
  let service = await open();
  // The server knows of it before anybody is told; while the connection is lost, it is told with the next one.
  await nc.flush().catch(() => {});

  async function keepOpen(): Promise<void> {
    for (;;) {
      const error = await service.stopped;
      if (stop.signal.aborted || nc.isClosed()) return;
      logger.error({ service: name, subject, error }, `the service ${name} was stopped, and is started again`);
      await sleep(limits.serviceReopenMs, stop.signal);
      if (stop.signal.aborted || nc.isClosed()) return;
      try {
        service = await open();
      } catch (cause) {
        logger.error({ service: name, subject, error: cause }, `the service ${name} could not be started`);
      }
      if (stop.signal.aborted) void service.stop();
    }
  }
  const kept = keepOpen();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      // It drains: a question that is on its way here is still taken.
      const stopped = service.stop().catch(() => {});
      if (c.connected()) await Promise.race([stopped, sleep(limits.closeTimeoutMs)]);
      await answering.ended();
      if (c.connected()) await kept;
    },
  };
}

/** What `nats micro stats` shows of an endpoint, by the library's names; times are in nanoseconds. */
interface EndpointFigures {
  num_errors: number;
  processing_time: number;
  average_processing_time: number;
}

/**
 * The library takes the time until the handler returns, and ours has only begun by then. The figures that it is about to
 * send are set right at the moment that somebody asks; the answer is sent beside them.
 */
function tellFigures(endpoint: Endpoint, answering: Answering): { running: number; waiting: number } {
  const { running, waiting, ended, refused, totalMs } = answering.counts();
  const { stats } = endpoint as Endpoint & { stats: EndpointFigures };
  stats.num_errors = refused;
  stats.processing_time = Math.round(totalMs * 1e6);
  stats.average_processing_time = ended === 0 ? 0 : Math.round((totalMs * 1e6) / ended);
  return { running, waiting };
}
