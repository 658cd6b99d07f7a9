import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { readMesh } from "../../mesh/topology.ts";

const shipped = await readFile(new URL("../../configs/mesh.toml", import.meta.url), "utf8");

function problemOf(text: string): string {
  try {
    readMesh(text, "mesh.toml");
  } catch (error) {
    expect(error).toMatchObject({ name: "MeshError", code: "configuration" });
    return (error as Error).message;
  }
  throw new Error("it was taken");
}

test("the shipped mesh has two hubs, three regions and two tenants, with ports counted up from the base", () => {
  const mesh = readMesh(shipped, "mesh.toml");
  expect(mesh.sync).toBe("always");
  expect(mesh.hubs.map((hub) => [hub.name, hub.client, hub.leaf, hub.monitor, hub.cluster])).toEqual([
    ["hub-1", 4200, 4201, 4202, 4203],
    ["hub-2", 4204, 4205, 4206, 4207],
  ]);
  expect(mesh.regions.map((region) => [region.name, region.tag, region.client, region.admin])).toEqual([
    ["us-east", "use", 4210, 4216],
    ["eu-west", "euw", 4220, 4226],
    ["ap-south", "aps", 4230, 4236],
  ]);
  expect(mesh.tenants.map((tenant) => [tenant.name, tenant.currency, tenant.defaultRegion])).toEqual([
    ["acme", "GBP", "us-east"],
    ["globex", "EUR", "eu-west"],
  ]);
  expect(mesh.tenants[0]!.logs).toEqual([
    {
      name: "orders",
      categories: ["order"],
      rest: true,
      shards: 4,
      replicas: 1,
      codec: "zstd",
      mirrors: "all",
      keepDays: undefined,
    },
  ]);
});

test("every commented default is the value that is taken without it", () => {
  const lines = shipped.split("\n").map((line) => {
    const setting = /^# ([a-z_-]+ = .*|\[tenant\.\w+\])$/.exec(line);
    return setting === null ? line : setting[1]!;
  });
  const spelledOut = readMesh(lines.join("\n"), "mesh.toml");
  expect(spelledOut).toEqual(readMesh(shipped, "mesh.toml"));
});

test("another port base moves every port", () => {
  const mesh = readMesh(shipped.replace("port_base = 4200", "port_base = 9000"), "mesh.toml");
  expect(mesh.hubs[1]!.cluster).toBe(9007);
  expect(mesh.regions[2]!.admin).toBe(9036);
});

test("a key that is not a setting is refused by name, with its line", () => {
  const text = shipped.replace('tag = "euw"', 'tag = "euw"\nstorrage_max = "1 GiB"');
  const line = text.split("\n").findIndex((one) => one.startsWith("storrage_max")) + 1;
  const problem = problemOf(text);
  expect(problem).toContain(`mesh.toml, line ${line}`);
  expect(problem).toContain("region(eu-west).storrage_max");
  expect(problemOf(`sink = "always"\n${shipped}`)).toContain("sink is not a setting");
  expect(problemOf(shipped.replace("rest = true", "rest = true\nshard = 4"))).toContain("log(orders).shard");
});

test("a log is kept for days where it says so", () => {
  const kept = readMesh(shipped.replace('# keep = "all"', 'keep = "30d"'), "mesh.toml");
  expect(kept.tenants[0]!.logs[0]!.keepDays).toBe(30);
});

test("a file that is not TOML is refused with line and column", () => {
  expect(problemOf('name = "a"\nname = "b"\n')).toMatch(/mesh\.toml, line 2, column/);
});

const wrong: [string, (text: string) => string, RegExp][] = [
  ["a region without a tag", (t) => t.replace('tag = "use"\n', ""), /region\(us-east\)\.tag must be .*missing/],
  ["two regions with one tag", (t) => t.replace('"euw"', '"use"'), /region tag use is there twice/],
  ["a region's name that is no token", (t) => t.replace('"us-east"', '"us_east"'), /region\(us_east\)\.name/],
  ["two servers with one name", (t) => t.replace('"hub-2"', '"hub-1"'), /server hub-1 is there twice/],
  ["two servers on one port", (t) => t.replace("# client = 4204", "client = 4210"), /127\.0\.0\.1:4210 is there twice/],
  [
    "an unknown default region",
    (t) => t.replace('default_region = "eu-west"', 'default_region = "mars"'),
    /default_region.*mars/,
  ],
  ["an unknown mirror", (t) => t.replace('# mirrors = "all"', 'mirrors = ["mars"]'), /mirrors must be .*mars/],
  [
    "an unknown codec",
    (t) => t.replace('# codec = "zstd"', 'codec = "gzip"'),
    /codec must be one of zstd, snappy, none/,
  ],
  ["no log that takes the rest", (t) => t.replace("rest = true", "rest = false"), /exactly one log has rest/],
  ["shards beyond two hex digits", (t) => t.replace("# shards = 4", "shards = 257"), /shards must be .*256, not 257/],
  ["an even number of replicas", (t) => t.replace("# replicas = 1", "replicas = 2"), /replicas must be 1 or 3, not 2/],
  ["five replicas", (t) => t.replace("# replicas = 1", "replicas = 5"), /replicas must be .*not 5/],
  ["a currency that is none", (t) => t.replace('"GBP"', '"pounds"'), /currency must be .*pounds/],
  [
    "quotas above the storage",
    (t) => t.replace('# disk_max = "2 GiB"', 'disk_max = "20 GiB"'),
    /storage_max .* less than/,
  ],
  ["days without a unit", (t) => t.replace('# keep = "all"', "keep = 30"), /keep must be "all" or a number of days/],
  ["no day at all", (t) => t.replace('# keep = "all"', 'keep = "0d"'), /keep must be .*"0d"/],
  ["a size without a unit", (t) => t.replace('# disk_max = "2 GiB"', 'disk_max = "2 gigs"'), /disk_max must be a size/],
  [
    "an amount without quotes",
    (t) => t.replace("# [tenant.review]", "[tenant.review]\namount_above = { GBP = 10000 }"),
    /review\.amount_above must be a table of amounts in quotes by currency.*10000/,
  ],
  [
    "a rule of review that nobody knows",
    (t) => t.replace("# [tenant.review]", "[tenant.review]\namount = 5"),
    /review\.amount is not a setting; there are amount_above, failed_orders/,
  ],
  [
    "a product code of 65 characters",
    (t) => t.replace("# [tenant.review]", `[tenant.review]\nrefused_codes = ["${"x".repeat(65)}"]`),
    /review\.refused_codes must be a list of product codes/,
  ],
  [
    "a number of failed orders below none",
    (t) => t.replace("# [tenant.review]", "[tenant.review]\nfailed_orders = -1"),
    /review\.failed_orders must be a whole number from 0/,
  ],
  ["a log called append", (t) => t.replace('name = "orders"', 'name = "append"'), /cannot be called append/],
  ["no hub", (t) => t.replaceAll("[[hub]]", "[[hubs]]"), /hub must be at least 1/],
];
for (const [what, edit, expected] of wrong) {
  test(`${what} is refused`, () => {
    const edited = edit(shipped);
    expect(edited).not.toBe(shipped);
    expect(problemOf(edited)).toMatch(expected);
  });
}
