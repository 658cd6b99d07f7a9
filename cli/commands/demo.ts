import { silent } from "../../mesh/logger.ts";
import { demo, interrupted } from "../demo/demo.ts";
import { type DemoWords, readDemoOptions } from "../demo/options.ts";
import { createVoice } from "../demo/say.ts";
import { CliError, describeError } from "../error.ts";
import { isLostConnection } from "../rejections.ts";

/** Runs the demo; its exit code says whether everything held. */
export async function runDemo(words: DemoWords): Promise<void> {
  const options = readDemoOptions(words, process.env);
  const stopping = new AbortController();
  // stdout's last line is the summary, and nothing comes between its lines.
  const voice = createVoice(options.json ? process.stderr : process.stdout);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      voice.step(stopping.signal.aborted ? "stopping already, a moment" : "stopping everything");
      stopping.abort();
    });
  }
  guard(stopping);
  try {
    const held = await demo(options, { voice, logger: silent, signal: stopping.signal });
    process.exitCode = held ? 0 : 1;
  } catch (error) {
    throw interrupted(stopping.signal, error);
  }
  process.exit();
}

/** An accident in here must not leave processes behind: everything is stopped as by Ctrl-C, and then it is told. */
function guard(stopping: AbortController): void {
  const stop = (reason: unknown) => {
    if (isLostConnection(reason)) return;
    stopping.abort(new CliError("failed", `unexpected: ${describeError(reason)}`, { cause: reason }));
  };
  process.on("unhandledRejection", stop);
  process.on("uncaughtException", stop);
}
