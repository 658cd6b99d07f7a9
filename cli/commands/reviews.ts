import type { ReviewDocument } from "../../gateway/reviews.ts";
import { renderTable } from "../demo/table.ts";
import { CliError } from "../error.ts";
import { createGatewayClient, type GatewayWords, printable } from "../gateway-client.ts";
import { limits } from "../limits.ts";

export interface ReviewWords extends GatewayWords {
  readonly region?: string;
  readonly limit: string;
  readonly json?: boolean;
}

interface Page {
  readonly reviews: readonly ReviewDocument[];
  readonly cursor?: string;
}

const say = (text: string) => process.stdout.write(`${text}\n`);

export async function runReviews(words: ReviewWords): Promise<void> {
  const limit = /^\d{1,7}$/.test(words.limit) ? Number(words.limit) : 0;
  if (limit === 0) throw new CliError("usage", `--limit must be a whole number from 1, not "${words.limit}"`);
  const client = createGatewayClient(words, process.env);
  const reviews: ReviewDocument[] = [];
  let cursor: string | undefined;
  do {
    const size = Math.min(limit - reviews.length, limits.pageMax);
    const query = new URLSearchParams({
      limit: `${size}`,
      ...(words.region === undefined ? {} : { region: words.region }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    const page = (await client.get(`/v1/reviews?${query}`)) as Page;
    reviews.push(...page.reviews);
    cursor = page.cursor;
  } while (cursor !== undefined && reviews.length < limit);
  if (words.json === true) return void say(JSON.stringify(reviews));
  if (reviews.length === 0) return void say("no order waits for a person's decision");
  say(renderTable(["order", "region", "customer", "amount", "since", "deadline", "why"], reviews.map(rowOf), 7));
  if (cursor !== undefined) say(`and more: --limit shows more than ${limit}`);
}

function rowOf(review: ReviewDocument): string[] {
  const { order_id, region, customer_id, amount, currency, since, deadline = "", reason, detail } = review;
  const late = review.escalated_at === undefined ? "" : "late: ";
  const why = `${late}${detail === "" ? reason : `${reason}: ${detail}`}`;
  const short = why.length > limits.reasonShown ? `${why.slice(0, limits.reasonShown - 1)}…` : why;
  const times = [since, deadline].map((time) => time.slice(0, 19));
  return [order_id, region, customer_id, `${amount} ${currency}`, ...times, short].map(printable);
}
