import pino from "pino";
import type { Logger } from "../mesh/logger.ts";
import type { LogLevel } from "./config.ts";

/** The process's log on stderr, as JSON lines; what is buffered is written out by `flush`, last thing on exit. */
export interface ProcessLogger extends Logger {
  /** A line of one of its threads: two that write to one file would tear each other's lines. */
  write(line: string): void;
  flush(): void;
}

/** Lines wait for each other at most this long: a busy process writes a few large pieces instead of many small ones. */
const flushMs = 200;

export function createLogger(options: { name: string; level: LogLevel }): ProcessLogger {
  const destination = pino.destination({ dest: 2, sync: false, minLength: 4_096 });
  setInterval(() => destination.flush(), flushMs).unref();
  return {
    ...levels(options.level, { name: options.name, pid: process.pid }, destination),
    write: (line) => void destination.write(line),
    flush() {
      try {
        destination.flushSync();
      } catch {
        // Nothing was ever written, or stderr is gone: there is nobody left to tell.
      }
    },
  };
}

/** The log of a thread: `write` gets every line, for the process's log. */
export function createThreadLogger(options: {
  name: string;
  level: LogLevel;
  thread: string;
  write: (line: string) => void;
}): ProcessLogger {
  const { name, level, thread, write } = options;
  return { ...levels(level, { name, pid: process.pid, thread }, { write }), write, flush() {} };
}

function levels(level: LogLevel, base: object, destination: { write(line: string): void }): Logger {
  const logger = pino({ level, base: { ...base }, timestamp: pino.stdTimeFunctions.isoTime }, destination);
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}
