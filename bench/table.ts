import Table from "cli-table3";

/** One measured case beside its ceiling or peer of the same run. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly measured: number;
  readonly ceiling: number;
  readonly ceilingIs: string;
  readonly ratio: number;
  /** Of the ratio. */
  readonly aim?: number;
  readonly aimPerSecond?: number;
  /** Milliseconds. */
  readonly p50?: number;
  readonly p99?: number;
  readonly beside?: { readonly name: string; readonly perSecond: number };
}

export const ratio = (measured: number, ceiling: number) => Math.round((measured / ceiling) * 1000) / 1000;

/** The run with the median ratio, so that a row's figures belong together; spread beside it. */
export function medianRow(rows: readonly Row[]): Row & { readonly ratios: readonly number[] } {
  const sorted = [...rows].sort((a, b) => a.ratio - b.ratio);
  return { ...sorted[Math.floor((sorted.length - 1) / 2)]!, ratios: rows.map((row) => row.ratio) };
}

const whole = (value: number) => Math.round(value).toLocaleString("en");
const ms = (value: number | undefined) => (value === undefined ? "" : value.toFixed(1));

export function renderTable(rows: readonly (Row & { readonly ratios: readonly number[] })[]): string {
  const table = new Table({
    head: ["case", "measured", "ceiling or peer", "ratio (all runs)", "aim", "p50 / p99 ms"],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    const beside = row.beside === undefined ? "" : `\n${row.beside.name}: ${whole(row.beside.perSecond)}`;
    table.push([
      row.name,
      `${whole(row.measured)} ${row.unit}`,
      `${whole(row.ceiling)}\n${row.ceilingIs}${beside}`,
      `${row.ratio} (${row.ratios.join(", ")})`,
      row.aim === undefined ? `${whole(row.aimPerSecond ?? 0)} ${row.unit}` : String(row.aim),
      row.p50 === undefined ? "" : `${ms(row.p50)} / ${ms(row.p99)}`,
    ]);
  }
  return table.toString();
}
