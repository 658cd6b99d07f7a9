import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, credsAuthenticator } from "nats";
import { credentialsFile } from "../../mesh/keys.ts";
import { request } from "../../mesh/requests.ts";
import { paymentSubject } from "../../mesh/subjects.ts";
import { decodePaymentAnswer, encodePayment, type PaymentAnswer } from "../../orders/payments.ts";
import { retry } from "../../orders/workers/retry.ts";
import { collect } from "../mesh/collect.ts";
import { freePort } from "../mesh/server.ts";
import { prepareMesh, type WholeMesh } from "../mesh/whole-mesh.ts";
import { until } from "./until.ts";

const program = join(import.meta.dir, "..", "..", "cli", "meridian.ts");
let mesh: WholeMesh;
beforeAll(async () => {
  mesh = await prepareMesh();
}, 30_000);
afterAll(async () => await mesh[Symbol.asyncDispose]());

interface RunningProvider extends AsyncDisposable {
  readonly admin: string;
  readonly child: ChildProcess;
  log(): string;
  readonly ended: Promise<number | null>;
}

/** As the demo starts it; `limits` are the shell's words before it. */
async function startProvider(dir: string, limits: string, ...more: string[]): Promise<RunningProvider> {
  const admin = `127.0.0.1:${await freePort()}`;
  const words = ["payment-provider", "--mesh", join(mesh.dir, "mesh.toml"), "--dir", dir, "--admin", admin, ...more];
  const shell = ["-c", `${limits} exec "$@"`, "sh", process.execPath, program, ...words];
  const child = spawn("/bin/sh", shell, { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr!.on("data", (data) => (log += data));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return {
    admin: `http://${admin}`,
    child,
    log: () => log,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function checksOf({ admin }: RunningProvider): Promise<{ status: number; checks: Record<string, string> }> {
  const response = await fetch(`${admin}/readyz`).catch(() => undefined);
  if (response === undefined) return { status: 0, checks: {} };
  return { status: response.status, ...((await response.json()) as { checks: Record<string, string> }) };
}

async function charge(number: number, timeoutMs = 5_000): Promise<PaymentAnswer> {
  await using connection = await mesh.connect("acme", "us-east", "worker");
  const payment = { tenant: "acme", kind: "charge", amount: "1.00", currency: "GBP" } as const;
  const asked = encodePayment({ ...payment, key: `acme/us-east/${number}/payment/1`, order_id: String(number) });
  return decodePaymentAnswer(await request(connection, paymentSubject("us-east"), asked, { timeoutMs }));
}

test("the provider serves each region as soon as that region's NATS answers, and waits for no other", async () => {
  await using provider = await startProvider(join(mesh.dir, "one"), "");
  await until("its ledger is open", async () => (await checksOf(provider)).checks.ledger === "ok", 15_000);
  expect(await checksOf(provider)).toMatchObject({
    status: 503,
    checks: { "acme in us-east": "NATS does not answer yet" },
  });

  await mesh.start("us-east");
  await until("it serves us-east", async () => (await checksOf(provider)).status === 200, 15_000);
  expect((await charge(1)).outcome).toBe("charged");
  expect((await checksOf(provider)).checks["acme in eu-west"]).toBe("NATS does not answer yet");

  provider.child.kill("SIGTERM");
  expect(await provider.ended).toBe(0);
}, 60_000);

/** As a person's `nats micro info payments`. */
async function servicesOf(tenant: string) {
  const credentials = readFileSync(credentialsFile(mesh.dir, tenant, "us-east", "observer"));
  const { client } = mesh.mesh.regions.find((region) => region.name === "us-east")!;
  const nc = await connect({ servers: `127.0.0.1:${client}`, authenticator: credsAuthenticator(credentials) });
  try {
    return await collect(nc.services.client().info("payments"));
  } finally {
    await nc.close();
  }
}

/** As a worker: again with the same key, until there is an answer. */
async function insist(number: number): Promise<PaymentAnswer> {
  return retry(() => charge(number, 500), { signal: new AbortController().signal });
}

function ledger(dir: string, ...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, "payment-ledger", "--dir", dir, ...words], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

test("with faults and killed among them it charges each order once; its books say so, and observers find it", async () => {
  const dir = join(mesh.dir, "faulty");
  const faults = ["--error", "10%", "--error-after", "20%", "--lost", "10%", "--double", "30%", "--seed", "7"];
  const numbers = Array.from({ length: 60 }, (_, at) => 1_000 + at);
  const answers = new Map<number, PaymentAnswer>();
  const askAll = (some: readonly number[]) =>
    Promise.all(some.map(async (number) => answers.set(number, await insist(number))));
  {
    await using provider = await startProvider(dir, "", ...faults, "--decline", "0", "--latency", "0-20");
    await until("it serves us-east", async () => (await checksOf(provider)).status === 200, 15_000);
    await askAll(numbers.slice(0, 20));
    const [acme, globex] = [await servicesOf("acme"), await servicesOf("globex")];
    for (const [tenant, found] of [
      ["acme", acme],
      ["globex", globex],
    ] as const) {
      expect(found).toMatchObject([{ metadata: { tenant, region: "us-east", simulated: "true" } }]);
    }
    // It is killed while these are under way.
    const rest = askAll(numbers);
    await until("some are charged", () => lineCount(dir) > 30);
    provider.child.kill("SIGKILL");
    await provider.ended;
    await using _second = await startProvider(dir, "", ...faults, "--decline", "0");
    await rest;
  }
  const audit = JSON.parse(ledger(dir, "--json").stdout);
  expect(audit).toMatchObject({ charges: 60, declines: 0, violations: [] });
  expect(audit.sums).toEqual([
    { currency: "GBP", charged: "60.00", refunded: "0.00", kept: "60.00", declined: "0.00" },
  ]);
  expect(new Set([...answers.values()].map(({ reference }) => reference)).size).toBe(60);
  expect(ledger(dir)).toMatchObject({ status: 0, stdout: expect.stringContaining("nothing in it is wrong") });
}, 60_000);

const lineCount = (dir: string) => readFileSync(join(dir, "ledger.ndjson"), "utf8").split("\n").length - 1;

test("the ledger's command finds a charge that was made twice, and says so with exit code 1", async () => {
  const dir = join(mesh.dir, "forged");
  mkdirSync(dir);
  const line = (attempt: number) =>
    `${JSON.stringify({ tenant: "acme", kind: "charge", key: `acme/us-east/1/payment/${attempt}`, order_id: "1", amount: "2.50", currency: "GBP", outcome: "charged", reference: `r-${attempt}` })}\n`;
  writeFileSync(join(dir, "ledger.ndjson"), `${line(1)}${line(2)}{"torn`);
  const { status, stdout } = ledger(dir);
  expect(status).toBe(1);
  expect(stdout).toContain("order-charged-twice: order acme/us-east/1 has 2 charges that nobody refunded");
  expect(stdout).toContain("5.00");
  const nowhere = ledger(join(mesh.dir, "nowhere"));
  expect(nowhere.status).toBe(1);
  expect(nowhere.stderr).toMatch(
    /^meridian: cannot read the ledger .*nowhere.ledger.ndjson \(ENOENT\): name the folder/,
  );
});

test("a wrong rate ends the provider before it opens anything", () => {
  const words = ["payment-provider", "--mesh", "none.toml", "--dir", "none", "--lost", "5 in 100"];
  const { status, stderr } = spawnSync(process.execPath, [program, ...words], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({
    status: 2,
    stderr: 'meridian: --lost must be a rate from 0 to 1, or 0% to 100%, not "5 in 100"\n',
  });
});

test("when its disk refuses the ledger, the provider ends with exit code 1 and says why", async () => {
  // Files may grow to two blocks, a few lines of the ledger; without the trap the system would end it without a word.
  await using provider = await startProvider(join(mesh.dir, "two"), 'trap "" XFSZ; ulimit -f 2;');
  await until("it serves us-east", async () => (await checksOf(provider)).status === 200, 15_000);
  let outcome = "charged";
  for (let number = 100; outcome === "charged" && number < 150; number += 1) {
    outcome = await charge(number).then(
      (answer) => answer.outcome,
      () => "none",
    );
  }
  expect(outcome).toBe("none");
  expect(await provider.ended).toBe(1);
  expect(provider.log()).toContain("ends, to be started again: the ledger cannot be written");
}, 60_000);
