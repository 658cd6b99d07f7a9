import { invalidField } from "../messages.ts";

/** What a reader may ask for. Each throws StoreError "invalid" that names the field, the rule and what it met. */

/** A revision from 0, and a limit from 1. */
export function checkRange({ from = 0, limit }: { readonly from?: number; readonly limit?: number }): void {
  if (!(Number.isSafeInteger(from) && from >= 0)) {
    throw invalidField("from_revision", `must be a whole number from 0, not ${from}`);
  }
  checkLimit(limit);
}

/** Absent and Infinity: no limit. */
export function checkLimit(limit = Number.POSITIVE_INFINITY): void {
  if (limit >= 1 && (Number.isSafeInteger(limit) || limit === Number.POSITIVE_INFINITY)) return;
  throw invalidField("limit", `must be a whole number from 1, not ${limit}`);
}

export function checkPrefix(prefix: string, field: string): void {
  if (/^[A-Za-z0-9._~{}][A-Za-z0-9._~{}-]{0,127}$/.test(prefix)) return;
  throw invalidField(field, `must match [A-Za-z0-9._~{}-]{1,128} and begin with no hyphen, as stream ids do`);
}

/** What stands before the first hyphen of an id. */
export function checkCategory(category: string, field: string): void {
  if (/^[A-Za-z0-9._~{}]{1,128}$/.test(category)) return;
  throw invalidField(field, "must match [A-Za-z0-9._~{}]{1,128}: what stands before the first hyphen of a stream's id");
}
