import { isAbsolute, join, resolve } from "node:path";
import { cacheFolder } from "../../mesh/cache-folder.ts";
import { CliError } from "../error.ts";
import { faultArguments } from "../fault-options.ts";
import { shippedOrders } from "./layout.ts";
import { type Runtime, readRuntime } from "./processes.ts";

export interface DemoOptions {
  /** Undefined: none are posted. */
  readonly orders: string | undefined;
  readonly rate: number | undefined;
  readonly exit: boolean;
  readonly json: boolean;
  readonly dir: string;
  /** Undefined: as mesh.toml has them. */
  readonly ports: number | undefined;
  readonly runtime: Runtime;
  /** Each region is three processes. */
  readonly split: boolean;
  /** Of the payment provider's command line. */
  readonly providerFaults: readonly string[];
}

/** The command line's words, as commander gives them. */
export interface DemoWords {
  /** False: --no-orders. */
  readonly orders?: string | boolean;
  readonly rate?: string;
  readonly exit?: boolean;
  readonly json?: boolean;
  readonly dir?: string;
  readonly ports?: string;
  readonly runtime?: string;
  readonly split?: boolean;
  readonly providerFaults?: string;
}

/** The highest port of a demo is BASE + 38. */
const portsMax = 65_000;

/** Throws CliError "usage" that names the option. */
export function readDemoOptions(words: DemoWords, environment: NodeJS.ProcessEnv): DemoOptions {
  return {
    orders: ordersOf(words),
    rate: words.rate === undefined ? undefined : positive("--rate", words.rate),
    exit: words.exit === true,
    json: words.json === true,
    dir: words.dir === undefined ? join(cacheFolder(environment), "demo") : absolute(words.dir),
    ports: words.ports === undefined ? undefined : portBase(words.ports),
    runtime: readRuntime(words.runtime ?? "bun"),
    split: words.split === true,
    providerFaults: faultArguments(words.providerFaults ?? ""),
  };
}

/** Without orders there is no summary to end with. */
function ordersOf({ orders, exit, json }: DemoWords): string | undefined {
  if (orders !== false) return typeof orders === "string" ? resolve(orders) : shippedOrders;
  if (exit !== true && json !== true) return undefined;
  throw new CliError(
    "usage",
    "--no-orders starts the mesh and leaves it running: it goes with neither --exit nor --json",
  );
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
