import { join } from "node:path";

/** The books of the provider that keeps its state in `dir`. */
export const ledgerFile = (dir: string): string => join(dir, "ledger.ndjson");
