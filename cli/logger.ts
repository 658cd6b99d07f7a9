import pino from "pino";
import type { Logger } from "../mesh/logger.ts";
import type { LogLevel } from "./config.ts";

/** The process's log on stderr, as JSON lines; what is buffered is written out by `flush`, last thing on exit. */
export interface ProcessLogger extends Logger {
  flush(): void;
}

/** Lines wait for each other at most this long: a busy process writes a few large pieces instead of many small ones. */
const flushMs = 200;

export function createLogger(options: { name: string; level: LogLevel }): ProcessLogger {
  const destination = pino.destination({ dest: 2, sync: false, minLength: 4_096 });
  const base = { name: options.name, pid: process.pid };
  const logger = pino({ level: options.level, base, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  setInterval(() => destination.flush(), flushMs).unref();
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    flush() {
      try {
        destination.flushSync();
      } catch {
        // Nothing was ever written, or stderr is gone: there is nobody left to tell.
      }
    },
  };
}
