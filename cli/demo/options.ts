import { isAbsolute, join, resolve } from "node:path";
import { cacheFolder } from "../../mesh/cache-folder.ts";
import { CliError } from "../error.ts";
import { shippedOrders } from "./layout.ts";
import { type Runtime, readRuntime } from "./processes.ts";

export interface DemoOptions {
  readonly orders: string;
  readonly rate: number | undefined;
  readonly exit: boolean;
  readonly json: boolean;
  readonly dir: string;
  /** Undefined: as mesh.toml has them. */
  readonly ports: number | undefined;
  readonly runtime: Runtime;
}

/** The command line's words, as commander gives them. */
export interface DemoWords {
  readonly orders?: string;
  readonly rate?: string;
  readonly exit?: boolean;
  readonly json?: boolean;
  readonly dir?: string;
  readonly ports?: string;
  readonly runtime?: string;
}

/** The highest port of a demo is BASE + 36. */
const portsMax = 65_000;

/** Throws CliError "usage" that names the option. */
export function readDemoOptions(words: DemoWords, environment: NodeJS.ProcessEnv): DemoOptions {
  return {
    orders: words.orders === undefined ? shippedOrders : resolve(words.orders),
    rate: words.rate === undefined ? undefined : positive("--rate", words.rate),
    exit: words.exit === true,
    json: words.json === true,
    dir: words.dir === undefined ? join(cacheFolder(environment), "demo") : absolute(words.dir),
    ports: words.ports === undefined ? undefined : portBase(words.ports),
    runtime: readRuntime(words.runtime ?? "bun"),
  };
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number) || number <= 0) {
    throw new CliError("usage", `${option} must be a number above 0, not "${text}"`);
  }
  return number;
}

function portBase(text: string): number {
  const base = positive("--ports", text);
  if (!Number.isInteger(base) || base < 1_024 || base > portsMax) {
    throw new CliError("usage", `--ports must be a whole number from 1024 to ${portsMax}, not "${text}"`);
  }
  return base;
}

function absolute(dir: string): string {
  return isAbsolute(dir) ? dir : resolve(dir);
}
