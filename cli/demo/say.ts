import type { Logger } from "../../mesh/logger.ts";
import { bold, faint } from "./table.ts";

/** What parts that only know a log have to tell a visitor: what takes long, and what went wrong on the way. */
export function voiceLogger(voice: Voice): Logger {
  const step = (_fields: object, message: string) => voice.step(message);
  return { debug() {}, info: step, warn: step, error: step };
}

/** What the demo tells its visitor, on stdout or, where stdout belongs to the summary's JSON, on stderr. */
export interface Voice {
  readonly out: NodeJS.WriteStream;
  heading(text: string): void;
  step(text: string): void;
  line(text: string): void;
}

export function createVoice(out: NodeJS.WriteStream): Voice {
  // A reader that has gone away (head, a closed terminal) must not take the demo down half-way through its clean-up.
  out.on("error", () => {});
  const line = (text: string) => void out.write(`${text}\n`);
  return { out, line, heading: (text) => line(`\n${bold(text)}`), step: (text) => line(`${faint("·")} ${text}`) };
}
