import { expect, test } from "bun:test";
import type { Endpoints, RegionEndpoints } from "../../cli/demo/endpoints.ts";
import { layout } from "../../cli/demo/layout.ts";
import { regionProcesses } from "../../cli/demo/processes.ts";
import { openWatch } from "../../cli/demo/watch.ts";
import { silent } from "../../mesh/logger.ts";
import { readMesh } from "../../mesh/topology.ts";
import { signalAll, startPostgres } from "../projections/server.ts";

/** A process that says how it stands, until it is stopped. */
function processOf(region: string, name: string, acme: object) {
  const status = { tenants: { acme } };
  const server = Bun.serve({ port: 0, fetch: () => Response.json(status) });
  const report = { name, pid: 1, state: "running" as const, restarts: 0, region, admin: server.url.origin };
  return { report, status, stop: () => server.stop(true) };
}

/** Nothing is read of it here, and nobody listens on it. */
const regionOf = { database: "postgres://nobody@127.0.0.1:1/none" } as RegionEndpoints;

test("a region's lags are asked of those of its processes that know them, and stand while these do not answer", async () => {
  const mirrors = [{ targets: [{ target: "west", pending: 5 }] }];
  const gateway = processOf("east", "east", { projections: [], mirrors });
  const projections = [{ projections: { archive: { lag: 3 }, orders: { lag: 7 } } }];
  const projectors = processOf("east", "east-projectors", { projections, mirrors: [] });
  const silentOne = processOf("west", "west", { projections: [], mirrors: [] });
  const processes = [gateway, projectors, silentOne].map(({ report }) => report);
  const endpoints: Endpoints = { regions: { east: regionOf, west: regionOf }, tokens: {}, processes };
  await using watch = openWatch(endpoints, silent);
  const lags = async () =>
    (await watch.look("acme")).map(({ projectionLag, mirrorLag }) => [projectionLag, mirrorLag.east]);
  const known = [
    [7, undefined],
    [undefined, 5],
  ];
  expect(await lags()).toEqual(known);
  // As a tenant's part that is late is shown.
  for (const { status } of [gateway, projectors]) status.tenants.acme = { error: "does not answer in time" };
  expect(await lags()).toEqual(known);
  for (const one of [gateway, projectors, silentOne]) await one.stop();
  expect(await lags()).toEqual(known);
}, 30_000);

test("a database that hangs does not hold the view up", async () => {
  await using postgres = await startPostgres();
  const regions = { east: { database: await postgres.createMigrated() } as RegionEndpoints };
  await using watch = openWatch({ regions, tokens: {}, processes: [] }, silent);
  await watch.look("acme");
  signalAll(postgres, "SIGSTOP");
  try {
    const startedMs = performance.now();
    expect(await watch.look("acme")).toMatchObject([{ name: "east", received: 0 }]);
    expect(performance.now() - startedMs).toBeLessThan(6_000);
  } finally {
    signalAll(postgres, "SIGCONT");
  }
}, 40_000);

test("each process of a demo that is split says where it is asked how it stands", async () => {
  const mesh = readMesh(await Bun.file("configs/mesh.toml").text(), "mesh.toml");
  const specs = regionProcesses(mesh, layout("demo"), { runtime: "bun", split: true });
  const [{ name, admin }] = mesh.regions as [(typeof mesh.regions)[number]];
  expect(specs.slice(0, 3).map((one) => [one.name, one.region, one.admin])).toEqual([
    [name, name, `http://127.0.0.1:${admin}`],
    [`${name}-projectors`, name, `http://127.0.0.1:${admin + 1}`],
    [`${name}-workers`, name, `http://127.0.0.1:${admin + 2}`],
  ]);
});
