import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { allowed, guarded, layerOf } from "./layers.ts";

/** The house style as far as a program can see it. Every rule is shown to bite, on a text made for it, before it is used. */

const root = join(import.meta.dir, "..");
const folders = ["orders", "store", "mesh", "projections", "gateway", "cli", "test", "bench"];
const generated = ["store/gen/", "test/conformance/gen/"];
/** This file shows what the rules refuse, so it breaks some of them. */
const self = "test/tidy.test.ts";

interface Source {
  /** From the root: "store/append.ts". */
  readonly path: string;
  readonly text: string;
}

/** What is wrong with a file; one line a finding. */
type Rule = (source: Source) => string[];

const sources: readonly Source[] = folders
  .flatMap((folder) => filesUnder(join(root, folder)))
  .filter((file) => /\.(ts|mts|mjs)$/.test(file))
  .map((file) => ({ path: relative(root, file), text: readFileSync(file, "utf8") }))
  .filter((source) => !generated.some((folder) => source.path.startsWith(folder)));

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

function found(rule: Rule): string[] {
  return sources.flatMap((source) => rule(source).map((finding) => `${source.path}: ${finding}`));
}

/** Every specifier that a file imports or exports from, type imports too. */
function imports(text: string): string[] {
  const pattern =
    /(?:^|\n)\s*(?:import|export)\b[^"';]*?from\s*"([^"]+)"|import\s*\(\s*"([^"]+)"\s*\)|(?:^|\n)import\s*"([^"]+)"/g;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? match[3]!);
}

const importDirections: Rule = ({ path, text }) => {
  const layer = layerOf(path);
  if (layer === "test" || layer === "bench") return [];
  const permitted = allowed[layer] ?? [];
  return imports(text).flatMap((specifier) => {
    if (specifier.startsWith(".")) {
      const file = relative(root, join(root, dirname(path), specifier));
      if (file === "package.json") return [];
      const target = layerOf(file);
      return target === layer || permitted.includes(target)
        ? []
        : [`${layer} must not import ${target} ("${specifier}")`];
    }
    const owners =
      guarded[
        specifier
          .split("/")
          .slice(0, specifier.startsWith("@") ? 2 : 1)
          .join("/")
      ];
    return owners === undefined || owners.includes(layer) ? [] : [`only ${owners.join(", ")} may import ${specifier}`];
  });
};

const pureOrders: Rule = ({ path, text }) => {
  if (layerOf(path) !== "orders") return [];
  const impure = /\b(Date\.now|new Date\(\)|Math\.random|randomUUID|setTimeout|setInterval|performance\.now|fetch)\b/g;
  const modules = imports(text).filter((specifier) =>
    /^node:(fs|net|http|child_process|timers|dns|os)/.test(specifier),
  );
  return [...[...text.matchAll(impure)].map((match) => match[0]), ...modules].map(
    (what) => `orders is pure, but uses ${what}`,
  );
};

const subjectLiterals: Rule = ({ path, text }) => {
  if (path === "mesh/subjects.ts" || path.startsWith("test/")) return [];
  // Names of events ("order.created") have no part that is a region.
  const ours = /["'`](?:append|payments|orders|mirror)\.(?:\$\{|[a-z*>-]+[.*>"'`])[^"'`]*/g;
  const servers = /["'`](?:\$(?:JS|JSC|KV|SRV|SYS)|_INBOX|_REPLY)\b[^"'`]*/g;
  const code = withoutComments(text);
  const hits = [...code.matchAll(ours), ...code.matchAll(servers)];
  return hits.map(([hit]) => `subject ${hit} belongs in mesh/subjects.ts`);
};

const noConsole: Rule = ({ path, text }) =>
  /^(cli|test|bench)\//.test(path)
    ? []
    : [...text.matchAll(/\bconsole\.\w+/g)].map((match) => `${match[0]} outside cli/`);

/** Awaiting `node:timers/promises` is a statement like any other; a timer with a callback hides who waits for what. */
const timers: Rule = ({ path, text }) => {
  if (/^(test|bench|cli)\//.test(path) || /(^|\/)(clock|wait)\.ts$/.test(path)) return [];
  const code = withoutComments(text);
  const pattern = code.includes("node:timers/promises") ? /\bsetInterval\(/g : /\b(?:setInterval|setTimeout)\(/g;
  return [...code.matchAll(pattern)].map(() => "timers with a callback belong in the folder's clock.ts or wait.ts");
};

const forbiddenNames = /^(utils?|helpers?|manager|common|misc|shared|index|lib|base|core)([.-]|$)/;
const fileNames: Rule = ({ path }) => {
  const name = basename(path);
  const findings = forbiddenNames.test(name) ? [`${name} says nothing about what is in it`] : [];
  return /^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.(ts|mts|mjs)$/.test(name)
    ? findings
    : [...findings, "names are kebab-case"];
};

const linesMax = 350;
const length: Rule = ({ text }) => {
  const lines = text.split("\n").length - 1;
  return lines > linesMax ? [`${lines} lines; at most ${linesMax}`] : [];
};

const functionLinesMax = 70;
/**
 * Found by their layout, which the formatter keeps: a function ends at the first line that begins with a bracket at the
 * depth of its head. What is inside counts, so that a factory cannot grow without end.
 */
const functionLength: Rule = ({ path, text }) => {
  if (path.startsWith("test/")) return []; // fixtures and lists of cases
  const lines = text.split("\n");
  const depth = (line: string) => line.length - line.trimStart().length;
  return lines.flatMap((line, at) => {
    if (!opensFunction.test(line) || controls.test(line)) return [];
    const inner = depth(line);
    let head = at;
    // Parameters on lines of their own: the head is where their bracket opens.
    if (/^\s*[)\]}]/.test(line)) while (head > 0 && (lines[--head]!.trim() === "" || depth(lines[head]!) > inner));
    let end = at + 1;
    while (end < lines.length && (lines[end]!.trim() === "" || depth(lines[end]!) > inner)) end += 1;
    const length = end - head + 1;
    const excused = /^\s*\/\/ long: \w/.test(lines[head - 1] ?? "");
    if (length <= functionLinesMax || excused) return [];
    const name = lines[head]!.trim().slice(0, 60);
    return [`line ${head + 1}, ${length} lines: ${name}; at most ${functionLinesMax}, or "// long: why" above it`];
  });
};
const opensFunction = /(?:=>|\)|\): [^=]+|\bfunction\b.*) \{$/;
const controls =
  /^\s*(?:\} )?(?:if|for|while|switch|catch|else|try|do|with)\b|^\s*(?:export )?(?:interface|class|type|enum)\b/;

const language: Rule = ({ path, text }) => {
  if (path === self) return [];
  const code = withoutComments(text);
  const findings: string[] = [];
  if (/\bexport default\b/.test(code)) findings.push("default export");
  if (/(^|\n)export \* from/.test(code)) findings.push("barrel (export * from)");
  if (/(:\s*any\b|\bas any\b|<any>)/.test(code)) findings.push("any");
  if (/\binterface I[A-Z][a-z]/.test(code)) findings.push("interface with an I before its name");
  if (/@ts-(ignore|nocheck)/.test(text)) findings.push("@ts-ignore or @ts-nocheck");
  const extensions = imports(text).filter((one) => one.startsWith(".") && !/\.(ts|mts|mjs|json|sql|toml)$/.test(one));
  for (const specifier of extensions) findings.push(`import "${specifier}" without its extension`);
  if (/\bBun\./.test(code) && !/^(test|bench)\//.test(path) && !/\bDeno\b/.test(code)) {
    findings.push("Bun.* without a branch for Deno");
  }
  return findings;
};

const machinePaths: Rule = ({ path, text }) =>
  path === self
    ? []
    : [...text.matchAll(/["'`\s(](\/(?:work|farm|root|home\/\w+|Users\/\w+|opt\/tools)\/[^\s"'`)]*)/g)].map(
        (match) => `path of a machine: ${match[1]}`,
      );

const switchedOff: Rule = ({ path, text }) =>
  path.endsWith(".test.ts") && path !== self
    ? [...text.matchAll(/\b(?:test|it|describe)\.(?:only|skip|todo|failing|skipIf|if)\b/g)].map(
        (match) => `${match[0]} switches tests off`,
      )
    : [];

const unfinished: Rule = ({ path, text }) =>
  path === self ? [] : [...text.matchAll(/\b(?:TODO|FIXME|XXX|HACK)\b/g)].map((match) => `unfinished: ${match[0]}`);

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

/** [sentence, rule, a file that breaks it, a file that does not] */
const rules: readonly [string, Rule, Source, Source][] = [
  [
    "folders import only in the directions of the design",
    importDirections,
    { path: "store/x.ts", text: 'import type { Row } from "../projections/queries.ts";' },
    {
      path: "gateway/x.ts",
      text: 'import type { Row } from "../projections/queries.ts";\nimport { Hono } from "hono";',
    },
  ],
  [
    "the rooms of store/ import only in the directions of the design",
    importDirections,
    { path: "store/owner/x.ts", text: 'import type { Range } from "../read/stream-reader.ts";' },
    {
      path: "store/read/x.ts",
      text: 'import type { Shard } from "../owner/shard.ts";\nimport { StoreError } from "../error.ts";',
    },
  ],
  [
    "only what opens the store knows its rooms, and none of them knows it",
    importDirections,
    { path: "store/read/x.ts", text: 'import type { Store } from "../open.ts";' },
    { path: "store/open.ts", text: 'import { createReads } from "./read/reads.ts";' },
  ],
  [
    "orders/ is pure: no clock, no random, no I/O",
    pureOrders,
    { path: "orders/x.ts", text: "const now = Date.now();" },
    { path: "orders/workers/x.ts", text: "const now = Date.now();" },
  ],
  [
    "subjects are built in mesh/subjects.ts only",
    subjectLiterals,
    { path: "mesh/x.ts", text: 'const subject = "append.us-east.any";' },
    { path: "store/x.ts", text: 'const type = "order.created";' },
  ],
  [
    "nobody outside cli/ writes to the console",
    noConsole,
    { path: "mesh/x.ts", text: 'console.log("hello");' },
    { path: "cli/x.ts", text: 'console.log("hello");' },
  ],
  [
    "timers with a callback are in clock.ts or wait.ts",
    timers,
    { path: "store/x.ts", text: "setTimeout(() => flush(), 10);" },
    { path: "store/x.ts", text: 'import { setTimeout } from "node:timers/promises";\nawait setTimeout(10);' },
  ],
  [
    "files say in kebab-case what is in them",
    fileNames,
    { path: "store/utils.ts", text: "" },
    { path: "store/log-reader.ts", text: "" },
  ],
  [
    `files have at most ${linesMax} lines`,
    length,
    { path: "store/x.ts", text: "\n".repeat(linesMax + 1) },
    { path: "store/x.ts", text: "\n".repeat(linesMax) },
  ],
  [
    `functions have at most ${functionLinesMax} lines, or a reason`,
    functionLength,
    { path: "store/x.ts", text: `export function f(\n  a: string,\n): void {\n${"  g();\n".repeat(67)}}\n` },
    {
      path: "store/x.ts",
      text: `function f() {\n${"  g();\n".repeat(68)}}\n// long: a list\nconst h = () => {\n${"  g();\n".repeat(69)}};\n`,
    },
  ],
  [
    "no default exports, barrels, any, I-names, or imports without extension",
    language,
    { path: "store/x.ts", text: "export default function f(x: any) {}" },
    { path: "store/x.ts", text: "// any default will do\nexport function f(x: unknown) {}" },
  ],
  [
    "no path of a machine is in a file",
    machinePaths,
    { path: "store/x.ts", text: 'const file = "/home/someone/x";' },
    { path: "store/x.ts", text: 'const file = "/proc/self/stat";' },
  ],
  [
    "no test is switched off",
    switchedOff,
    { path: "test/x.test.ts", text: 'test.only("x")' },
    { path: "test/x.test.ts", text: 'test("x")' },
  ],
  [
    "nothing is marked unfinished",
    unfinished,
    { path: "store/x.ts", text: "// TODO later" },
    { path: "store/x.ts", text: "// later" },
  ],
];

for (const [sentence, rule, bad, good] of rules) {
  test(sentence, () => {
    expect(rule(bad)).not.toEqual([]);
    expect(rule(good)).toEqual([]);
    expect(found(rule)).toEqual([]);
  });
}

test("every source file is used by another, by a command or by a test", () => {
  const entries = /^(cli\/meridian\.(ts|mjs)|test\/|bench\/|.*\.d\.ts$)/;
  const used = new Set(
    sources.flatMap(({ path, text }) =>
      [...imports(text), ...[...text.matchAll(/"([./][^"]*\.ts)"/g)].map((match) => match[1]!)]
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => join(dirname(path), specifier)),
    ),
  );
  const dead = sources.filter(({ path }) => !entries.test(path) && !used.has(path)).map(({ path }) => path);
  expect(dead).toEqual([]);
});

test("the top level is the design's", () => {
  const known = [...folders, "compose", "configs", "node_modules"];
  const extra = readdirSync(root).filter(
    (name) => !name.startsWith(".") && statSync(join(root, name)).isDirectory() && !known.includes(name),
  );
  expect(extra).toEqual([]);
});

test("the lock file holds no download addresses and package.json no ranges", () => {
  expect(readFileSync(join(root, "package-lock.json"), "utf8")).not.toMatch(/"resolved"/);
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<
    string,
    Record<string, string>
  >;
  const versions = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
  expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
});
