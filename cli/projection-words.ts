import type { Difference } from "../projections/compare-builds.ts";
import type { RebuildProgress } from "../projections/rebuild.ts";
import type { Lag, Standing } from "../projections/standing.ts";
import { addLags } from "../projections/standing.ts";
import { renderTable } from "./demo/table.ts";

/** What `meridian projections` tells a person. */

export type StatusLine = Standing & {
  /** What the archive has and the build has not. */
  readonly behind: Lag;
  /** What the log has and neither has; undefined: not known. */
  readonly above: Lag | undefined;
};

export function statusTable(lines: readonly StatusLine[]): string {
  const head = ["tenant", "home", "log", "model", "build", "lag events", "lag seconds", "rebuild", "checkpoints"];
  const rows = lines.map((line) => {
    const { events, seconds } = addLags([line.behind, line.above ?? { events: 0, seconds: 0 }]);
    const atLeast = line.above === undefined ? "≥ " : "";
    const build = line.model === "archive" ? "" : `${line.build} v${line.version}`;
    const log = line.generation === 1 ? line.log : `${line.log} ${line.generation}`;
    const checkpoints = line.shards.map(({ checkpoint }) => checkpoint).join(" ");
    const words = [line.tenant, line.home, log, line.model, build];
    return [...words, `${atLeast}${events}`, `${atLeast}${seconds.toFixed(1)}`, rebuildOf(line), checkpoints];
  });
  const unknown = lines.some(({ above }) => above === undefined);
  const note =
    "\n≥: what lies in the log above the archive is not known: the broker was not asked, or does not answer.";
  return `${renderTable(head, rows, 5)}${unknown ? note : ""}`;
}

function rebuildOf({ state, done, held, secondsLeft }: Standing): string {
  if (state === "live") return "";
  const left = secondsLeft === undefined ? "" : `, ${Math.ceil(secondsLeft)} s left`;
  return `${percent(done)}${held ? left : ", left behind: run it again"}`;
}

export function describeProgress({ tenant, home, log }: Standing, progress: RebuildProgress): string {
  const { build, events, eventsPerSecond, done, secondsLeft } = progress;
  const left = secondsLeft === undefined ? "" : `, ${Math.ceil(secondsLeft)} s left`;
  return `${tenant} ${home} ${log}: build ${build}: ${percent(done)}, ${events} events, ${eventsPerSecond}/s${left}`;
}

const percent = (part: number) => `${Math.floor(part * 100)} %`;

/** An order's body in the middle of a line helps nobody. */
const shownChars = 120;

export function describeDifference({ tenant, home, log }: Standing, { table, key, kind, columns }: Difference): string {
  const place = Object.entries(key).map(([name, value]) => `${name} ${shown(value)}`);
  const what = columns.map(({ name, live, folded }) => {
    if (kind === "missing") return `${name} ${shown(folded)}`;
    return kind === "extra" ? `${name} ${shown(live)}` : `${name} is ${shown(live)}, should be ${shown(folded)}`;
  });
  return `${tenant} ${home} ${log}: ${table} ${place.join(", ")}: ${kind}: ${what.join("; ")}`;
}

function shown(value: string | null): string {
  if (value === null) return "null";
  const text = JSON.stringify(value);
  return text.length > shownChars ? `${text.slice(0, shownChars)}… (${value.length} characters)` : text;
}
