import { CliError } from "./error.ts";

/** "a,b" → ["a", "b"]; throws when one is not among those allowed. */
export function readList<T extends string>(text: string, allowed: readonly T[], option: string): T[] {
  return text.split(",").map((name) => {
    const found = allowed.find((one) => one === name.trim());
    if (found === undefined) throw new CliError("usage", `${option}: "${name}" is not one of ${allowed.join(", ")}`);
    return found;
  });
}
