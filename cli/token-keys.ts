import { existsSync } from "node:fs";
import { join } from "node:path";
import { createTokenKeys } from "../gateway/tokens.ts";
import { writeFileAtomic } from "./write-file.ts";

export interface TokenKeyFiles {
  readonly public: string;
  readonly private: string;
}

/** Beside the mesh's own keys. */
export const tokenKeyFiles = (dir: string): TokenKeyFiles => ({
  public: join(dir, "keys", "tokens.public.jwk"),
  private: join(dir, "keys", "tokens.private.jwk"),
});

/** The pair that tokens are signed and checked with; one that exists is kept. */
export async function ensureTokenKeys(dir: string): Promise<TokenKeyFiles> {
  const files = tokenKeyFiles(dir);
  if (existsSync(files.private)) return files;
  const pair = await createTokenKeys();
  writeFileAtomic(files.public, pair.publicKey);
  // Last: a run that was killed between the two makes both anew.
  writeFileAtomic(files.private, pair.privateKey, 0o600);
  return files;
}
