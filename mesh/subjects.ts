/**
 * The only place of subject literals. Our own subjects have three levels; no token is made of anything but the names of
 * mesh.toml, numbers and nonces.
 */
import type { LogName } from "./log.ts";

/** What may be a token: names of logs, regions, tenants and owners. No underscore: it separates in stream names. */
export const tokenPattern = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;

export const logStream = (name: LogName): string => `${name.log}_${name.home}_${name.generation}`;

export const logSubject = (name: LogName, shard: number): string =>
  `${name.log}.${name.home}.${name.generation}-${shard}`;

/** All shards, one by one: `orders.us-east.*` would take the next generation's subjects too. */
export const logSubjects = (name: LogName, shards: number): string[] =>
  Array.from({ length: shards }, (_, shard) => logSubject(name, shard));

/** Every generation and shard of a region's log: for permissions only. */
export const logFilter = (log: string, region: string): string => `${log}.${region}.*`;

/** The shard in a log's subject; NaN when it is none. */
export const shardOf = (subject: string): number => Number(subject.slice(subject.lastIndexOf("-") + 1));

/** `owner` is a nonce in hex, or "any" for the queue group of the region. */
export const appendSubject = (region: string, owner: string): string => `append.${region}.${owner}`;

/** Where the owner of shards says how they stand; within what the roles may do with an owner's subjects. */
export const shardInfoSubject = (region: string, owner: string): string => `append.${region}.${owner}-shards`;

/** Where an owner says at which sequence a shard of its ends; within the same rights. */
export const shardEndSubject = (region: string, owner: string): string => `append.${region}.${owner}-end`;

/** Where a region says how far its archive is with a log; within the same rights. */
export const archiveSubject = (region: string): string => `append.${region}.archive`;

export const paymentSubject = (region: string): string => `payments.${region}.process`;

/** The payment provider as a NATS service; any implementation of it has these names. */
export const paymentService = { name: "payments", endpoint: "process", queue: "payment-provider" } as const;

/** Where our own processes take answers: not under `_INBOX`, which a person's tools may listen on. */
export const replyPrefix = (region: string): string => `_REPLY.${region}`;

// JetStream. Every call names the domain: without it, `$JS.API` would be answered by whichever server is nearest.

export const api = {
  prefix: (domain: string) => `$JS.${domain}.API`,
  streamCreate: (domain: string, stream: string) => `$JS.${domain}.API.STREAM.CREATE.${stream}`,
  accountInfo: (domain: string) => `$JS.${domain}.API.INFO`,
  streamNames: (domain: string) => `$JS.${domain}.API.STREAM.NAMES`,
  streamList: (domain: string) => `$JS.${domain}.API.STREAM.LIST`,
  streamInfo: (domain: string, stream: string) => `$JS.${domain}.API.STREAM.INFO.${stream}`,
  streamPurge: (domain: string, stream: string) => `$JS.${domain}.API.STREAM.PURGE.${stream}`,
  streamDelete: (domain: string, stream: string) => `$JS.${domain}.API.STREAM.DELETE.${stream}`,
  messageGet: (domain: string, stream: string) => `$JS.${domain}.API.STREAM.MSG.GET.${stream}`,
  directGet: (domain: string, stream: string) => `$JS.${domain}.API.DIRECT.GET.${stream}`,
  consumerCreate: (domain: string, stream: string, consumer: string, filter?: string) =>
    `$JS.${domain}.API.CONSUMER.CREATE.${stream}.${consumer}${filter === undefined ? "" : `.${filter}`}`,
  consumerInfo: (domain: string, stream: string, consumer: string) =>
    `$JS.${domain}.API.CONSUMER.INFO.${stream}.${consumer}`,
  consumerReset: (domain: string, stream: string, consumer: string) =>
    `$JS.${domain}.API.CONSUMER.RESET.${stream}.${consumer}`,
  consumerNames: (domain: string, stream: string) => `$JS.${domain}.API.CONSUMER.NAMES.${stream}`,
  consumerList: (domain: string, stream: string) => `$JS.${domain}.API.CONSUMER.LIST.${stream}`,
  consumerNext: (domain: string, stream: string, consumer: string) =>
    `$JS.${domain}.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
} as const;

/** The durable consumer at the home from which `target`'s mirror draws, and where it delivers to. */
export const mirrorConsumer = (target: string): string => `mirror_${target}`;
export const mirrorTarget = (consumer: string): string | undefined =>
  consumer.startsWith("mirror_") ? consumer.slice("mirror_".length) : undefined;
export const mirrorSubject = (target: string, stream: string): string => `mirror.${target}.${stream}`;

/** Key of the lease of who takes a mirror anew. */
export const mirrorLease = (name: LogName): string => `mirror.${logStream(name)}`;

/** A worker's durable consumer of one shard. */
export const workerConsumer = (durable: string, shard: number): string => `${durable}_${shard}`;

/** Workers that have durable consumers, by the names that they consume under. */
export const workers = ["payment", "review", "saga"] as const;

/** The bucket of a region's leases. */
export const leaseBucket = "leases";

/** Leases are a JetStream KV bucket, so that `nats kv` shows them. */
export const leaseStream = (bucket: string): string => `KV_${bucket}`;
export const leaseSubject = (bucket: string, key: string): string => `$KV.${bucket}.${key}`;
export const leaseSubjects = (bucket: string): string => `$KV.${bucket}.>`;
/** Keys of the leases by which the processes that own a tenant's shards say that they are there. */
export const ownersPresent = "process-";

/** Keys of a worker's leases of one log: under a token of their own, so that a worker's rights end there. */
export const workerLeases = (name: LogName, worker: string): string => `work.${logStream(name)}.${worker}`;
export const workerLease = (name: LogName, worker: string, shard: number): string =>
  `${workerLeases(name, worker)}.${shard}`;
export const workersPresent = (name: LogName, worker: string): string => `${workerLeases(name, worker)}.process-`;
/** All of them: for permissions only. */
export const anyWorkerLease = "work.>";
export const leaseKey = (bucket: string, subject: string): string => subject.slice(`$KV.${bucket}.`.length);

/** Of an answer that is an error: as all NATS services have them, so that any client and the `nats` command show them. */
export const serviceHeaders = { error: "Nats-Service-Error", errorCode: "Nats-Service-Error-Code" } as const;

// Patterns for permissions only.

const serviceVerbs = ["PING", "INFO", "STATS"];
/** What asks for services: all of them, those of a name, one by its id. */
export const serviceQuestions: readonly string[] = serviceVerbs.flatMap((verb) => [
  `$SRV.${verb}`,
  `$SRV.${verb}.*`,
  `$SRV.${verb}.*.*`,
]);
/** Where a service of this name must listen to be found. */
export const serviceDiscovery = (name: string): string[] =>
  serviceVerbs.flatMap((verb) => [`$SRV.${verb}`, `$SRV.${verb}.${name}`, `$SRV.${verb}.${name}.*`]);

/** The role's region: the server puts in the tag of the user. */
export const taggedRegion = "{{tag(region)}}";
export const anyInbox = "_INBOX.>";
export const acknowledgements = "$JS.ACK.>";
/** What servers say to each other about mirrors over the leafs: flow control, and the answers of API calls. */
export const serverSubjects = { flowControl: "$JS.FC.>", answers: "$JSC.R.>" } as const;
/**
 * A server turns the API of its own domain into that without a domain, before it looks at the sender's rights: rights in
 * the own region are given without. Leafs never carry it, so it cannot mean another region's.
 */
export const localApi = (subject: string): string => subject.replace(/^\$JS\.[^.]+\.API\./, "$JS.API.");
export const systemSubjects = {
  events: ["$SYS.ACCOUNT.>", "$SYS.SERVER.>"],
  /** How a server with the full resolver asks others for accounts that it lacks. */
  claimsQuestions: ["$SYS.REQ.CLAIMS.PACK", "$SYS.REQ.CLAIMS.LIST", "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP"],
  answers: ["_INBOX.>", "$SYS._INBOX.>", "_R_.>"],
  questions: "$SYS.REQ.>",
  /** What a tenant may ask and hear of its own account, whose key is the token at this position. */
  ownAccount: {
    questions: { subject: "$SYS.REQ.ACCOUNT.*.*", accountToken: 4 },
    events: { subject: "$SYS.ACCOUNT.*.>", accountToken: 3 },
  },
} as const;
