import { spawn } from "node:child_process";
import { join } from "node:path";
import type { LedgerAudit } from "../../orders/workers/ledger-audit.ts";
import type { Database } from "../../projections/database.ts";
import { readModels } from "../../projections/models/read-models.ts";
import type { Check } from "./checks.ts";
import { program } from "./mesh.ts";

/** `meridian` with these words: its exit code and lines. */
function meridian(...words: string[]): Promise<{ code: number | null; lines: string[]; errors: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...words], { stdio: ["ignore", "pipe", "pipe"] });
    let [out, errors] = ["", ""];
    child.stdout.on("data", (chunk) => (out += chunk));
    child.stderr.on("data", (chunk) => (errors += chunk));
    child.once("close", (code) => resolve({ code, lines: out.split("\n").filter((line) => line !== ""), errors }));
  });
}

const models = readModels.map(({ name }) => name);

/** `projections verify` of every read model in every region: the tables are what a fold of the archive makes. */
export async function checkFolds(dir: string, regions: readonly string[]): Promise<Check> {
  const findings: string[] = [];
  let events = 0;
  const verifyRegion = async (region: string) => {
    for (const model of models) {
      const config = ["--config", join(dir, `${region}.toml`), "--tenant", "acme", "--json"];
      const { code, lines, errors } = await meridian("projections", "verify", model, ...config);
      const said = lines.map((line) => JSON.parse(line) as { events?: number; differences?: number });
      const logs = said.filter(({ differences }) => differences !== undefined);
      events += logs.reduce((sum, one) => sum + (one.events ?? 0), 0);
      if (code === 0 && logs.length === regions.length) continue;
      const rows = said.length > logs.length ? JSON.stringify(said.slice(0, 3)) : "";
      findings.push(`projections verify ${model} in ${region} ended with ${code}: ${errors}${rows}`);
    }
  };
  await Promise.all(regions.map(verifyRegion));
  return { name: "tables equal a fold of the logs", figures: `${events} events folded again`, findings };
}

/** Every read model has the same rows in every region, but for the number that each gives a log. */
export async function checkViews(databases: ReadonlyMap<string, Database>): Promise<Check> {
  const findings: string[] = [];
  let rows = 0;
  for (const view of models) {
    const join = ["orders", "order_items"].includes(view) ? "join logs l using (log)" : "";
    const home = join === "" ? "v.region" : "l.home";
    const statement = `select count(*)::int4 as rows, md5(coalesce(string_agg(md5(row), '' order by row), '')) as sum
      from (select ${home} || (to_jsonb(v) - 'log')::text as row from ${view} v ${join}) each`;
    const sums = new Map<string, string>();
    for (const [region, database] of databases) {
      const [sum] = await database.query(statement);
      sums.set(region, `${sum!.rows} rows, ${sum!.sum}`);
      rows += Number(sum!.rows);
    }
    if (new Set(sums.values()).size > 1) findings.push(`${view} differs: ${JSON.stringify([...sums])}`);
  }
  return { name: "the regions' tables are equal", figures: `${rows} rows`, findings };
}

/** `payment-ledger`, and what it says the provider has kept by currency. */
export async function auditBooks(provider: string): Promise<{ check: Check; kept: Map<string, string> }> {
  const { code, lines, errors } = await meridian("payment-ledger", "--dir", provider, "--json");
  const audit = JSON.parse(lines[0] ?? "{}") as Partial<LedgerAudit>;
  const findings = (audit.violations ?? []).map(({ text }) => text);
  if (code !== 0) findings.push(`payment-ledger ended with ${code}: ${errors}`);
  const { charges, declines, refunds, voids } = audit;
  const figures = `${charges} charged, ${declines} declined, ${refunds} refunded, ${voids} voided`;
  const kept = new Map((audit.sums ?? []).map((sum) => [sum.currency, sum.kept]));
  return { check: { name: "nothing in the ledger is wrong", figures, findings }, kept };
}
