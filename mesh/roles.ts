/**
 * What each role may do. A user carries only its region as a tag; its rights are the template of the role's signing key,
 * in the account's JWT, so that a change of the mesh reaches users who exist already.
 *
 * Whoever may create a consumer may also have the log delivered to any subject of its account: JetStream checks no right
 * there. So an observer of a tenant can disturb that tenant (never another one); it cannot append, because the owner
 * takes no batch for a request and the log's readers take no batch that does not stand in the chain.
 */
import { paymentAnswerMsMax, paymentAnswersMax } from "./limits.ts";
import {
  acknowledgements,
  anyInbox,
  anyWorkerLease,
  api,
  appendSubject,
  archiveSubject,
  leaseBucket,
  leaseStream,
  leaseSubject,
  leaseSubjects,
  localApi,
  logFilter,
  logStream,
  mirrorConsumer,
  mirrorSubject,
  paymentService,
  paymentSubject,
  taggedRegion as R,
  replyPrefix,
  serverSubjects,
  serviceDiscovery,
  serviceQuestions,
  workerConsumer,
  workers,
} from "./subjects.ts";
import type { Mesh, Tenant } from "./topology.ts";

export const roles = ["gateway", "store", "worker", "projector", "payment", "operator", "observer", "leaf"] as const;
export type Role = (typeof roles)[number];

export interface Rights {
  readonly publish: readonly string[];
  readonly forbidden: readonly string[];
  readonly subscribe: readonly string[];
  /** May answer what it was asked, wherever the answer is to go: so many messages, for so long. */
  readonly responses?: { readonly messagesMax: number; readonly ageMsMax: number };
  /** Links between servers only, or clients only. */
  readonly connections: "STANDARD" | "LEAFNODE";
}

/** The first generation; a failover's command renders the accounts anew with the next one. */
const generations = [1];

const anyReplies = replyPrefix("*.>");
const ownReplies = replyPrefix(`${R}.>`);
const anyAppend = appendSubject("*", "*");

export function rightsOf(role: Role, mesh: Mesh, tenant: Tenant): Rights {
  const client = (publish: string[], o: { forbidden?: string[]; subscribe?: string[] } = {}): Rights => ({
    publish: [...new Set(publish)],
    forbidden: o.forbidden ?? [],
    subscribe: [ownReplies, ...(o.subscribe ?? [])],
    connections: "STANDARD",
  });
  const streams = streamsOf(mesh, tenant);
  const durable = durableConsumers(mesh, tenant);
  switch (role) {
    case "gateway":
      return client([anyAppend, ...reading([...streams, leaseStream(leaseBucket)])], { forbidden: touching(durable) });
    case "store":
      return client([...storing(tenant, streams), ...reading([...streams, leaseStream(leaseBucket)])], {
        forbidden: ownStreams(tenant).map((stream) => localApi(api.streamDelete(R, stream))),
        subscribe: [appendSubject(R, "*")],
      });
    case "worker":
      return client(
        [
          ...[anyAppend, paymentSubject(R), acknowledgements, leaseSubject(leaseBucket, anyWorkerLease)],
          ...reading([...streams, leaseStream(leaseBucket)]),
        ],
        { forbidden: touching(durable.filter((name) => !isWorker(name))) },
      );
    case "projector":
      return client(reading(streams), { forbidden: touching(durable) });
    case "payment":
      return paymentProvider();
    case "operator":
      return client(operating(streams));
    case "observer":
      return observer(streams, durable);
    case "leaf":
      return leaf(mesh, tenant);
  }
}

function streamsOf(mesh: Mesh, tenant: Tenant): string[] {
  return tenant.logs.flatMap((log) =>
    mesh.regions.flatMap(({ name: home }) =>
      generations.map((generation) => logStream({ log: log.name, home, generation })),
    ),
  );
}

/** Those whose home is the region: one template serves all regions, the tag stands for it. */
function ownStreams(tenant: Tenant): string[] {
  return tenant.logs.flatMap((log) =>
    generations.map((generation) => logStream({ log: log.name, home: R, generation })),
  );
}

const isWorker = (consumer: string) => workers.some((worker) => consumer.startsWith(`${worker}_`));

/** Consumers that keep their place: whoever only reads must not take from them, or change them. */
function durableConsumers(mesh: Mesh, tenant: Tenant): string[] {
  const shards = Math.max(...tenant.logs.map((log) => log.shards));
  const ofWorkers = workers.flatMap((worker) =>
    Array.from({ length: shards }, (_, shard) => workerConsumer(worker, shard)),
  );
  return [...mesh.regions.map((region) => mirrorConsumer(region.name)), ...ofWorkers];
}

/** Looking at streams, and ephemeral consumers on them. */
function reading(streams: readonly string[]): string[] {
  const subjects = streams.flatMap((stream) => [
    api.streamInfo(R, stream),
    api.messageGet(R, stream),
    api.directGet(R, stream),
    api.directGet(R, `${stream}.>`),
    api.consumerCreate(R, stream, "*"),
    api.consumerCreate(R, stream, "*", ">"),
    api.consumerInfo(R, stream, "*"),
    api.consumerNext(R, stream, "*"),
  ]);
  return [api.accountInfo(R), ...subjects].map(localApi);
}

/** Creating over a consumer changes it, asking it for messages takes them from its worker. */
function touching(consumers: readonly string[]): string[] {
  const subjects = consumers.flatMap((consumer) => [
    api.consumerCreate(R, "*", consumer),
    api.consumerCreate(R, "*", consumer, ">"),
    api.consumerNext(R, "*", consumer),
  ]);
  return subjects.map(localApi);
}

/**
 * What owns a region's shards, and prepares its streams; a mirror it may delete, to make it anew. Nobody but the operator purges
 * a stream, and nobody deletes or changes a log at its home.
 */
function storing(tenant: Tenant, streams: readonly string[]): string[] {
  const own = [
    ...[...streams, leaseStream(leaseBucket)].map((stream) => api.streamCreate(R, stream)),
    ...streams.flatMap((stream) => [api.consumerList(R, stream), api.streamDelete(R, stream)]),
  ];
  // Asked of the home when its mirror is made.
  const ofHomes = streams.flatMap((stream) => [
    api.streamInfo("*", stream),
    api.consumerInfo("*", stream, mirrorConsumer(R)),
    api.consumerReset("*", stream, mirrorConsumer(R)),
  ]);
  return [
    ...tenant.logs.map((log) => logFilter(log.name, R)),
    anyAppend,
    anyReplies,
    leaseSubjects(leaseBucket),
    ...own.map(localApi),
    ...ofHomes,
  ];
}

/** Trims logs: looks at them and at who still needs what is in them, asks the regions, and purges. It writes to none. */
function operating(streams: readonly string[]): string[] {
  const subjects = streams.flatMap((stream) => [
    api.streamInfo(R, stream),
    api.messageGet(R, stream),
    api.directGet(R, stream),
    api.consumerList(R, stream),
    api.streamPurge(R, stream),
  ]);
  return [archiveSubject("*"), ...subjects.map(localApi)];
}

/** Answers whoever asks, and says nothing of its own accord: it may be somebody else's program. */
function paymentProvider(): Rights {
  return {
    publish: [],
    forbidden: [],
    subscribe: [paymentSubject(R), ...serviceDiscovery(paymentService.name)],
    responses: { messagesMax: paymentAnswersMax, ageMsMax: paymentAnswerMsMax },
    connections: "STANDARD",
  };
}

/** For a person's tools, which take answers in inboxes of the usual name. */
function observer(streams: readonly string[], durable: readonly string[]): Rights {
  const looking = [
    api.streamNames(R),
    api.streamList(R),
    ...streams.flatMap((stream) => [api.consumerNames(R, stream), api.consumerList(R, stream)]),
  ];
  return {
    publish: [...reading(streams), ...looking.map(localApi), ...serviceQuestions],
    forbidden: touching(durable),
    subscribe: [anyInbox],
    connections: "STANDARD",
  };
}

/**
 * What crosses a region's link. Outwards only this: a log leaves its home on the subjects of its mirrors alone, so a log
 * that mesh.toml keeps at home cannot leave, whoever asks for it elsewhere.
 */
function leaf(mesh: Mesh, tenant: Tenant): Rights {
  // One template serves all regions, the tag stands for the home: so only the targets are spelled out.
  const mirrored = tenant.logs.flatMap((log) =>
    generations.flatMap((generation) =>
      (log.mirrors === "all" ? mesh.regions.map((region) => region.name) : log.mirrors).map((target) =>
        mirrorSubject(target, logStream({ log: log.name, home: R, generation })),
      ),
    ),
  );
  // Streams are spelled out: with a wildcard before its last token, the server (2.15.1) overlooks a pattern when it
  // decides whether to announce the API over the link.
  const streams = streamsOf(mesh, tenant);
  const own = ownStreams(tenant);
  const servers = Object.values(serverSubjects);
  return {
    publish: [
      ...new Set([
        ...[anyAppend, anyReplies],
        ...servers,
        ...mirrored,
        ...streams.flatMap((stream) => [
          api.streamInfo("*", stream),
          api.consumerInfo("*", stream, mirrorConsumer(R)),
          api.consumerReset("*", stream, mirrorConsumer(R)),
        ]),
      ]),
    ],
    forbidden: [],
    subscribe: [
      ...[appendSubject(R, "*"), ownReplies, mirrorSubject(R, "*")],
      ...servers,
      ...own.flatMap((stream) => [
        api.streamInfo(R, stream),
        api.consumerInfo(R, stream, ">"),
        api.consumerReset(R, stream, ">"),
      ]),
    ],
    connections: "LEAFNODE",
  };
}
