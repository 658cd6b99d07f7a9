import type { Question } from "../../mesh/answering.ts";
import { sleep } from "../../mesh/clock.ts";
import type { Connection } from "../../mesh/connection.ts";
import type { Logger } from "../../mesh/logger.ts";
import { startService } from "../../mesh/service.ts";
import { paymentService, paymentSubject } from "../../mesh/subjects.ts";
import { isAmount } from "../money.ts";
import { decodePaymentRequest, encodePayment, type PaymentAnswer, type PaymentRequest } from "../payments.ts";
import { type Ledger, openLedger } from "./ledger.ts";
import { limits } from "./limits.ts";
import { createFates, declines, type Fate, type FaultPlan, faultless } from "./provider-faults.ts";

/**
 * A payment provider that is not real, but keeps its books as one would: a process of its own, with its ledger on disk.
 * It declines by a rule that everybody can repeat, and answers nothing that is not on disk. Its faults, when it is told to
 * have any, are those of a real one. orders/PAYMENTS.md is the contract that it keeps.
 */
export interface ProviderOptions {
  readonly ledgerFile: string;
  /** Of the program, for `nats micro ls`. */
  readonly version: string;
  /** Default: declines 4 %, and answers everything else. */
  readonly plan?: FaultPlan;
  readonly logger: Logger;
}

export interface Provider extends AsyncDisposable {
  /** Lines in its ledger. */
  lines(): number;
  /** Takes the tenant's payments of the connection's region from when this resolves. */
  serve(tenant: string, connection: Connection): Promise<void>;
  /** Resolves when the ledger can no longer be written: end the process, so that it is started again. */
  readonly broken: Promise<Error>;
}

export async function openProvider(options: ProviderOptions): Promise<Provider> {
  const { ledgerFile, version, plan = faultless, logger } = options;
  const ledger = await openLedger({ file: ledgerFile, declines: (orderId) => declines(plan, orderId) });
  logger.info({ ledgerFile, lines: ledger.lines(), plan }, "the simulated payment provider is open");
  const fateOf = createFates(plan);
  const services: AsyncDisposable[] = [];
  const stopping = new AbortController();

  /** What waits when the provider stops goes on at once: its asker would get no answer otherwise. */
  const wait = (ms: number) => (ms === 0 ? undefined : sleep(ms, stopping.signal));
  return {
    lines: ledger.lines,
    broken: ledger.broken,
    async serve(tenant, connection) {
      const answer = async (question: Question) => {
        const request = readRequest(question.data, tenant);
        if (request === undefined) return question.respond(malformed);
        await answerOnce({ question, request, ledger, fate: fateOf(request), lateMs: plan.lateMs, wait });
      };
      const { name, endpoint, queue } = paymentService;
      const around = { description: "Charges, refunds and voids payments (simulated)", version };
      const metadata = { tenant, region: connection.region, simulated: "true" };
      const subject = paymentSubject(connection.region);
      const bounds = { queue, concurrency: limits.providerConcurrency };
      services.push(
        await startService(connection, { name, endpoint, subject, metadata, ...around, ...bounds }, answer),
      );
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all(services.map((service) => service[Symbol.asyncDispose]()));
      await ledger[Symbol.asyncDispose]();
    },
  };
}

const malformed = encodePayment({ outcome: "refused", reason: "malformed", reference: "" } satisfies PaymentAnswer);

/**
 * The account is the tenant's; what a request says of itself must agree, and its key too: a charge or a void under another
 * tenant's key would keep that tenant from charging its order.
 */
function readRequest(data: Uint8Array, tenant: string): PaymentRequest | undefined {
  const request = decodePaymentRequest(data);
  if (request === undefined || request.tenant !== tenant || !request.key.startsWith(`${tenant}/`)) return undefined;
  return isAmount(request.amount, request.currency) ? request : undefined;
}

interface Answer {
  readonly question: Question;
  readonly request: PaymentRequest;
  readonly ledger: Ledger;
  readonly fate: Fate;
  readonly lateMs: number;
  wait(ms: number): Promise<void> | undefined;
}

async function answerOnce({ question, request, ledger, fate, lateMs, wait }: Answer): Promise<void> {
  await wait(fate.latencyMs);
  if (fate.fault === "error") return question.refuse(500, "simulated: nothing was done");
  const answer = encodePayment(await ledger.answer(request));
  switch (fate.fault) {
    case "error-after":
      return question.refuse(500, "simulated: it was done all the same");
    case "lost":
      return;
    case "late":
      await wait(lateMs);
      break;
    case "double":
      question.respond(answer);
      break;
  }
  question.respond(answer);
}
