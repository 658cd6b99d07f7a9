import Table from "cli-table3";
import { readLedger } from "../../orders/workers/ledger.ts";
import { auditLedger, type LedgerAudit } from "../../orders/workers/ledger-audit.ts";
import { ledgerFile } from "../ledger-file.ts";

export interface LedgerWords {
  readonly dir: string;
  readonly json?: boolean;
}

/** Looks into the books, while the provider runs too. Exit code 1: there is something in them that must not be. */
export async function runPaymentLedger(words: LedgerWords): Promise<void> {
  const audit = auditLedger(await readLedger(ledgerFile(words.dir)));
  process.stdout.write(words.json ? `${JSON.stringify(audit)}\n` : describe(audit));
  process.exitCode = audit.violations.length === 0 ? 0 : 1;
}

/** More than these help nobody; `--json` has them all. */
const violationsShown = 20;

function describe({ lines, charges, declines, refunds, voids, sums, violations }: LedgerAudit): string {
  const counts = `${lines} lines: ${charges} charged, ${declines} declined, ${refunds} refunded, ${voids} voided\n`;
  const right = "right" as const;
  const table = new Table({
    head: ["", "charged", "refunded", "kept", "declined"],
    colAligns: ["left", right, right, right, right],
    style: { head: [], border: [] },
  });
  table.push(...sums.map((sum) => [sum.currency, sum.charged, sum.refunded, sum.kept, sum.declined]));
  const shown = violations.slice(0, violationsShown).map(({ code, text }) => `  ${code}: ${text}\n`);
  const rest = violations.length - shown.length;
  const found =
    violations.length === 0
      ? "nothing in it is wrong: no order is charged twice, no refund is without its charge\n"
      : `${violations.length} violations:\n${shown.join("")}${rest > 0 ? `  and ${rest} more: see --json\n` : ""}`;
  return `${counts}${sums.length === 0 ? "" : `${table}\n`}${found}`;
}
