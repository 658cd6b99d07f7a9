import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { request } from "../../mesh/requests.ts";
import { paymentSubject } from "../../mesh/subjects.ts";
import { decodePaymentAnswer, encodePayment, type PaymentAnswer } from "../../orders/payments.ts";
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
async function startProvider(dir: string, limits: string): Promise<RunningProvider> {
  const admin = `127.0.0.1:${await freePort()}`;
  const words = ["payment-provider", "--mesh", join(mesh.dir, "mesh.toml"), "--dir", dir, "--admin", admin];
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

async function charge(number: number): Promise<PaymentAnswer> {
  await using connection = await mesh.connect("acme", "us-east", "worker");
  const payment = { tenant: "acme", kind: "charge", amount: "1.00", currency: "GBP" } as const;
  const asked = encodePayment({ ...payment, key: `acme/us-east/${number}/payment/1`, order_id: String(number) });
  return decodePaymentAnswer(await request(connection, paymentSubject("us-east"), asked, { timeoutMs: 5_000 }));
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
