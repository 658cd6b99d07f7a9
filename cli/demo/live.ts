import { limits } from "../limits.ts";
import type { ProcessReport } from "./supervised.ts";
import { bold, faint, grouped, renderTable, warning } from "./table.ts";

/** One region at one moment; undefined where nobody has said yet. */
export interface RegionView {
  readonly name: string;
  readonly received: number;
  readonly paid: number;
  readonly inReview: number;
  readonly approved: number;
  readonly rejected: number;
  readonly perSecond: number;
  /** Batches of all logs that the slowest projection has still to take. */
  readonly projectionLag: number | undefined;
  /** Batches of each other region that have not come here yet. */
  readonly mirrorLag: Readonly<Record<string, number | undefined>>;
}

export interface View {
  readonly seconds: number;
  readonly acknowledged: number;
  readonly regions: readonly RegionView[];
  readonly processes: readonly ProcessReport[];
}

export interface Live extends AsyncDisposable {
  /** Prints a line above the table. */
  say(text: string): void;
  /** Draws it for the last time. Disposing ends it as it is: others may have written below it. */
  stop(): Promise<void>;
}

/** Draws what `look` sees: once a second over itself on a terminal, a line every five seconds elsewhere. */
export function startLive(look: () => Promise<View>, out: NodeJS.WriteStream): Live {
  const terminal = out.isTTY === true;
  let drawn = 0;
  let last = "";
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const erase = () => {
    if (drawn > 0) out.write(`\x1b[${drawn}A\x1b[J`);
    drawn = 0;
  };
  async function draw(): Promise<void> {
    const view = await look().catch(() => undefined);
    const shown = view === undefined ? last : terminal ? table(view) : line(view);
    // Where nothing moves nothing is drawn: a visitor may be selecting text.
    if (shown === last) return;
    last = shown;
    if (!terminal) {
      out.write(`${shown}\n`);
      return;
    }
    erase();
    // A line longer than the terminal is wide would take two, and the next drawing would leave one of them behind.
    const text = shown
      .split("\n")
      .map((one) => cut(one, out.columns ?? 120))
      .join("\n");
    out.write(`${text}\n`);
    drawn = text.split("\n").length;
  }
  let drawing = Promise.resolve();
  const again = () => {
    timer = setTimeout(
      () => {
        drawing = draw().then(() => {
          if (!stopped) again();
        });
      },
      terminal ? limits.liveMs : limits.plainMs,
    );
  };
  again();

  async function end(): Promise<void> {
    stopped = true;
    clearTimeout(timer);
    await drawing;
  }
  return {
    say(text) {
      erase();
      last = "";
      out.write(`${text}\n`);
    },
    async stop() {
      if (stopped) return;
      await end();
      if (terminal) await draw();
    },
    [Symbol.asyncDispose]: end,
  };
}

const count = (value: number | undefined) => (value === undefined ? "–" : grouped(value));

export function table(view: View): string {
  const names = view.regions.map((region) => region.name);
  const head = ["region", "received", "paid", "in review", "approved", "rejected", "orders/s", "projection lag"];
  const rows = view.regions.map((region) => [
    region.name,
    grouped(region.received),
    grouped(region.paid),
    grouped(region.inReview),
    grouped(region.approved),
    grouped(region.rejected),
    grouped(Math.round(region.perSecond)),
    count(region.projectionLag),
    ...names.map((name) => (name === region.name ? "–" : count(region.mirrorLag[name]))),
  ]);
  const lag = names.map((name) => `from ${name}`);
  const top = bold(`${view.seconds.toFixed(1)} s, ${grouped(view.acknowledged)} orders acknowledged`);
  return [top, "", renderTable([...head, ...lag], rows), "", processLine(view.processes)].join("\n");
}

function processLine(processes: readonly ProcessReport[]): string {
  const parts = processes.map(({ name, pid, state, restarts }) => {
    const again = restarts === 0 ? "" : `, restarted ${restarts}×`;
    const text = `${name} ${pid}${state === "running" ? "" : ` ${state}`}${again}`;
    return state === "running" && restarts === 0 ? faint(text) : warning(text);
  });
  const rows: string[] = [];
  for (let first = 0; first < parts.length; first += 4) rows.push(parts.slice(first, first + 4).join("  "));
  return rows.join("\n");
}

/** Without a terminal: one line for everything. */
export function line(view: View): string {
  const regions = view.regions.map((region) => {
    const mirrors = Object.values(region.mirrorLag).reduce<number>((sum, lag) => sum + (lag ?? 0), 0);
    const lag = `lag ${count(region.projectionLag)}+${mirrors}`;
    return `${region.name} ${region.received} received ${region.approved} approved ${region.rejected} rejected ${lag}`;
  });
  const odd = view.processes.filter(({ state, restarts }) => state !== "running" || restarts > 0);
  const heal = odd.map(({ name, state, restarts }) => `${name} ${state} (restarts ${restarts})`);
  return [`${view.seconds.toFixed(1)} s, ${view.acknowledged} acknowledged`, ...regions, ...heal].join(" | ");
}

/** Cuts a line to `width` columns, escape codes not counted. */
function cut(text: string, width: number): string {
  let columns = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape codes are what is looked for
  return text.replace(/\x1b\[[0-9;]*m|./gu, (part) => {
    if (part.length > 1 && part.startsWith("\x1b")) return part;
    columns += 1;
    return columns < width ? part : "";
  });
}
