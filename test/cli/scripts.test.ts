import { expect, test } from "bun:test";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };

const root = join(import.meta.dir, "..", "..");
const scripts = Object.entries(manifest.scripts).flatMap(([name, line]) => {
  const [, file] = /^bun (test\/\S+)$/.exec(line) ?? [];
  return file === undefined ? [] : [[name, file] as const];
});

function run(file: string, word: string) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, join(root, file), word], { timeout: 20_000 });
  return { exitCode, out: stdout.toString(), err: stderr.toString() };
}

test.each(scripts)(
  "npm run %s prints its usage when asked, and refuses an option that it has not",
  (name, file) => {
    const help = run(file, "--help");
    expect(help).toMatchObject({ exitCode: 0, err: "" });
    expect(help.out).toStartWith(name === "test" ? "npm test" : `npm run ${name}`);
    const refused = run(file, "--nonsense");
    expect(refused).toMatchObject({ exitCode: 2, out: "" });
    expect(refused.err).toMatch(/^Unknown option '--nonsense'.*\n$/);
  },
  60_000,
);
