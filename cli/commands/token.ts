import { mintToken, scopes } from "../../gateway/tokens.ts";
import { readText } from "../config.ts";
import { CliError } from "../error.ts";
import { readList } from "../read-list.ts";

export interface TokenWords {
  readonly tenant: string;
  readonly scopes?: string;
  readonly days: string;
  readonly name: string;
  readonly key: string;
}

export async function runTokenMint(words: TokenWords): Promise<void> {
  const days = Number(words.days);
  if (!Number.isFinite(days) || days <= 0 || days > 366) {
    throw new CliError("usage", `--days must be more than 0 and at most 366, not "${words.days}"`);
  }
  const chosen = words.scopes === undefined ? scopes : readList(words.scopes, scopes, "--scopes");
  const request = { tenant: words.tenant, scopes: chosen, expiresIn: Math.round(days * 86_400), name: words.name };
  process.stdout.write(`${await mintToken(readText(words.key), request)}\n`);
}
