/** Every limit of `mesh/`, each with its reason. Units last. */

/** Largest message, headers included: a batch of 3 MB raw with room; the server's default of 1 MB is too small. */
export const payloadBytesMax = 8 * 1024 * 1024;

/** A link that hangs is noticed after two of these; with 10 s a hung hub made a gap of 53 s. */
export const pingIntervalMs = 5_000;
export const pingsOutstandingMax = 2;
/** A process leaves a server that hangs after two to three of these: about as long as its cluster takes to elect other leaders. */
export const clientPingMs = 2_000;

/** Wait between two attempts to connect: a restarted server is found within a quarter of a second. */
export const reconnectWaitMs = 250;
/** One attempt to connect; longer than a handshake across the world with a JWT check in it. */
export const connectTimeoutMs = 5_000;
/** Closing waits this long for what is still being written, then cuts. */
export const closeTimeoutMs = 2_000;

/** JetStream API calls (create, info): an R3 election takes up to 9 s, so callers repeat; one call need not outlast it. */
export const apiTimeoutMs = 5_000;
/** How long a call is repeated while nobody answers: above an election (9 s). */
export const apiPatienceMs = 15_000;
/** Reading one message back: the owner of a shard waits for it. */
export const getTimeoutMs = 2_000;

/** Messages asked for in one pull, and the bytes: above one message of the largest size, or it could never be sent. */
export const pullMessagesMax = 512;
export const pullBytesMax = 2 * payloadBytesMax;
/** Come and not yet read: above it no further portion is asked for, so a slow reader holds this and what is on its way. */
export const unreadBytesMax = pullBytesMax / 2;
/** The same of one direct get: it is held as a whole. */
export const directMessagesMax = 256;
export const directBytesMax = payloadBytesMax / 2;
/** A pull ends by itself after this; the next one is sent at once. */
export const pullExpiresMs = 30_000;
/** The server says this often that it is still there; after three without, the reader opens again. */
export const heartbeatMs = 1_000;
export const heartbeatsMissedMax = 3;
/** To make one takes milliseconds; the second try may take as long as any call of the API. */
export const consumerTimeoutMs = 1_500;
/** An ephemeral consumer without a reader is deleted after this. */
export const consumerInactiveMs = 10_000;
/** The same of a consumer that is only to count. */
export const countingInactiveMs = 100;
/** Wait before a reader opens again, doubled up to the second. */
export const reopenMsMin = 50;
export const reopenMsMax = 2_000;
/** A trouble that lasts is named this often. */
export const warnEveryMs = 10_000;
/** A read of a range repeats for this long while its end is not there yet: an R3 election. */
export const readPatienceMs = 10_000;

/** `Nats-Msg-Id` window. Nothing may depend on it; each id in it costs the server memory and time at its start. */
export const idWindowMs = 30_000;
/** Unacknowledged messages on the way to a mirror. */
export const mirrorUnacknowledgedMax = 20_000;

/** An acknowledgement is repeated for this long (above an election) before its message is left to come again. */
export const acknowledgePatienceMs = 12_000;
export const acknowledgeTimeoutMs = 3_000;

/** Messages that a worker hands back unread come again after this. */
export const unreadDelayMs = 20;

/** Requests a service works on at once, and those that wait; more are refused at once. */
export const serveConcurrency = 64;
export const serveWaitingMax = 1_024;

/** A service whose subscription the server refused asks for it again after this: its rights may have been mended. */
export const serviceReopenMs = 5_000;
/** Answers to one question that a payment provider may give: a second one does no harm, more are a fault. */
export const paymentAnswersMax = 2;
/** The oldest question that it may answer: above the latest answer that the simulated one can give. */
export const paymentAnswerMsMax = 90_000;

/** A lease key's name: it becomes a subject token. */
export const leaseKeyLengthMax = 128;
/** Leases of a whole region: 16,000 shards of 256 bytes. */
export const leaseBucketBytesMax = 4 * 1024 * 1024;
/** A renewal whose outcome is not known is sent again after this: often within the margin. */
export const leaseRetryMs = 100;
/** A process that could not announce itself is meant to have no shard: it tries again as often as a lease is renewed. */
export const memberRetryMs = 1_000;
/** How long a process that did not answer is passed over: as long as its lease may last without it. */
export const unheardMs = 5_000;
/** JetStream allows no shorter delete marker; watchers learn from it that a lease has run out. */
export const leaseMarkerMs = 1_000;

/** What a stored message takes beside its data: headers (of bounded size), subject, record. */
export const messageOverheadBytesMax = 4_096;

/** Shards of a log: a minted id has two hex digits for them. */
export const shardsMax = 256;
/** Asking another region: a link that is down must not hold the caller; it calls again. */
export const originTimeoutMs = 3_000;

/** `nats-server --version` on a busy machine. */
export const versionTimeoutMs = 10_000;
/** `go install` on two slow cores with an empty module cache takes about two minutes. */
export const buildTimeoutMs = 15 * 60_000;

/** A tenant in one server: connections of a few processes and their operators; what a runaway client may open. */
export const tenantConnectionsMax = 1_000;
export const tenantSubscriptionsMax = 100_000;
/**
 * Links of a tenant's account at a hub, a region. One lives; those that died count until the hub knows it, and a region
 * that comes back tries every second: with 3 a mirror was refused for good after hubs had been killed and stopped.
 */
export const tenantLeafsPerRegionMax = 1_000;
/** Streams and consumers of a tenant in one region: logs with their mirrors and generations, and readers. */
export const tenantStreamsMax = 256;
export const tenantConsumersMax = 4_096;
/** Nothing of ours is stored in memory; ephemeral consumers keep their state there. */
export const tenantMemoryBytesMax = 64 * 1024 * 1024;
/** JetStream's memory of one server, for all tenants. */
export const serverMemoryBytesMax = 512 * 1024 * 1024;
