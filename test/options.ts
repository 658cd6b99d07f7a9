import { type ParseArgsConfig, parseArgs } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** A script's command line. --help prints `usage` and ends; what it does not know ends with exit code 2. */
export function readOptions<const T extends Options>(usage: string, options: T) {
  const args = process.argv.slice(2);
  const own = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
  if (own.includes("--help") || own.includes("-h")) {
    process.stdout.write(`${usage}\n`);
    process.exit(0);
  }
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    // Its second sentence is about words that begin with a hyphen: none here do.
    return refuse(error instanceof Error ? error.message.replace(/\. .*/s, "") : String(error));
  }
}

/** For who takes no words but options. */
export function noWords(words: readonly string[]): void {
  if (words.length > 0) refuse(`Unexpected argument '${words[0]}'`);
}

/** A command line that cannot be meant: one line, and exit code 2. */
export function refuse(text: string): never {
  process.stderr.write(`${text} (--help says what there is)\n`);
  process.exit(2);
}
