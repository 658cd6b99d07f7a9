import { readFileSync, writeFileSync } from "node:fs";
import { life, statuses } from "../../orders/life.ts";

/** The place of an order's life in orders/README.md, written by `npm run generate`. */
export const document = new URL("../../orders/README.md", import.meta.url);

/** The table of an order's life as a Mermaid state diagram. */
function lifeDiagram(): string {
  const name = (status: string) => (status === "absent" ? "[*]" : status);
  const lines = statuses.flatMap((from) => {
    const targets = new Map<string, string[]>();
    for (const [type, to] of Object.entries(life[from].on)) {
      targets.set(to, [...(targets.get(to) ?? []), type.slice("order.".length)]);
    }
    const moves = [...targets].map(([to, types]) => `  ${name(from)} --> ${name(to)}: ${types.join(", ")}`);
    return targets.size === 0 ? [`  ${name(from)} --> [*]`] : moves;
  });
  return ["```mermaid", "stateDiagram-v2", ...lines, "```"].join("\n");
}

/** What an order waits for in each status, and what may be asked of it then. */
function lifeTable(): string {
  const rows = statuses
    .filter((status) => status !== "absent")
    .map((status) => `| ${status} | ${life[status].waitsFor} | ${life[status].commands.join(", ")} |`);
  return ["| status | waits for | commands |", "| --- | --- | --- |", ...rows].join("\n");
}

const [begin, end] = ["<!-- life: written by `npm run generate` -->", "<!-- /life -->"];

/** A text with the life in it as the table has it now. Throws where it has no place for it. */
export function withLife(text: string): string {
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the document must hold "${begin}" and "${end}"`);
  return `${text.slice(0, from)}${begin}\n\n${lifeDiagram()}\n\n${lifeTable()}\n\n${text.slice(to)}`;
}

if (import.meta.main) writeFileSync(document, withLife(readFileSync(document, "utf8")));
