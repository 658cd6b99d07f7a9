import { expect, setDefaultTimeout, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { auditLedger } from "../../orders/workers/ledger-audit.ts";
import { type FaultPlan, faultless } from "../../orders/workers/provider-faults.ts";
import { openWorkshop } from "./mesh.ts";
import { contract, openAsker, tryDiscovery } from "./provider-contract.ts";

setDefaultTimeout(120_000);

const faulty: FaultPlan = {
  ...faultless,
  rates: { error: 0.1, "error-after": 0.2, lost: 0.1, late: 0.1, double: 0.3 },
  lateMs: 300,
};

for (const [name, plan] of [
  ["the simulated provider", faultless],
  ["the simulated provider with every fault", faulty],
] as const) {
  test(`${name} keeps the contract`, async () => {
    await using shop = await openWorkshop();
    await using _provider = await shop.provider(plan);
    const place = { server: shop.nats.url, tenant: "acme", region: "us-east" };
    await using asker = await openAsker({ ...place, run: "1", timeoutMs: plan === faulty ? 150 : 5_000 });
    for (const [sentence, holds] of contract) {
      await holds(asker).catch((cause) => {
        throw new Error(`it does not hold that ${sentence}`, { cause });
      });
    }
    await tryDiscovery(asker.connection.wire.nc, "us-east");
    expect(auditLedger(await shop.ledger()).violations).toEqual([]);
  });
}

test("the contract's command says line by line what holds, and compares the answers of before a restart", async () => {
  await using shop = await openWorkshop();
  const dir = await mkdtemp(join(tmpdir(), "meridian-contract-"));
  const run = async () => {
    await using _provider = await shop.provider();
    const program = join(import.meta.dir, "check-provider.ts");
    const words = ["--server", shop.nats.url, "--tenant", "acme", "--region", "us-east", "--answers", join(dir, "a")];
    const child = spawn(process.execPath, [program, ...words], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (data) => (text += data));
    const code = await new Promise((resolve) => child.once("close", resolve));
    return { code, text };
  };
  try {
    const first = await run();
    expect(first.code).toBe(0);
    expect(first.text.match(/^ok /gm)).toHaveLength(contract.length + 2);
    expect(first.text).toContain("run this again");
    const second = await run();
    expect(second.code).toBe(0);
    expect(second.text).toContain("ok    30 questions of before get the answers of before");
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
