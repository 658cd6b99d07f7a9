import { GatewayError } from "./error.ts";
import { ifMatchMax } from "./limits.ts";

/** An entity tag (RFC 9110, 8.8.3). */
const tag = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/;

/** The entity tag of an order at a revision. */
export const etagOf = (revision: number): string => `"${revision}"`;

/**
 * The `If-Match` header: whether the order may be changed at a revision. Undefined: it may be at any. A tag that is none of
 * ours, or a weak one, matches nothing (RFC 9110, 13.1.1). Throws GatewayError "invalid-if-match".
 */
export function readIfMatch(header: string | null): ((revision: number) => boolean) | undefined {
  // An order that is there is what "*" asks for, and every command does.
  if (header === null || header.trim() === "*") return undefined;
  const texts = header.split(",", ifMatchMax + 1).map((text) => text.trim());
  const tags = texts.filter((text) => text !== "");
  if (tags.length === 0 || tags.length > ifMatchMax || !tags.every((text) => tag.test(text))) {
    const text = `If-Match must be * or 1 to ${ifMatchMax} entity tags in quotes, as "3"`;
    throw new GatewayError("invalid-if-match", text);
  }
  return (revision) => tags.includes(etagOf(revision));
}
