import { describeError } from "./error.ts";
import type { ProcessLogger } from "./logger.ts";

/**
 * Codes of errors that the PostgreSQL driver leaves without a handler when a connection dies: the client was discarded
 * already, and the statement's own promise has told whoever waited. Seen under repeated kills of the backends.
 */
const lostConnection =
  /^(?:CONNECTION_(?:CLOSED|DESTROYED|ENDED)|CONNECT_TIMEOUT|57P0\d|08\d{3}|ECONNRESET|ECONNREFUSED|EPIPE)$/;

/** True: a connection to PostgreSQL that was given up has told its end to nobody. */
export function isLostConnection(reason: unknown): boolean {
  const code = (reason as { code?: unknown } | null)?.code;
  return typeof code === "string" && lostConnection.test(code);
}

/** Notes lost connections; anything else that nobody awaited ends the process or thread: its state is no longer known. */
export function guardRejections(logger: ProcessLogger, whose: "process" | "thread" = "process"): void {
  const end = (what: string, error: unknown) => {
    const stack = error instanceof Error ? error.stack : undefined;
    logger.error({ stack }, `${what}: ${describeError(error)}; the ${whose} ends and is to be started again`);
    logger.flush();
    process.exit(1);
  };
  process.on("unhandledRejection", (reason) => {
    if (isLostConnection(reason)) {
      logger.debug({ reason: describeError(reason) }, "a discarded database connection reported its end");
      return;
    }
    end("unhandled rejection", reason);
  });
  process.on("uncaughtException", (error) => end("uncaught exception", error));
}
