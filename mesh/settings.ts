/**
 * Reads a TOML table key by key; what nobody asked for is refused by name, with its line where that is certain. Where
 * the environment may stand above the file, MERIDIAN_DATABASE_URL is `url` in `[database]`.
 */
import { parse, TomlError } from "smol-toml";
import { MeshError } from "./error.ts";

type Table = Readonly<Record<string, unknown>>;

export interface Settings {
  /** Without a default it must be there. `pattern` comes with its rule in words. */
  text(key: string, initial?: string, pattern?: { test: RegExp; rule: string }): string;
  integer(key: string, range: { min: number; max: number }, initial?: number): number;
  flag(key: string, initial: boolean): boolean;
  oneOf<T extends string>(key: string, allowed: readonly T[], initial: T): T;
  /** Not empty, unless the default is. In the environment: with commas. */
  texts<T extends string>(key: string, initial: readonly T[], allowed?: readonly T[]): readonly T[];
  /** "10 GiB", "512 MiB" or a number of bytes. */
  bytes(key: string, initial?: string): number;
  raw(key: string): unknown;
  /** The tables of `[[key]]`, at least `min` of them, each read and then closed by `read`. */
  list<T>(key: string, min: number, read: (settings: Settings, index: number) => T): T[];
  /** The table `[key]`, read and then closed by `read`; one that is not there is empty. */
  section<T>(key: string, read: (settings: Settings) => T): T;
  /** The error for a value that breaks a rule of the reader. */
  wrong(key: string, rule: string, value: unknown): MeshError;
}

/**
 * Reads the whole file. Throws MeshError "configuration" that names file, setting, rule and value. `environment` stands
 * above the file; not above `[[lists]]`.
 */
export function readSettings<T>(
  text: string,
  file: string,
  read: (settings: Settings) => T,
  environment?: Environment,
): T {
  let table: Table;
  try {
    table = parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const what = cause.message.split("\n")[0];
    throw new MeshError("configuration", `${file}, line ${cause.line}, column ${cause.column}: ${what}`, { cause });
  }
  const above = environment === undefined ? () => undefined : (name: string) => environment[`MERIDIAN_${name}`];
  return closed(table, { file, text, path: "", above }, read);
}

export type Environment = Readonly<Record<string, string | undefined>>;

interface Place {
  readonly file: string;
  readonly text: string;
  readonly path: string;
  /** What stands above a setting in the environment: "DATABASE_URL". */
  readonly above: (name: string) => string | undefined;
}

function closed<T>(table: Table, place: Place, read: (settings: Settings) => T): T {
  const asked = new Set<string>();
  const result = read(settings(table, place, asked));
  for (const key of Object.keys(table)) {
    if (asked.has(key)) continue;
    throw fail(place, key, `is not a setting; there are ${[...asked].sort().join(", ")}`);
  }
  return result;
}

const name = (place: Place, key: string) => (place.path === "" ? key : `${place.path}.${key}`);

function fail(place: Place, key: string, problem: string): MeshError {
  const line = lineOf(place.text, key);
  const where = line === undefined ? place.file : `${place.file}, line ${line}`;
  return new MeshError("configuration", `${where}: ${name(place, key)} ${problem}`);
}

/** The line that sets `key` or opens its table, where there is only one. */
function lineOf(text: string, key: string): number | undefined {
  const escaped = key.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const pattern = new RegExp(`^\\s*(?:"?${escaped}"?\\s*=|\\[+(?:[^\\]]*\\.)?"?${escaped}"?\\]+)`);
  const lines = text.split("\n").flatMap((line, index) => (pattern.test(line) ? [index + 1] : []));
  return lines.length === 1 ? lines[0] : undefined;
}

/** How one table is asked: every key that was is noted in `asked`. */
function askable(table: Table, place: Place, asked: Set<string>) {
  const wrong = (key: string, rule: string, value: unknown) =>
    fail(place, key, `must be ${rule}, not ${JSON.stringify(value) ?? "missing"}`);
  /** `fromText` makes of the environment's text what a file would hold. */
  const raw = (key: string, fromText: (text: string) => unknown = (text) => text): unknown => {
    asked.add(key);
    const above = place.above(key.toUpperCase());
    return above === undefined ? table[key] : fromText(above);
  };
  /** The value, or the default; throws when there is neither. */
  function value<T>(
    key: string,
    initial: T | undefined,
    rule: string,
    check: (given: unknown) => given is T,
    fromText?: (text: string) => unknown,
  ): T {
    const given = raw(key, fromText);
    if (given === undefined && initial !== undefined) return initial;
    if (!check(given)) throw wrong(key, rule, given);
    return given;
  }
  return { raw, wrong, value };
}

function settings(table: Table, place: Place, asked: Set<string>): Settings {
  const { raw, wrong, value } = askable(table, place, asked);
  return {
    raw,
    wrong,
    text(key, initial, pattern) {
      const rule = pattern?.rule ?? "a text";
      return value(key, initial, rule, (given): given is string => {
        return typeof given === "string" && given !== "" && (pattern?.test.test(given) ?? true);
      });
    },
    integer(key, { min, max }, initial) {
      const sound = (given: unknown): given is number =>
        Number.isInteger(given) && Number(given) >= min && Number(given) <= max;
      return value(key, initial, `a whole number from ${min} to ${max}`, sound, (text) => {
        return /^-?\d+$/.test(text) ? Number(text) : text;
      });
    },
    flag(key, initial) {
      const sound = (given: unknown): given is boolean => typeof given === "boolean";
      return value(key, initial, "true or false", sound, (text) => {
        return text === "true" || text === "false" ? text === "true" : text;
      });
    },
    oneOf: <T extends string>(key: string, allowed: readonly T[], initial: T) =>
      value(key, initial, `one of ${allowed.join(", ")}`, (given): given is T => allowed.includes(given as T)),
    texts<T extends string>(key: string, initial: readonly T[], allowed?: readonly T[]) {
      const fits = (one: unknown) =>
        typeof one === "string" && one !== "" && (allowed === undefined || allowed.includes(one as T));
      const sound = (given: unknown): given is readonly T[] =>
        Array.isArray(given) && given.every(fits) && (given.length > 0 || initial.length === 0);
      const rule = `a list of ${allowed?.join(", ") ?? "texts"}`;
      return value(key, initial, rule, sound, (text) => text.split(",").map((one) => one.trim()));
    },
    section(key, read) {
      const given = raw(key) ?? {};
      if (typeof given !== "object" || Array.isArray(given)) throw wrong(key, "a table", given);
      const above = (inner: string) => place.above(`${key.toUpperCase()}_${inner}`);
      return closed(given as Table, { ...place, path: name(place, key), above }, read);
    },
    bytes(key, initial) {
      const given = raw(key) ?? initial;
      const bytes = parseBytes(given);
      if (bytes === undefined) throw wrong(key, 'a size such as "10 GiB"', given);
      return bytes;
    },
    list(key, min, read) {
      const rule = min > 0 ? `at least ${min} [[${name(place, key)}]]` : `a list of [[${name(place, key)}]]`;
      const tables = value<readonly Table[]>(
        key,
        min > 0 ? undefined : [],
        rule,
        (given): given is readonly Table[] => {
          return Array.isArray(given) && given.length >= min && given.every((one) => typeof one === "object");
        },
      );
      return tables.map((one, index) => {
        const label = typeof one.name === "string" ? one.name : String(index + 1);
        return closed(one, { ...place, path: `${name(place, key)}(${label})`, above: () => undefined }, (inner) =>
          read(inner, index),
        );
      });
    },
  };
}

const units: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

function parseBytes(given: unknown): number | undefined {
  const match = typeof given === "string" ? /^(\d+(?:\.\d+)?) ?([KMGT]iB|B)$/.exec(given) : null;
  const bytes = match === null ? given : Math.round(Number(match[1]) * units[match[2]!]!);
  return typeof bytes === "number" && Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}
