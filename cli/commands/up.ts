import { loadRegionConfig, roles } from "../config.ts";
import { describeError } from "../error.ts";
import { limits } from "../limits.ts";
import { createLogger, type ProcessLogger } from "../logger.ts";
import { readList } from "../read-list.ts";
import { guardRejections } from "../rejections.ts";
import { openRegion } from "../up.ts";

/** Runs a region's process until SIGTERM or SIGINT. */
export async function runUp(options: { config: string; roles?: string }): Promise<void> {
  const given = loadRegionConfig(options.config, process.env);
  const config =
    options.roles === undefined ? given : { ...given, roles: new Set(readList(options.roles, roles, "--roles")) };
  const logger = createLogger({ name: config.region.name, level: config.log.level });
  guardRejections(logger);
  await runUntilStopped(logger, (signal) => openRegion(config, logger, signal));
}

export interface Opened extends AsyncDisposable {
  /** Resolves when it cannot go on: the process ends, so that whoever watches over it starts it again. */
  readonly failed?: Promise<Error>;
}

/** Opens, waits for a signal, closes within `stopMs`; a second signal ends at once, and so does a failure (exit code 1). */
export async function runUntilStopped(
  logger: ProcessLogger,
  open: (signal: AbortSignal) => Promise<Opened>,
): Promise<void> {
  const stopping = new AbortController();
  const told = new Promise<undefined>((resolve) => {
    const stop = (signal: NodeJS.Signals) => {
      if (stopping.signal.aborted) exit(logger, 130);
      logger.info({ signal }, "stopping");
      setTimeout(() => {
        logger.error({}, `not stopped within ${limits.stopMs} ms: ends as it is; what was acknowledged is on disk`);
        exit(logger, 1);
      }, limits.stopMs);
      stopping.abort();
      resolve(undefined);
    };
    process.on("SIGTERM", () => stop("SIGTERM"));
    process.on("SIGINT", () => stop("SIGINT"));
  });
  try {
    const opened = await open(stopping.signal);
    const failure = await Promise.race([told, opened.failed ?? told]);
    if (failure !== undefined) {
      const { cause } = failure;
      const why = cause === undefined ? "" : `: ${describeError(cause)}`;
      logger.error({ stack: failure.stack }, `ends, to be started again: ${describeError(failure)}${why}`);
      exit(logger, 1);
    }
    await opened[Symbol.asyncDispose]();
    logger.info({}, "stopped");
  } catch (error) {
    if (!stopping.signal.aborted) {
      logger.error({ stack: error instanceof Error ? error.stack : undefined }, describeError(error));
      logger.flush();
      throw error;
    }
  }
  exit(logger, 0);
}

function exit(logger: ProcessLogger, code: number): never {
  logger.flush();
  process.exit(code);
}
