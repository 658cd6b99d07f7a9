import { bold, faint } from "./table.ts";

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
