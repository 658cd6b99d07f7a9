import { listQuarantined, type Quarantined, readQuarantined } from "../../projections/quarantine.ts";
import { type BesideWords, openBeside, withTables } from "../beside-region.ts";
import { renderTable } from "../demo/table.ts";
import { CliError } from "../error.ts";
import { printable } from "../gateway-client.ts";
import { limits } from "../limits.ts";
import { readCount } from "../read-count.ts";

/** `meridian quarantine`: messages of a region's logs that nobody takes. */

export interface ListWords extends BesideWords {
  readonly tenant?: string;
  readonly home?: string;
  readonly limit: string;
  readonly json?: boolean;
}
export interface ShowWords extends BesideWords {
  readonly home: string;
  readonly raw?: boolean;
  readonly json?: boolean;
}

const say = (text: string) => process.stdout.write(`${text}\n`);

export async function runQuarantineList({ tenant, home, json, ...words }: ListWords): Promise<void> {
  const limit = readCount("--limit", words.limit);
  await using beside = openBeside(words);
  // One more tells that there are more.
  const found = await withTables(listQuarantined(beside.database, { tenant, home, limit: limit + 1 }));
  const shown = found.slice(0, limit);
  if (json === true) return void say(JSON.stringify(shown));
  if (shown.length === 0) return void say("nothing is quarantined");
  const head = ["tenant", "home", "log", "stored", "why", "shard", "sequence", "bytes"];
  say(renderTable(head, shown.map(rowOf), 5));
  if (found.length > limit) say(`and more: --limit shows more than ${limit}`);
}

function rowOf({ tenant, home, log, stored_at, why, shard, sequence, size }: Quarantined): string[] {
  const short = why.length > limits.reasonShown ? `${why.slice(0, limits.reasonShown - 1)}…` : why;
  return [tenant, home, log, stored_at.slice(0, 19), short, `${shard}`, `${sequence}`, `${size}`].map(printable);
}

export async function runQuarantineShow(tenant: string, log: string, at: string, words: ShowWords): Promise<void> {
  const place = { tenant, log, home: words.home, sequence: readCount("the sequence", at) };
  await using beside = openBeside(words);
  const found = await withTables(readQuarantined(beside.database, place));
  if (found === undefined) {
    throw new CliError("failed", `message ${at} of log ${log} of ${words.home} (tenant ${tenant}) is not quarantined`);
  }
  const { data, ...message } = found;
  if (words.raw === true) return void process.stdout.write(data);
  if (words.json === true) return void say(JSON.stringify({ ...message, data: Buffer.from(data).toString("base64") }));
  say(describe(message, data));
}

function describe(message: Quarantined, data: Uint8Array): string {
  const { sequence, subject, why, size, kept, digest, stored_at, noted_at } = message;
  const cut = kept < size ? `, of which the first ${kept} are kept` : "";
  return [
    printable(`message ${sequence} on ${subject}: ${why}`),
    `  stored ${stored_at}, noted ${noted_at}`,
    `  ${size} bytes${cut}, SHA-256 ${digest}`,
    `  begins ${Buffer.from(data.subarray(0, limits.quarantineShownBytes)).toString("hex")}`,
  ].join("\n");
}
