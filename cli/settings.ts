import { parse, TomlError } from "smol-toml";
import { CliError, describeError } from "./error.ts";

type Table = Record<string, unknown>;

/** Reads a TOML file setting by setting; what nobody asked for is refused by name. Every error names file and setting. */
export interface Settings {
  text(key: string, initial?: string): string;
  integer(key: string, initial: number | undefined, range: { min: number; max: number }): number;
  flag(key: string, initial: boolean): boolean;
  oneOf<T extends string>(key: string, initial: T, allowed: readonly T[]): T;
  texts(key: string, initial: readonly string[]): readonly string[];
  section(key: string): Settings;
  /** Throws when the table holds a key that was not read. */
  end(): void;
}

/** `overlay` is the environment: MERIDIAN_DATABASE_URL stands above `url` in `[database]`. */
export function readSettings(source: string, file: string, overlay: NodeJS.ProcessEnv): Settings {
  try {
    return settings(parse(source), file, [], overlay);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const place = `${file}, line ${error.line}, column ${error.column}`;
    throw new CliError("configuration", `${place}: ${describeError(error)}`, { cause: error });
  }
}

function settings(table: Table, file: string, path: readonly string[], overlay: NodeJS.ProcessEnv): Settings {
  const asked = new Set<string>();
  const sections: Settings[] = [];
  const name = (key: string) => [...path, key].join(".");
  const refuse = (key: string, rule: string, value: unknown) =>
    new CliError("configuration", `${file}: ${name(key)} must be ${rule}, not ${JSON.stringify(value)}`);

  function value(key: string): unknown {
    asked.add(key);
    return overlay[`MERIDIAN_${[...path, key].join("_").toUpperCase()}`] ?? table[key];
  }
  function required<T>(key: string, initial: T | undefined): T {
    if (initial === undefined) throw new CliError("configuration", `${file}: ${name(key)} is missing`);
    return initial;
  }

  return {
    text(key, initial) {
      const given = value(key);
      if (given === undefined) return required(key, initial);
      if (typeof given !== "string" || given === "") throw refuse(key, "a text", given);
      return given;
    },
    integer(key, initial, { min, max }) {
      const given = value(key);
      if (given === undefined) return required(key, initial);
      const number = typeof given === "string" && /^-?\d+$/.test(given) ? Number(given) : given;
      if (typeof number !== "number" || !Number.isInteger(number) || number < min || number > max) {
        throw refuse(key, `a whole number from ${min} to ${max}`, given);
      }
      return number;
    },
    flag(key, initial) {
      const given = value(key) ?? initial;
      if (given !== true && given !== false && given !== "true" && given !== "false") {
        throw refuse(key, "true or false", given);
      }
      return String(given) === "true";
    },
    oneOf(key, initial, allowed) {
      const given = value(key) ?? initial;
      const found = allowed.find((one) => one === given);
      if (found === undefined) throw refuse(key, `one of ${allowed.join(", ")}`, given);
      return found;
    },
    texts(key, initial) {
      const given = value(key) ?? initial;
      const list = typeof given === "string" ? given.split(",") : given;
      if (!Array.isArray(list) || list.length === 0 || !list.every((one) => typeof one === "string" && one !== "")) {
        throw refuse(key, "a list of texts", given);
      }
      return list as string[];
    },
    section(key) {
      asked.add(key);
      const given = table[key] ?? {};
      if (typeof given !== "object" || given === null || Array.isArray(given)) throw refuse(key, "a table", given);
      const section = settings(given as Table, file, [...path, key], overlay);
      sections.push(section);
      return section;
    },
    end() {
      for (const key of Object.keys(table)) {
        if (!asked.has(key)) throw unknown(file, name(key), [...asked]);
      }
      for (const section of sections) section.end();
    },
  };
}

function unknown(file: string, name: string, known: readonly string[]): CliError {
  return new CliError("configuration", `${file}: ${name} is not a setting; here are: ${[...known].sort().join(", ")}`);
}
