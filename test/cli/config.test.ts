import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadRegionConfig, roles } from "../../cli/config.ts";

const configs = join(import.meta.dir, "..", "..", "configs");
const dir = mkdtempSync(join(tmpdir(), "meridian-config-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

writeFileSync(join(dir, "mesh.toml"), readFileSync(join(configs, "mesh.toml")));
function load(text: string, environment: Record<string, string> = {}) {
  const file = join(dir, "region.toml");
  writeFileSync(file, text);
  return loadRegionConfig(file, environment);
}

const minimal = 'region = "us-east"\n[database]\nurl = "postgres://x@localhost/us_east"\n';

test("the shipped files say nothing but the defaults, and every setting stands in them", () => {
  for (const region of ["us-east", "eu-west", "ap-south"]) {
    const file = join(configs, `${region}.toml`);
    const shipped = loadRegionConfig(file, {});
    // With every commented setting switched on: all are known, and none changes anything.
    const text = readFileSync(file, "utf8").replace(/^# (\w+ = .*)$/gm, "$1");
    const written = load(text);
    const paths = { file: "", nats: { ...shipped.nats, credentials: "" }, tokens: {} };
    expect({ ...written, ...paths, mesh: undefined }).toEqual({ ...shipped, ...paths, mesh: undefined });
    expect(shipped.region.name).toBe(region);
    expect([...shipped.roles]).toEqual([...roles]);
  }
});

test("a setting that is not known is refused by name, with its file and what there is", () => {
  expect(() => load(`${minimal}\n[http]\nprot = 1\n`)).toThrow(
    /region\.toml, line 6: http\.prot is not a setting; there are host, port/,
  );
  expect(() => load(`colour = "red"\n${minimal}`)).toThrow(/colour is not a setting/);
});

test("a value that breaks its rule is refused with the rule and the value", () => {
  expect(() => load(`${minimal}\n[http]\nport = 70000\n`)).toThrow(
    "http.port must be a whole number from 0 to 65535, not 70000",
  );
  expect(() => load(`roles = ["gatway"]\n${minimal}`)).toThrow(
    'roles must be a list of gateway, store, projector, payment, review, saga, trimmer, not ["gatway"]',
  );
  expect(() => load('region = "mars"\n[database]\nurl = "x"')).toThrow(
    /region mars is not in .*mesh\.toml: us-east, eu-west, ap-south/,
  );
  expect(() => load('region = "us-east"\n')).toThrow("database.url must be a text, not missing");
  expect(() => load(`${minimal}\n[open]\nenabled = true\ntenant = "nobody"\n`)).toThrow(
    "open.tenant nobody is not a tenant: acme, globex",
  );
  expect(() => load("region = [\n")).toThrow(/region\.toml, line \d+, column \d+/);
});

test("amounts of review that are none of their currency are refused, with the tenant that they are of", () => {
  const mesh = readFileSync(join(configs, "mesh.toml"), "utf8");
  for (const [amount, text] of [
    ['{ GBP = "10.5" }', 'amount "10.5" must be decimal text with 2 decimals for GBP'],
    ['{ ABC = "1.00" }', 'currency "ABC" is not an active code of ISO 4217'],
  ]) {
    const file = `[tenant.review]\nfirst_order_above = ${amount}`;
    writeFileSync(join(dir, "review.toml"), mesh.replace("# [tenant.review]", file));
    expect(() => load(`mesh = "review.toml"\n${minimal}`)).toThrow(`review.toml: tenant(acme).review: ${text}`);
  }
});

test("the environment stands above the file", () => {
  const config = load(minimal, {
    MERIDIAN_DATABASE_URL: "postgres://y",
    MERIDIAN_HTTP_PORT: "0",
    MERIDIAN_ROLES: "gateway,store",
  });
  expect(config.database.url).toBe("postgres://y");
  expect(config.http.port).toBe(0);
  expect([...config.roles]).toEqual(["gateway", "store"]);
  expect(() => load(minimal, { MERIDIAN_HTTP_PORT: "many" })).toThrow(
    'http.port must be a whole number from 0 to 65535, not "many"',
  );
  expect(load(minimal, { MERIDIAN_OPEN_ENABLED: "true" }).open.enabled).toBe(true);
  expect(() => load(minimal, { MERIDIAN_OPEN_ENABLED: "yes" })).toThrow(
    'open.enabled must be true or false, not "yes"',
  );
});
