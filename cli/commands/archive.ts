import type { LogName } from "../../mesh/log.ts";
import type { Mesh } from "../../mesh/topology.ts";
import { openDatabase } from "../../projections/database.ts";
import { fillArchive } from "../../projections/fill-archive.ts";
import { openBeside, withTables } from "../beside-region.ts";
import type { RegionConfig } from "../config.ts";
import { CliError } from "../error.ts";
import { limits } from "../limits.ts";
import { logName, mirrorTargets } from "../tenant-logs.ts";

export interface FillWords {
  readonly config: string;
  readonly from: string;
  readonly tenant?: string;
  readonly home?: string;
  readonly json?: boolean;
}

/** Fills the region's archive with what another region's has and its own lacks, a log after the other. */
export async function runArchiveFill(words: FillWords): Promise<void> {
  await using beside = openBeside({ config: words.config });
  const { config, around, logs } = beside.region!;
  const { logger, signal } = around;
  await using from = openDatabase({ url: words.from, application: "meridian command", logger });
  const copies = copiesOf(config, words);
  if (copies.length === 0) {
    throw new CliError("usage", `${config.region.name} holds no such log: see --tenant and --home`);
  }
  try {
    for (const { tenant, name } of copies) {
      const log = await logs.find(tenant, name);
      if (log === undefined) {
        const text = `the broker of ${config.region.name} does not answer, or holds no copy of ${name.log} of ${tenant} from ${name.home}: start it, or leave this log out with --tenant and --home`;
        throw new CliError("failed", text);
      }
      const report = createReport({ tenant, ...name }, words.json === true);
      const { identity, shards } = log;
      const fill = { from, to: around.database, log: { tenant, ...name, identity, shards }, signal };
      report.end(await withTables(fillArchive({ ...fill, written: report.written })));
    }
  } catch (error) {
    // Whatever it was that was cut off by it.
    throw signal.aborted ? signal.reason : error;
  }
}

interface Copy {
  readonly tenant: string;
  readonly name: LogName;
}

/** Own logs and mirrors. */
function copiesOf({ region, mesh, tenants }: RegionConfig, { tenant, home }: FillWords): Copy[] {
  const holds = (log: Parameters<typeof mirrorTargets>[1], from: Mesh["regions"][number]) =>
    from.name === region.name || mirrorTargets(mesh, log, from.name).includes(region.name);
  return tenants
    .filter(({ name }) => tenant === undefined || name === tenant)
    .flatMap(({ name, logs }) =>
      logs.flatMap((log) =>
        mesh.regions
          .filter((from) => (home === undefined || from.name === home) && holds(log, from))
          .map((from) => ({ tenant: name, name: logName(log, from.name) })),
      ),
    );
}

function createReport(place: Copy["name"] & { readonly tenant: string }, json: boolean) {
  const { tenant, home, log } = place;
  const begunMs = performance.now();
  let saidMs = begunMs;
  let events = 0;
  return {
    written(more: number, done: number): void {
      events += more;
      if (performance.now() - saidMs < limits.progressMs) return;
      saidMs = performance.now();
      const text = `${tenant} ${home} ${log}: ${events} events, ${Math.floor(done * 100)} %`;
      process.stderr.write(`${json ? JSON.stringify({ tenant, home, log, events, done }) : text}\n`);
    },
    end(taken: number | undefined): void {
      const seconds = (performance.now() - begunMs) / 1_000;
      const text =
        taken === undefined
          ? "the other database knows nothing of it"
          : `${taken} events taken in ${seconds.toFixed(1)} s`;
      const answer = json
        ? JSON.stringify({ tenant, home, log, events: taken ?? null })
        : `${tenant} ${home} ${log}: ${text}`;
      process.stdout.write(`${answer}\n`);
    },
  };
}
