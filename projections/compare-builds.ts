import type { Row } from "./database.ts";
import { ProjectionError } from "./error.ts";
import { limits } from "./limits.ts";
import type { ModelTable, ReadModel } from "./read-model.ts";
import type { RunQuery } from "./snapshot.ts";

/** A row of which live and folded say different things. */
export interface Difference {
  readonly table: string;
  /** Column by column, as text. */
  readonly key: Readonly<Record<string, string>>;
  /** missing: the live build lacks it; extra: it has what no event led to. */
  readonly kind: "missing" | "extra" | "different";
  /** The columns that differ; of a row that is missing or extra all of them. null: SQL's null, or no row. */
  readonly columns: readonly { readonly name: string; readonly live: string | null; readonly folded: string | null }[];
}

/** A page of a build's rows as texts, in the order of the key: k0, k1 … and c0, c1 …. */
const page = (table: ModelTable, after: boolean) => {
  const keys = table.key.map((name, at) => `${name}::text as k${at}`);
  const columns = table.columns.map((name, at) => `${name}::text as c${at}`);
  const order = table.key.join(", ");
  const place = table.key.map((_, at) => `$${4 + at}`).join(", ");
  return `select ${[...keys, ...columns].join(", ")} from ${table.name}
where log = $1::int4 and build = $2::int4${table.counts === undefined ? "" : ` and ${table.counts}`}${
    after ? ` and (${order}) > (${place})` : ""
  }
order by ${order} limit $3::int4`;
};

/** Of every table: its first page, and the next one. */
export const comparePages = (model: ReadModel): string[] =>
  model.tables.flatMap((table) => [page(table, false), page(table, true)]);

export interface Side {
  readonly build: number;
  readonly query: RunQuery;
}

interface Line {
  readonly id: string;
  readonly row: Row;
}

/** Every difference of one table, a page of each side at a time. Neither side may change meanwhile. */
export async function* compareTable(
  table: ModelTable,
  log: number,
  live: Side,
  folded: Side,
  rowsMax: number = limits.compareRows,
): AsyncGenerator<Difference> {
  const read = async ({ build, query }: Side, after: Row | undefined, limit: number): Promise<Line[]> => {
    const place = after === undefined ? [] : table.key.map((_, at) => after[`k${at}`] as string);
    const rows = await query(page(table, after !== undefined), [log, build, limit, ...place]);
    return rows.map((row) => ({ id: JSON.stringify(table.key.map((_, at) => row[`k${at}`])), row }));
  };
  let after: Row | undefined;
  for (let limit = rowsMax; ; ) {
    const [ours, theirs] = await Promise.all([read(live, after, limit), read(folded, after, limit)]);
    const cut = cutEqually(ours, theirs, limit);
    if (cut === undefined) {
      limit = wider(table, limit);
      continue;
    }
    yield* compareLines(table, cut.ours, cut.theirs);
    if (cut.last === undefined) return;
    after = cut.last;
    limit = rowsMax;
  }
}

function wider(table: ModelTable, limit: number): number {
  if (limit < limits.compareRowsMax) return limit * 4;
  throw new ProjectionError(
    "statement",
    `of ${limit} rows of ${table.name} none is both in the live build and in the folded one: rebuild the read model`,
  );
}

/**
 * The part of both pages that reaches equally far: up to the last row that is in both. Both stand in the database's order,
 * which need not be known here. Undefined: they have none in common, and more must be read. `last`: more follows behind it.
 */
function cutEqually(ours: readonly Line[], theirs: readonly Line[], limit: number) {
  if (ours.length < limit && theirs.length < limit) return { ours, theirs, last: undefined };
  if (ours.length === 0) return { ours, theirs, last: theirs.at(-1)!.row };
  if (theirs.length === 0) return { ours, theirs, last: ours.at(-1)!.row };
  const places = new Map(theirs.map(({ id }, at) => [id, at]));
  for (let at = ours.length - 1; at >= 0; at -= 1) {
    const place = places.get(ours[at]!.id);
    if (place !== undefined) {
      return { ours: ours.slice(0, at + 1), theirs: theirs.slice(0, place + 1), last: ours[at]!.row };
    }
  }
  return undefined;
}

function* compareLines(table: ModelTable, ours: readonly Line[], theirs: readonly Line[]): Generator<Difference> {
  const expected = new Map(theirs.map(({ id, row }) => [id, row]));
  for (const { id, row } of ours) {
    const folded = expected.get(id);
    expected.delete(id);
    const difference = compareRows(table, row, folded);
    if (difference !== undefined) yield difference;
  }
  for (const folded of expected.values()) yield compareRows(table, undefined, folded)!;
}

function compareRows(table: ModelTable, live: Row | undefined, folded: Row | undefined): Difference | undefined {
  const columns = table.columns
    .map((name, at) => ({ name, live: textAt(live, at), folded: textAt(folded, at) }))
    .filter((one) => live === undefined || folded === undefined || !isSame(table, one));
  if (columns.length === 0 && live !== undefined && folded !== undefined) return undefined;
  const row = (live ?? folded)!;
  const key = Object.fromEntries(table.key.map((name, at) => [name, row[`k${at}`] as string]));
  const kind = live === undefined ? "missing" : folded === undefined ? "extra" : "different";
  return { table: table.name, key, kind, columns };
}

const textAt = (row: Row | undefined, at: number) => (row?.[`c${at}`] ?? null) as string | null;

function isSame(table: ModelTable, { name, live, folded }: Difference["columns"][number]): boolean {
  if (live === folded) return true;
  return table.numerics?.includes(name) === true && live !== null && folded !== null && plain(live) === plain(folded);
}

/** Without the zeros behind the point that a sum keeps of what was added to it. */
const plain = (decimal: string) => (decimal.includes(".") ? decimal.replace(/\.?0+$/, "") : decimal);
