/**
 * What CockroachDB refuses or takes without effect, as far as a text shows it. Its own parser (`cockroach-parse`, where it is
 * installed) sees more; these rules hold everywhere, and are shown to bite in test/cli/gate.test.ts.
 */
const rules: readonly [string, RegExp][] = [
  ["LISTEN, NOTIFY", /\b(?:listen|unlisten|notify)\s+\w|\bpg_notify\b/i],
  ["advisory locks lock nothing", /\bpg_(?:try_)?advisory_/i],
  ["CREATE EXTENSION", /\bcreate\s+extension\b/i],
  ["deferrable constraints", /\bdeferrable\b|\binitially\s+deferred\b/i],
  [
    "keys that grow one by one",
    /\b(?:small|big)?serial[248]?\b|\bgenerated\s+(?:always|by\s+default)\s+as\s+identity\b|\bnextval\s*\(/i,
  ],
  ["DOMAIN", /\bcreate\s+domain\b/i],
  ["EXCLUDE", /\bexclude\s+(?:using|\()/i],
  ["MERGE", /\bmerge\s+into\b/i],
  ["LOCK TABLE", /\block\s+table\b/i],
  ["VACUUM", /\bvacuum\b/i],
  ["NULLS NOT DISTINCT", /\bnulls\s+not\s+distinct\b/i],
  ["system columns", /\b(?:ctid|xmin|xmax)\b/i],
  ["unlogged or temporary tables", /\bcreate\s+(?:unlogged|temp|temporary)\s+table\b/i],
  ["storage options", /\bcompression\s+lz4\b|\bset\s+storage\b|\busing\s+(?:brin|hash)\b/i],
  ["types that are not there", /\b(?:citext|money|hstore|xml)\b\s*(?:,|\)|not|default|$)/im],
];

/** Findings, a line each. Comments and texts in quotes are not looked at. */
export function checkSql(sql: string): string[] {
  const plain = sql.replace(/--.*$/gm, "").replace(/'(?:[^']|'')*'/g, "''");
  const findings = rules
    .filter(([, pattern]) => pattern.test(plain))
    .map(([name, pattern]) => `${name}: ${pattern.exec(plain)?.[0]}`);
  for (const [, name, body] of plain.matchAll(
    /create\s+table\s+(?:if\s+not\s+exists\s+)?(\w+)\s*\(([\s\S]*?)\n?\)\s*(?:;|$)/gi,
  )) {
    if (!/\bprimary\s+key\b/i.test(body!)) findings.push(`table ${name} has no primary key`);
  }
  return findings;
}
