/** Tries to lock FILE-0, FILE-1, … when told, prints the numbers of those that it got, and keeps them until stdin ends. */
import { lockFile } from "../../orders/workers/lock-file.ts";

const [file, count] = process.argv.slice(2) as [string, string];
process.stdout.write("there\n");
await new Promise<void>((resolve) => process.stdin.once("data", () => resolve()));
const got: number[] = [];
for (let at = 0; at < Number(count); at += 1) {
  if ("lock" in lockFile(`${file}-${at}`)) got.push(at);
}
process.stdout.write(`${JSON.stringify(got)}\n`);
await new Promise<void>((resolve) => process.stdin.once("end", () => resolve()));
