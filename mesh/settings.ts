/** Reads a TOML table key by key; what nobody asked for is refused by name, with its line where that is certain. */
import { parse, TomlError } from "smol-toml";
import { MeshError } from "./error.ts";

type Table = Readonly<Record<string, unknown>>;

export interface Settings {
  /** Without a default it must be there. `pattern` comes with its rule in words. */
  text(key: string, initial?: string, pattern?: { test: RegExp; rule: string }): string;
  integer(key: string, range: { min: number; max: number }, initial?: number): number;
  flag(key: string, initial: boolean): boolean;
  oneOf<T extends string>(key: string, allowed: readonly T[], initial: T): T;
  texts(key: string, initial: readonly string[]): readonly string[];
  /** "10 GiB", "512 MiB" or a number of bytes. */
  bytes(key: string, initial?: string): number;
  raw(key: string): unknown;
  /** The tables of `[[key]]`, at least `min` of them, each read and then closed by `read`. */
  list<T>(key: string, min: number, read: (settings: Settings, index: number) => T): T[];
  /** The error for a value that breaks a rule of the reader. */
  wrong(key: string, rule: string, value: unknown): MeshError;
}

/** Reads the whole file. Throws MeshError "configuration" that names file, setting, rule and value. */
export function readSettings<T>(text: string, file: string, read: (settings: Settings) => T): T {
  let table: Table;
  try {
    table = parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const what = cause.message.split("\n")[0];
    throw new MeshError("configuration", `${file}, line ${cause.line}, column ${cause.column}: ${what}`, { cause });
  }
  return closed(table, { file, text, path: "" }, read);
}

interface Place {
  readonly file: string;
  readonly text: string;
  readonly path: string;
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

function settings(table: Table, place: Place, asked: Set<string>): Settings {
  const wrong = (key: string, rule: string, value: unknown) =>
    fail(place, key, `must be ${rule}, not ${JSON.stringify(value) ?? "missing"}`);
  const raw = (key: string) => {
    asked.add(key);
    return table[key];
  };
  /** The value, or the default; throws when there is neither. */
  function value<T>(key: string, initial: T | undefined, rule: string, check: (given: unknown) => given is T): T {
    const given = raw(key);
    if (given === undefined && initial !== undefined) return initial;
    if (!check(given)) throw wrong(key, rule, given);
    return given;
  }
  return {
    raw,
    wrong,
    text(key, initial, pattern) {
      const rule = pattern?.rule ?? "a text";
      return value(key, initial, rule, (given): given is string => {
        return typeof given === "string" && given !== "" && (pattern?.test.test(given) ?? true);
      });
    },
    integer: (key, { min, max }, initial) =>
      value(key, initial, `a whole number from ${min} to ${max}`, (given): given is number => {
        return Number.isInteger(given) && Number(given) >= min && Number(given) <= max;
      }),
    flag: (key, initial) =>
      value(key, initial, "true or false", (given): given is boolean => typeof given === "boolean"),
    oneOf: <T extends string>(key: string, allowed: readonly T[], initial: T) =>
      value(key, initial, `one of ${allowed.join(", ")}`, (given): given is T => allowed.includes(given as T)),
    texts: (key, initial) =>
      value(key, initial, "a list of texts", (given): given is readonly string[] => {
        return Array.isArray(given) && given.every((one) => typeof one === "string");
      }),
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
        return closed(one, { ...place, path: `${name(place, key)}(${label})` }, (inner) => read(inner, index));
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
