import type { Connection } from "../../mesh/connection.ts";
import { request } from "../../mesh/requests.ts";
import { paymentSubject } from "../../mesh/subjects.ts";
import { OrderError } from "../error.ts";
import {
  decodePaymentAnswer,
  encodePayment,
  isAnswerTo,
  type PaymentAnswer,
  type PaymentRequest,
} from "../payments.ts";
import { limits } from "./limits.ts";

export type AskProvider = (question: PaymentRequest) => Promise<PaymentAnswer>;

/**
 * Asks a region's payment provider. Rejects with MeshError when there is no answer, or an error in its place: whether it
 * acted is then unknown, and asking again with the same key is how to find out. Each asking has a reply subject of its
 * own, so an answer that comes late, or twice, is nobody's and is dropped.
 */
export function createProviderClient(options: {
  readonly connection: Connection;
  readonly region: string;
  readonly signal: AbortSignal;
  /** Default: `limits.paymentTimeoutMs`. */
  readonly paymentTimeoutMs?: number;
}): AskProvider {
  const { connection, region, signal, paymentTimeoutMs: timeoutMs = limits.paymentTimeoutMs } = options;
  const subject = paymentSubject(region);
  return async (question) => {
    const bytes = await request(connection, subject, encodePayment(question), { timeoutMs, signal });
    const answer = decodePaymentAnswer(bytes);
    if (isAnswerTo(answer, question.kind)) return answer;
    const { kind, key } = question;
    throw new OrderError("provider", `the payment provider answered "${answer.outcome}" to the ${kind} of ${key}`);
  };
}
