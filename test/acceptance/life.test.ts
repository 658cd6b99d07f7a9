import { expect, test } from "bun:test";
import { runLife } from "../life/run.ts";

const limitMs = 240_000;

test(
  "300 orders with a provider that fails, cancels, a person's decisions and two kills: all that is promised holds",
  async () => {
    const said: string[] = [];
    const { checks, dir } = await runLife({
      // The same harm each time: the process of us-east is killed, then the broker of eu-west.
      ...{ seed: 20, count: 300, cancellations: 30, reviews: 24, rate: 40, keep: false },
      ...{ shipments: 20, split: false },
      ...{ killsMax: 2, killPauseMs: { min: 1_000, max: 2_500 }, cancelAfterMsMax: 6_000 },
      signal: AbortSignal.timeout(limitMs - 60_000),
      say: (text) => void said.push(text),
    });
    const findings = checks.flatMap(({ name, findings }) => findings.slice(0, 5).map((one) => `${name}: ${one}`));
    // What was said, and where the logs are, only if something does not hold.
    expect({ findings, said: findings.length > 0 ? [dir, ...said] : [] }).toEqual({ findings: [], said: [] });
    expect(checks.map(({ name }) => name)).toContain("charged at most once, refunded when due");
  },
  limitMs,
);
