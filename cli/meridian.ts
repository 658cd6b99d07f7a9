#!/usr/bin/env bun
import process from "node:process";
import { CliError, describeError, exitCodes } from "./error.ts";

/** Errors of our own may take more lines (each way in which no server was found); a stranger's first line is enough. */
const ownErrors = ["CliError", "MeshError", "ProjectionError", "StoreError", "OrderError", "GatewayError"];

function explain(error: unknown): string {
  return error instanceof Error && ownErrors.includes(error.name) ? error.message : describeError(error);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return exitCodes[error.code];
  return (error as { code?: unknown } | null)?.code === "configuration" ? exitCodes.configuration : 1;
}

// Every command is loaded only when it is asked for: `meridian decode` is run once a message by the `nats` command.
try {
  const arguments_ = process.argv.slice(2);
  if (arguments_.length === 1 && arguments_[0] === "decode") {
    const { runDecode } = await import("./commands/decode.ts");
    await runDecode();
  } else {
    const { runProgram } = await import("./program.ts");
    await runProgram(process.argv);
  }
} catch (error) {
  const debug = process.env.MERIDIAN_DEBUG ?? "";
  const text = debug !== "" && error instanceof Error ? (error.stack ?? error.message) : explain(error);
  process.stderr.write(`meridian: ${text}\n`);
  process.exitCode = exitCodeOf(error);
  // What still waits (a connection that nobody closed on the way out) must not keep a failed command alive.
  process.exit();
}
