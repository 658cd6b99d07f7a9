import { once } from "node:events";
import process from "node:process";
import { decodeLines } from "../decode.ts";

/** stdin to stdout. */
export async function runDecode(): Promise<void> {
  process.stdout.on("error", () => process.exit(0)); // whoever reads has seen enough (head, less)
  for await (const lines of decodeLines(process.stdin)) {
    if (!process.stdout.write(lines)) await once(process.stdout, "drain");
  }
}
