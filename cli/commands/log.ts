import { parsePosition } from "../../store/position.ts";
import type { Trimmed, TrimOptions } from "../../store/trim/trim.ts";
import { openBeside, withTables } from "../beside-region.ts";
import { CliError } from "../error.ts";
import { readCount } from "../read-count.ts";
import { connectAs } from "../tenant-logs.ts";
import { olderThan, type Trimming, trim } from "../trim.ts";

export interface TrimWords {
  readonly config: string;
  readonly home?: string;
  readonly keepDays?: string;
  readonly before?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const say = (text: string) => process.stdout.write(`${text}\n`);

/** Trims this region's copy of a log once. */
export async function runLogTrim(tenantName: string, logName: string, words: TrimWords): Promise<void> {
  await using beside = openBeside({ config: words.config });
  const { config, around } = beside.region!;
  const tenant = named("tenant", config.tenants, tenantName);
  const log = named("log", tenant.logs, logName);
  const { name: home } = named("region", config.mesh.regions, words.home ?? config.region.name);
  const below = readBelow(words, log.keepDays);
  const connection = await connectAs(around, tenant, "operator");
  await using _closing = { [Symbol.asyncDispose]: () => connection.close() };
  const trimming = { around, connection, tenant, log, home };
  const trimmed = await withTables(trim(trimming, below, words.dryRun === true));
  const place = { tenant: tenant.name, log: log.name, home, region: config.region.name, dryRun: words.dryRun === true };
  say(words.json === true ? JSON.stringify({ ...place, ...trimmed }) : describe(trimming, trimmed, place.dryRun));
}

function named<T extends { readonly name: string }>(what: string, list: readonly T[], name: string): T {
  const found = list.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new CliError("usage", `there is no ${what} "${name}"; there are ${list.map((one) => one.name).join(", ")}`);
}

/** What goes: by --keep-days or --before, else by what mesh.toml keeps. */
function readBelow({ keepDays, before }: TrimWords, policy: number | undefined): Parameters<typeof trim>[1] {
  if (keepDays !== undefined && before !== undefined) {
    throw new CliError("usage", "give --keep-days or --before, not both");
  }
  if (before === undefined) {
    const days = keepDays === undefined ? policy : keepDays === "0" ? 0 : readCount("--keep-days", keepDays);
    if (days !== undefined) return (log) => olderThan(log, days);
    throw new CliError("usage", "give --keep-days or --before: mesh.toml says nothing of how long the log is kept");
  }
  const position = parsePosition(before);
  return async (log): Promise<TrimOptions["below"]> => {
    if (Buffer.compare(position.log, log.identity) === 0) return { sequence: position.sequence };
    throw new CliError("usage", `--before: the position is of another log than ${log.name.log} of ${log.name.home}`);
  };
}

function describe({ around, tenant, log, home }: Trimming, trimmed: Trimmed, dryRun: boolean): string {
  const { upTo, heldBy, keeps, messages, bytes } = trimmed;
  const what = `${tenant.name} ${home} ${log.name} in ${around.config.region.name}`;
  const done = dryRun
    ? "nothing was removed (--dry-run)"
    : `${messages} messages removed, ${(bytes / (1 << 20)).toFixed(1)} MiB`;
  const shards = keeps.map((keep, shard) => `  shard ${shard} ${keep === 0 ? "stays whole" : `begins at ${keep}`}`);
  const held = heldBy.length === 0 ? [] : [`  it goes no further for now because of ${heldBy.join(", ")}`];
  return [`${what}: up to ${upTo}: ${done}`, ...shards, ...held].join("\n");
}
