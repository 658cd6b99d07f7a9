import { Command } from "commander";
import { cases } from "./cases.ts";
import { openStage } from "./stage.ts";
import { medianRow, type Row, renderTable } from "./table.ts";

/** Every case with its ceiling or peer measured in the same run; three runs, the median. */
const letters = Object.entries(cases).map(([letter, { about }]) => `  ${letter}  ${about}`);
const program = new Command("bench")
  .option("--json", "print one JSON object instead of a table")
  .option("--only <cases>", "letters of the cases to run, such as a,e")
  .option("--runs <n>", "runs of each case", "3")
  .option("--seconds <n>", "seconds of each load, after a warm-up", "5")
  .addHelpText("after", `\nCases:\n${letters.join("\n")}`)
  .parse();
const options = program.opts<{ json?: boolean; only?: string; runs: string; seconds: string }>();
const seconds = Number(options.seconds);
const runs = Number(options.runs);

const wanted = options.only?.split(",") ?? Object.keys(cases);
const unknown = wanted.find((letter) => cases[letter] === undefined);
if (unknown !== undefined) program.error(`there is no case "${unknown}"; cases are ${Object.keys(cases).join(", ")}`);

await using stage = await openStage();
const rows: ReturnType<typeof medianRow>[] = [];
for (const letter of wanted) {
  for (const one of cases[letter]!.rows) {
    const measured: Row[] = [];
    for (let run = 0; run < runs; run++) measured.push(await one(stage, seconds));
    rows.push(medianRow(measured));
    if (!options.json) console.log(renderTable([rows.at(-1)!]));
  }
}
console.log(options.json ? JSON.stringify({ runs, seconds, rows }) : renderTable(rows));
