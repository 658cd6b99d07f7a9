import { afterAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthenticator } from "../../gateway/tokens.ts";

const root = join(import.meta.dir, "..", "..");
const dir = mkdtempSync(join(tmpdir(), "meridian-commands-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function meridian(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "cli", "meridian.ts"), ...words], {
    encoding: "utf8",
    env: { ...process.env, MERIDIAN_DEBUG: "" },
  });
  return { status, stdout, stderr };
}

const mesh = join(root, "configs", "mesh.toml");

test("every command has help, and the first page names them all", () => {
  const first = meridian("--help");
  expect(first.status).toBe(0);
  for (const words of [
    ["demo"],
    ["up"],
    ["payment-provider"],
    ["payment-ledger"],
    ["migrate"],
    ["projections", "list"],
    ["projections", "status"],
    ["projections", "rebuild"],
    ["projections", "verify"],
    ["reviews"],
    ["parked", "list"],
    ["parked", "replay"],
    ["quarantine", "list"],
    ["quarantine", "show"],
    ["log", "trim"],
    ["archive", "fill"],
    ["mesh", "keys"],
    ["mesh", "render"],
    ["token", "mint"],
    ["decode"],
  ]) {
    expect(first.stdout).toContain(words[0]!);
    const { status, stdout } = meridian(...words, "--help");
    expect({ words, status }).toEqual({ words, status: 0 });
    expect(stdout).toContain(`Usage: meridian ${words.join(" ")}`);
  }
});

test("a wrong command line ends with exit code 2 and one line that says what is wrong", () => {
  expect(meridian("dmo")).toEqual({
    status: 2,
    stdout: "",
    stderr: "error: unknown command 'dmo'\n(Did you mean demo?)\n(add --help for what there is)\n",
  });
  expect(meridian("demo", "--rate", "fast")).toEqual({
    status: 2,
    stdout: "",
    stderr: 'meridian: --rate must be a number above 0, not "fast"\n',
  });
  expect(meridian("demo", "--ports", "80").stderr).toBe(
    'meridian: --ports must be a whole number from 1024 to 65000, not "80"\n',
  );
  expect(meridian("up").status).toBe(2);
});

test("a configuration that is missing or wrong ends with exit code 2, one line and no stack", () => {
  const missing = meridian("up", "--config", join(dir, "nowhere.toml"));
  expect(missing).toEqual({
    status: 2,
    stdout: "",
    stderr: `meridian: cannot read ${join(dir, "nowhere.toml")}: ENOENT\n`,
  });
  const roles = meridian("up", "--config", join(root, "configs", "us-east.toml"), "--roles", "gateway,stor");
  expect(roles).toEqual({
    status: 2,
    stdout: "",
    stderr: 'meridian: --roles: "stor" is not one of gateway, store, projector, payment, review, saga, trimmer\n',
  });
  const orders = meridian("demo", "--dir", join(dir, "demo"), "--orders", join(dir, "no-orders.ndjson"));
  expect(orders).toEqual({
    status: 2,
    stdout: "",
    stderr: `meridian: cannot read the orders: there is no file ${join(dir, "no-orders.ndjson")}\n`,
  });
});

test("mesh keys and mesh render make what the servers need, for their owner only, and keep it", () => {
  const keys = meridian("mesh", "keys", "--mesh", mesh, "--dir", dir);
  expect(keys.status).toBe(0);
  const file = join(dir, "credentials", "acme", "us-east-observer.creds");
  const before = readFileSync(file, "utf8");
  expect(statSync(file).mode & 0o077).toBe(0);
  expect(statSync(join(dir, "keys", "tokens.private.jwk")).mode & 0o077).toBe(0);
  const render = meridian("mesh", "render", "--mesh", mesh, "--dir", dir);
  expect(render.stdout.trimEnd().split("\n")).toEqual(
    ["hub-1", "hub-2", "us-east", "eu-west", "ap-south"].map(
      (name) => `${name}: nats-server -c ${join(dir, "nats", `${name}.conf`)}`,
    ),
  );
  expect(existsSync(join(dir, "nats", "us-east.conf"))).toBe(true);
  expect(readFileSync(file, "utf8")).toBe(before);
});

test("token mint prints a token that the gateway takes, with the scopes asked for", async () => {
  meridian("mesh", "keys", "--mesh", mesh, "--dir", dir);
  const key = join(dir, "keys", "tokens.private.jwk");
  const { status, stdout } = meridian("token", "mint", "--tenant", "acme", "--scopes", "orders:read", "--key", key);
  expect(status).toBe(0);
  const authenticator = await createAuthenticator({
    publicKey: readFileSync(join(dir, "keys", "tokens.public.jwk"), "utf8"),
  });
  const principal = await authenticator.authenticate(`Bearer ${stdout.trim()}`);
  expect(principal).toEqual({ tenant: "acme", name: "cli", scopes: new Set(["orders:read"]) });
  const wrong = meridian("token", "mint", "--tenant", "acme", "--scopes", "orders:eat", "--key", key);
  expect(wrong).toEqual({
    status: 2,
    stdout: "",
    stderr:
      'meridian: --scopes: "orders:eat" is not one of orders:write, orders:read, orders:decide, orders:append, events:append, events:read\n',
  });
});

test("the package's command finds its Bun from Node, from anywhere and through a link", () => {
  const link = join(dir, "meridian");
  symlinkSync(join(root, "cli", "meridian.mjs"), link);
  const run = spawnSync("node", [link, "--version"], { encoding: "utf8", cwd: dir });
  expect({ status: run.status, stdout: run.stdout.trim(), stderr: run.stderr }).toEqual({
    status: 0,
    stdout: "0.1.0",
    stderr: "",
  });
  const failing = spawnSync("node", [link, "token", "mint", "--tenant", "acme", "--key", join(dir, "none")], {
    encoding: "utf8",
  });
  expect(failing.status).toBe(2);
});
