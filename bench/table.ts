import Table from "cli-table3";

/** One measured case beside its ceiling or peer of the same run. */
export interface Row {
  readonly name: string;
  /** Of `measured` and `ceiling`. */
  readonly unit: string;
  readonly measured: number;
  readonly ceiling: number;
  readonly ceilingIs: string;
  readonly ratio: number;
  /** Of the ratio: at least. */
  readonly aim?: number;
  /** Of `measured`: at least. */
  readonly aimPerSecond?: number;
  /** Of `measured`: at most. */
  readonly aimMsMost?: number;
  /** Milliseconds. */
  readonly p50?: number;
  readonly p99?: number;
  readonly beside?: readonly Beside[];
}

/** What else is worth knowing of the same run; without a unit it is in the row's. */
export interface Beside {
  readonly name: string;
  readonly value: number;
  readonly unit?: string;
}

/** What a unit costs the processes under measurement, whoever else uses the machine. */
export const cpuOf = (measured: { cpuUs: number }, ceiling: { cpuUs: number }): Beside[] => [
  { name: "CPU of what is measured", value: measured.cpuUs, unit: "µs each" },
  { name: "CPU of the ceiling or peer", value: ceiling.cpuUs, unit: "µs each" },
];

export const ratio = (measured: number, ceiling: number) => Math.round((measured / ceiling) * 1000) / 1000;

/** The run with the median ratio, so that a row's figures belong together; spread beside it. */
export function medianRow(rows: readonly Row[]): Row & { readonly ratios: readonly number[] } {
  const sorted = [...rows].sort((a, b) => a.ratio - b.ratio);
  return { ...sorted[Math.floor((sorted.length - 1) / 2)]!, ratios: rows.map((row) => row.ratio) };
}

const figure = (value: number) => (value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString("en"));
const ms = (value: number | undefined) => (value === undefined ? "" : value.toFixed(1));

export function renderTable(rows: readonly (Row & { readonly ratios: readonly number[] })[]): string {
  const table = new Table({
    head: ["case", "measured", "ceiling or peer", "ratio (all runs)", "aim", "p50 / p99 ms"],
    colWidths: [34, 20, 36, 22, 18, 16],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    const besides = (row.beside ?? []).map(({ name, value, unit }) =>
      `\n${name}: ${figure(value)} ${unit ?? ""}`.trimEnd(),
    );
    table.push([
      row.name,
      `${figure(row.measured)} ${row.unit}`,
      `${figure(row.ceiling)}\n${row.ceilingIs}${besides.join("")}`,
      row.ratios.length === 1 ? String(row.ratio) : `${row.ratio} (${row.ratios.join(", ")})`,
      aimOf(row),
      row.p50 === undefined ? "" : `${ms(row.p50)} / ${ms(row.p99)}`,
    ]);
  }
  return table.toString();
}

function aimOf({ aim, aimPerSecond, aimMsMost, unit }: Row): string {
  if (aim !== undefined) return String(aim);
  if (aimPerSecond !== undefined) return `${figure(aimPerSecond)} ${unit}`;
  return aimMsMost === undefined ? "" : `at most ${aimMsMost} ms`;
}
