import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { paymentAnswerMsMax } from "../../mesh/limits.ts";
import { paymentService, paymentSubject, serviceHeaders } from "../../mesh/subjects.ts";
import { encodePayment, isAnswerTo, type PaymentAnswer, paymentKey } from "../../orders/payments.ts";
import { limits } from "../../orders/workers/limits.ts";
import { faults } from "../../orders/workers/provider-faults.ts";

const root = join(import.meta.dir, "..", "..");
const page = readFileSync(join(root, "orders", "PAYMENTS.md"), "utf8");

test("the contract's page has the names that the code uses", () => {
  const names = [paymentService.name, paymentService.endpoint, paymentService.queue, paymentSubject("<region>")];
  const key = { tenant: "<tenant>", home: "<home region>", orderId: "<order id>", attempt: 1 };
  const request = { tenant: "t", kind: "charge", key: "k", order_id: "o", amount: "1.00", currency: "GBP" } as const;
  const members = Object.keys(JSON.parse(new TextDecoder().decode(encodePayment(request))));
  const reasons = ["key-reused", "voided", "not-charged", "malformed"];
  for (const name of [
    ...[...names, ...members, ...reasons, "outcome", "reason", "reference"],
    ...[serviceHeaders.error, serviceHeaders.errorCode, paymentKey(key).replace(/1$/, "<attempt>")],
  ]) {
    expect(page).toContain(`\`${name}\``);
  }
  expect(page).toContain(`nothing within ${limits.paymentTimeoutMs / 1_000} s`);
  expect(page).toContain(`within ${paymentAnswerMsMax / 1_000} seconds`);
  expect(2 * limits.answerDelayMsMax).toBeLessThan(paymentAnswerMsMax);
});

test("its table has every answer that a kind may get, and no other", () => {
  const rows = [...page.matchAll(/^\| `(charge|refund|void)` \| `(\w+)`/gm)].map(
    ([, kind, outcome]) => `${kind} ${outcome}`,
  );
  const kinds = ["charge", "refund", "void"] as const;
  const outcomes = ["charged", "declined", "refunded", "voided", "refused"] as const;
  const possible = kinds.flatMap((kind) =>
    outcomes
      .filter((outcome) => isAnswerTo({ outcome, reference: "" } satisfies PaymentAnswer, kind))
      .map((outcome) => `${kind} ${outcome}`),
  );
  // A void is refused only for what any question is refused for.
  expect(new Set(rows)).toEqual(new Set(possible.filter((row) => row !== "void refused")));
});

test("its options are the command's", () => {
  const program = join(root, "cli", "meridian.ts");
  const { stdout } = spawnSync(process.execPath, [program, "payment-provider", "--help"], { encoding: "utf8" });
  const shown = [...stdout.matchAll(/^ {2}(--[a-z-]+) </gm)].map(([, option]) => option!);
  for (const option of [...faults.map((fault) => `--${fault}`), "--decline", "--late-by", "--latency", "--seed"]) {
    expect(shown).toContain(option);
    expect(page).toContain(`\`${option} `);
  }
});
