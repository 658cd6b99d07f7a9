import type { ReadingContext } from "../orders/submission.ts";
import type { OrderQueries } from "../projections/queries.ts";
import type { EventStore } from "../store/event-store.ts";
import { GatewayError } from "./error.ts";
import { createAuthenticator, type Principal, requireScope, type Scope, scopes } from "./tokens.ts";

/** What the gateway needs of one tenant. */
export interface TenantServices {
  readonly store: EventStore;
  readonly queries: OrderQueries;
  readonly defaultRegion: string;
  /** ISO 4217, taken for an order that names none. */
  readonly currency: string;
  /** Seconds after which a review is escalated, and as many after that the order refused; absent or 0: it has no deadline. */
  readonly reviewDeadlineS?: number;
}

/** Who calls, and what serves them. */
export interface Caller {
  readonly tenant: string;
  readonly principal: Principal;
  readonly services: TenantServices;
  /** How an order of this tenant is read. */
  readonly reading: ReadingContext;
}

/** Answers at once for a token seen before. Throws or rejects with GatewayError "unauthenticated" or "forbidden". */
export type Admission = (header: string | null | undefined, scope: Scope) => Caller | Promise<Caller>;

export interface AdmissionOptions {
  readonly regions: readonly { readonly name: string }[];
  readonly tenants: ReadonlyMap<string, TenantServices>;
  readonly tokens: { readonly publicKey: string };
}

/** Rejects with GatewayError "configuration" when the tokens' key is not one. */
export async function createAdmission(options: AdmissionOptions): Promise<Admission> {
  const { authenticate } = await createAuthenticator(options.tokens);
  const callers = new WeakMap<Principal, Caller>();
  const admit = (principal: Principal, scope: Scope): Caller => {
    requireScope(principal, scope);
    let caller = callers.get(principal);
    if (caller === undefined) {
      caller = createCaller(principal, options);
      callers.set(principal, caller);
    }
    return caller;
  };
  return (header, scope) => {
    const principal = authenticate(header);
    return principal instanceof Promise
      ? principal.then((verified) => admit(verified, scope))
      : admit(principal, scope);
  };
}

/** For the listener without tokens: everybody is `tenant`, and may do all that the Go system's interfaces offer. */
export function createOpenAdmission(tenant: string, options: AdmissionOptions): Admission {
  const caller = createCaller({ tenant, name: "open", scopes: new Set(scopes) }, options);
  return () => caller;
}

function createCaller(principal: Principal, options: AdmissionOptions): Caller {
  const services = options.tenants.get(principal.tenant);
  if (services === undefined) throw new GatewayError("forbidden", "the token's tenant is not served here");
  const regions = new Set(options.regions.map((region) => region.name));
  return { tenant: principal.tenant, principal, services, reading: { currency: services.currency, regions } };
}
