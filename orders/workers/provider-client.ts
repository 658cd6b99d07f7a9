import type { Connection } from "../../mesh/connection.ts";
import { request } from "../../mesh/requests.ts";
import { paymentSubject } from "../../mesh/subjects.ts";
import { decodePaymentAnswer, encodePayment, type PaymentAnswer, type PaymentRequest } from "../payments.ts";
import { limits } from "./limits.ts";

export type AskProvider = (question: PaymentRequest) => Promise<PaymentAnswer>;

/**
 * Asks a region's payment provider. Rejects with MeshError when there is no answer: whether it acted is then unknown, and
 * asking again with the same key is how to find out.
 */
export function createProviderClient(options: {
  readonly connection: Connection;
  readonly region: string;
  readonly signal: AbortSignal;
}): AskProvider {
  const { connection, region, signal } = options;
  const subject = paymentSubject(region);
  return async (question) => {
    const data = encodePayment(question);
    return decodePaymentAnswer(
      await request(connection, subject, data, { timeoutMs: limits.paymentTimeoutMs, signal }),
    );
  };
}
