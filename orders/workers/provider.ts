import type { Connection } from "../../mesh/connection.ts";
import type { Logger } from "../../mesh/logger.ts";
import { serve } from "../../mesh/requests.ts";
import { paymentSubject } from "../../mesh/subjects.ts";
import { decodePaymentRequest, encodePayment, type PaymentAnswer } from "../payments.ts";
import { openLedger } from "./ledger.ts";
import { limits } from "./limits.ts";

/**
 * A payment provider that is not real, but keeps its books as one would: a process of its own, with its ledger on disk.
 * It declines by a rule that everybody can repeat, and answers nothing that is not on disk.
 */
export interface ProviderOptions {
  readonly ledgerFile: string;
  readonly logger: Logger;
}

export interface Provider extends AsyncDisposable {
  /** Lines in its ledger. */
  lines(): number;
  /** Takes the tenant's payments of the connection's region from now on. */
  serve(tenant: string, connection: Connection): void;
  /** Resolves when the ledger can no longer be written: end the process, so that it is started again. */
  readonly broken: Promise<Error>;
}

export async function openProvider({ ledgerFile, logger }: ProviderOptions): Promise<Provider> {
  const ledger = await openLedger({ file: ledgerFile, declines });
  logger.info({ ledgerFile, lines: ledger.lines() }, "the simulated payment provider is open");
  const services: AsyncDisposable[] = [];
  return {
    lines: ledger.lines,
    broken: ledger.broken,
    serve(tenant, connection) {
      const options = { queue: "payment-provider", concurrency: limits.providerConcurrency };
      const answer = async (bytes: Uint8Array) => {
        const request = decodePaymentRequest(bytes);
        // The account is the tenant's; what a request says of itself must agree, and its key too: a charge or a void
        // under another tenant's key would keep that tenant from charging its order.
        const agrees = request?.tenant === tenant && request.key.startsWith(`${tenant}/`);
        if (!agrees) return encodePayment(malformed);
        return encodePayment(await ledger.answer(request));
      };
      services.push(serve(connection, paymentSubject(connection.region), options, answer));
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(services.map((service) => service[Symbol.asyncDispose]()));
      await ledger[Symbol.asyncDispose]();
    },
  };
}

const malformed: PaymentAnswer = { outcome: "refused", reason: "malformed", reference: "" };

/** FNV-1a of the order id, modulo 100: the same orders are declined wherever and whenever they are sent. */
export function declines(orderId: string): boolean {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(orderId)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % 100 < limits.declinedPercent;
}
