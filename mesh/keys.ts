/**
 * Operator mode: the operator's key signs the accounts, an account's key its roles' signing keys, a role's key its users.
 * Seeds are files that only their owner may read; what exists is kept, so that minting again changes no identity.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type Account,
  createAccount,
  createOperator,
  createUser,
  decode,
  encodeAccount,
  encodeOperator,
  encodeUser,
  fmtCreds,
  fromSeed,
  type KeyPair,
  newScopedSigner,
  parseCreds,
  type SigningKey,
  type User,
  type UserPermissionsLimits,
} from "@nats-io/jwt";
import { MeshError } from "./error.ts";
import * as limits from "./limits.ts";
import { type Rights, type Role, rightsOf, roles } from "./roles.ts";
import { systemSubjects } from "./subjects.ts";
import type { Mesh, Tenant } from "./topology.ts";

export interface AccountKeys {
  readonly publicKey: string;
  readonly jwt: string;
}

export interface Keys {
  readonly operatorJwt: string;
  readonly system: AccountKeys;
  /** By the tenant's name. */
  readonly accounts: ReadonlyMap<string, AccountKeys>;
}

/** Where the credentials of a tenant's role in a region are kept. */
export function credentialsFile(dir: string, tenant: string, region: string, role: Role): string {
  return join(dir, "credentials", tenant, `${region}-${role}.creds`);
}

/** The operator's own user of the system account: it can change every account of the mesh. Never given to a region. */
export const systemCredentialsFile = (dir: string): string => join(dir, "keys", "system.creds");

/** The user of the system account that a region's link carries: it can be asked, and asks for accounts only. */
export const systemLeafFile = (dir: string, region: string): string =>
  join(dir, "credentials", "sys", `${region}-leaf.creds`);

/** Makes what is missing below `dir`, and answers all JWTs. Rejects with MeshError "not-found" for a damaged file. */
export async function mintKeys(mesh: Mesh, dir: string): Promise<Keys> {
  const operator = await keyPair(dir, "operator", createOperator);
  const signer = await keyPair(dir, "operator-signing", createOperator);
  const system = await keyPair(dir, "system", createAccount);
  const accounts = new Map<string, AccountKeys>();
  for (const tenant of mesh.tenants) accounts.set(tenant.name, await mintTenant(mesh, tenant, dir, signer));
  await mintUser(systemCredentialsFile(dir), "system", system, system, {});
  for (const { name } of mesh.regions) {
    await mintUser(systemLeafFile(dir, name), `${name}-leaf`, system, system, systemLeafUser);
  }
  return {
    operatorJwt: await encodeOperator(mesh.name, operator, {
      system_account: system.getPublicKey(),
      signing_keys: [signer.getPublicKey()],
    }),
    system: {
      publicKey: system.getPublicKey(),
      jwt: await encodeAccount("SYS", system, { limits: unlimited, exports: systemExports }, { signer }),
    },
    accounts,
  };
}

async function mintTenant(mesh: Mesh, tenant: Tenant, dir: string, signer: KeyPair): Promise<AccountKeys> {
  const account = await keyPair(dir, tenant.name, createAccount);
  const signingKeys: SigningKey[] = [];
  for (const role of roles) {
    const key = await keyPair(dir, `${tenant.name}-${role}`, createAccount);
    signingKeys.push(newScopedSigner(key, role, template(rightsOf(role, mesh, tenant))));
    for (const { name: region } of mesh.regions) {
      const file = credentialsFile(dir, tenant.name, region, role);
      await mintUser(file, `${region}-${role}`, account, key, { tags: [`region:${region}`] }, true);
    }
  }
  const claims: Partial<Account> = { limits: tenantLimits(mesh, tenant), signing_keys: signingKeys };
  return {
    publicKey: account.getPublicKey(),
    jwt: await encodeAccount(tenant.name, account, claims, { signer }),
  };
}

const unlimited = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
};

/** Every limit is set: one that is missing counts as 0. */
function tenantLimits(mesh: Mesh, tenant: Tenant): NonNullable<Account["limits"]> {
  return {
    ...unlimited,
    subs: limits.tenantSubscriptionsMax,
    payload: limits.payloadBytesMax,
    imports: 0,
    exports: 0,
    conn: limits.tenantConnectionsMax,
    leaf: mesh.regions.length * limits.tenantLeafsPerRegionMax,
    mem_storage: limits.tenantMemoryBytesMax,
    disk_storage: tenant.diskMax,
    streams: limits.tenantStreamsMax,
    consumer: limits.tenantConsumersMax,
    max_ack_pending: limits.mirrorUnacknowledgedMax,
    mem_max_stream_bytes: 0,
    disk_max_stream_bytes: 0,
    max_bytes_required: false,
  };
}

function template(rights: Rights): Partial<UserPermissionsLimits> {
  const { publish, forbidden, subscribe, responses, connections } = rights;
  return {
    pub: { allow: [...publish], deny: [...forbidden] },
    sub: { allow: [...subscribe] },
    // In nanoseconds. With it, an empty list of what may be published means nothing; without, it would mean everything.
    ...(responses && { resp: { max: responses.messagesMax, ttl: responses.ageMsMax * 1_000_000 } }),
    subs: -1,
    data: -1,
    payload: -1,
    allowed_connection_types: [connections],
  };
}

const { questions, events } = systemSubjects.ownAccount;

/** The usual exports of a system account: a tenant may ask for its own figures. */
const systemExports: Account["exports"] = [
  {
    name: "account-monitoring-services",
    subject: questions.subject,
    type: "service",
    response_type: "Stream",
    account_token_position: questions.accountToken,
  },
  {
    name: "account-monitoring-streams",
    subject: events.subject,
    type: "stream",
    account_token_position: events.accountToken,
  },
];

const systemLeafUser: Partial<User> = {
  allowed_connection_types: ["LEAFNODE"],
  pub: { allow: [...systemSubjects.events, ...systemSubjects.claimsQuestions, ...systemSubjects.answers] },
  sub: { allow: [systemSubjects.questions, ...systemSubjects.events, ...systemSubjects.answers] },
};

async function keyPair(dir: string, name: string, create: () => KeyPair): Promise<KeyPair> {
  const file = join(dir, "keys", `${name}.nk`);
  const kept = await readIfThere(file);
  if (kept === undefined) {
    const made = create();
    await writePrivate(file, `${new TextDecoder().decode(made.getSeed())}\n`);
    return made;
  }
  try {
    return fromSeed(new TextEncoder().encode(new TextDecoder().decode(kept).trim()));
  } catch (cause) {
    throw new MeshError("not-found", `${file} holds no key: put the right one back, or take all keys away`, { cause });
  }
}

/** Keeps credentials that the present keys have signed; others (of an earlier account) are made anew. */
async function mintUser(
  file: string,
  name: string,
  account: KeyPair,
  signer: KeyPair,
  user: Partial<User>,
  scopedUser = false,
): Promise<void> {
  const kept = await readIfThere(file);
  if (kept !== undefined && (await isSignedBy(kept, signer))) return;
  const key = createUser();
  const jwt = await encodeUser(name, key, account, user, { signer, scopedUser });
  await writePrivate(file, new TextDecoder().decode(fmtCreds(jwt, key)));
}

async function isSignedBy(credentials: Uint8Array, signer: KeyPair): Promise<boolean> {
  try {
    const { jwt } = await parseCreds(credentials);
    return decode<User>(jwt).iss === signer.getPublicKey();
  } catch {
    return false; // damaged: made anew
  }
}

async function readIfThere(file: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(file);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new MeshError("not-found", `cannot read ${file}`, { cause });
  }
}

/** Whole or not at all: a crash while minting must not leave half a seed. */
async function writePrivate(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}.tmp`;
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, file);
}
