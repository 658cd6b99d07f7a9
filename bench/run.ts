import { Command } from "commander";
import { afternoonCase } from "./cases/afternoon.ts";
import { append } from "./cases/append.ts";
import { bulk } from "./cases/bulk.ts";
import { posts } from "./cases/posts.ts";
import { projectors } from "./cases/projectors.ts";
import { openStage, type Stage } from "./stage.ts";
import { medianRow, type Row, renderTable } from "./table.ts";

/** Every case with its ceiling or peer measured in the same run; three runs, the median. */
const program = new Command("bench")
  .option("--json", "print one JSON object instead of a table")
  .option("--only <cases>", "letters of the cases to run, such as a,e")
  .option("--runs <n>", "runs of each case", "3")
  .option("--seconds <n>", "seconds of each load, after a warm-up", "5")
  .parse();
const options = program.opts<{ json?: boolean; only?: string; runs: string; seconds: string }>();
const seconds = Number(options.seconds);
const runs = Number(options.runs);

const cases: Record<string, ((stage: Stage) => Promise<Row>)[]> = {
  a: [
    (stage) => posts(stage, { name: "(a) one order a POST", kind: "minted", connections: 64, seconds, aim: 0.5 }),
    (stage) => posts(stage, { name: "(a) one order a POST", kind: "minted", connections: 512, seconds, aim: 0.7 }),
  ],
  b: [
    (stage) => posts(stage, { name: "(b) clients' own ids", kind: "ownIds", connections: 64, seconds, aim: 0.45 }),
    (stage) => posts(stage, { name: "(b) clients' own ids", kind: "ownIds", connections: 512, seconds, aim: 0.6 }),
  ],
  c: [(stage) => bulk(stage, seconds)],
  d: [(stage) => append(stage, seconds)],
  e: [(stage) => projectors(stage, "archive"), (stage) => projectors(stage, "orders")],
  f: [(stage) => afternoonCase(stage, seconds)],
};

const wanted = options.only?.split(",") ?? Object.keys(cases);
const unknown = wanted.find((letter) => cases[letter] === undefined);
if (unknown !== undefined) program.error(`there is no case "${unknown}"; cases are ${Object.keys(cases).join(", ")}`);

await using stage = await openStage();
const rows: ReturnType<typeof medianRow>[] = [];
for (const letter of wanted) {
  for (const one of cases[letter]!) {
    const measured: Row[] = [];
    for (let run = 0; run < runs; run++) measured.push(await one(stage));
    rows.push(medianRow(measured));
    if (!options.json) console.log(renderTable([rows.at(-1)!]));
  }
}
console.log(options.json ? JSON.stringify({ runs, seconds, rows }) : renderTable(rows));
