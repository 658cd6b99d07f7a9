/** Every bound of the event store, with its reason. Bytes and counts unless the name says otherwise. */

/** Event ids and types are keys of the index and of SQL: short ones keep both small. */
export const eventIdBytesMax = 128;
export const eventTypeBytesMax = 128;
/** Correlation, causation, traceparent, actor, content type and data key each. */
export const eventTextBytesMax = 256;
export const attributesMax = 32;
/** All names and values of an event's attributes together. */
export const attributesBytesMax = 8192;
/** A third of a batch: what is larger belongs in an object store, with its address in the event. */
export const eventBytesMax = 1 << 20;
/** Events of one append: atomic, so they share one batch. */
export const appendEventsMax = 10_000;
/** Bytes of one append, before compression. */
export const appendBytesMax = 3 << 20;
/** Events of a batch: bounds the time a reader is busy with one message. */
export const batchEventsMax = 10_000;
/** Bytes of a batch before compression (3 MB filled a batch best where it was measured); one append may fill it alone. */
export const batchBytesMax = 3 << 20;
/** What a reader lets a batch decompress to: a batch with room for bookkeeping; more is a bomb. */
export const decodedBytesMax = 8 << 20;
/** Streams of one append to several: its expectations are decided in one go, while nobody else is. */
export const appendStreamsMax = 100;
/** Streams of a shard that a refusal names: enough to see what does not go together. */
export const namedStreamsMax = 5;
/** Appends of one request of many: as many as one forwarded request takes. */
export const appendManyMax = 1_000;
/** Bytes of the same, before compression: held in memory until the last of them is answered. */
export const appendManyBytesMax = 16 << 20;
/** Bytes of many appends that are encoded and hashed in one turn of the event loop, about 3 ms. */
export const packedBytesMax = 1 << 20;
/** Appends waiting for one shard; at 25,000 orders/s that is 0.4 s of work. */
export const queuedAppendsMax = 10_000;
/** Bytes waiting for one shard. */
export const queuedBytesMax = 64 << 20;
/** Pairs of one look-up statement: 1,000 take about 18 ms. */
export const lookUpPairsMax = 1_000;
/** Events in the index of one shard; about 200 bytes each. Full means refuse, never forget. */
export const indexedEventsMax = 1_000_000;
/** Event ids that the index keeps for one stream once the archive has them too. */
export const indexedIdsMax = 64;
/** A minted id's time may differ from the owner's clock by this much. */
export const clockSkewMsMax = 5_000;
/** Each attempt to publish a batch; afterwards it is read back and published again. */
export const publishTimeoutMs = 2_000;
/** A deposed leader can answer from the past for 10 to 20 s: only then is "nothing there" alarming. */
export const unknownOutcomeAlarmMs = 30_000;
/** How long a reader waits for a min_position. */
export const reachedWaitMs = 5_000;
/** Decoded batches that the reader of a log keeps: several orders of one batch are read one after the other. */
export const recentBatchesMax = 64;
/** Bytes of the same, about: eight of the largest. */
export const recentBytesMax = 32 << 20;
/** A forwarded append's whole way there and back. */
export const forwardTimeoutMs = 10_000;
/** The same of one that whoever takes it answers: who took it may have died, and by then somebody else has its shards. */
export const anyoneTimeoutMs = 6_000;
/** An owner whose lease has gone has so long to answer what it was sent, before that is sent to the next one. */
export const leftAnswerMs = 500;
/** Behind an append's deadline: who was sent it says itself what became of it, as long as it lives. */
export const forwardAnswerMs = 500;
/** Appends of one forwarded request. */
export const forwardAppendsMax = 1_000;
/** Bytes of one forwarded request: below the broker's max_payload of 8 MB. */
export const forwardBytesMax = 4 << 20;
/** Readers of a mirror that has lost messages wait so long for a whole one: it is found in half a minute, and copied then. */
export const lossyMirrorMs = 90_000;
/** Events of one page of a stream read from the archive: 10,000 events of 1 KB took 74 ms, so 1,000 keep turns short. */
export const readPageEvents = 1_000;
/** Trimming: how long another region may take to say how far its archive is; nobody waits for it. */
export const archiveFloorsMs = 5_000;
/** Categories and event types that a read of a log may name, each. */
export const filterNamesMax = 100;
/** A read of a log says how far it has come when so many events have passed it by, or some for so long. */
export const passedEventsMax = 10_000;
export const passedMs = 1_000;
/** What a log read downwards holds of it at once; messages that are asked for one by one. */
export const walkBytesMax = 16 << 20;
export const walkMessagesMax = 512;
export const walkSinglyMax = 8;
/** Streams of one page of a list; what is taken where the client does not say. 1,000 take about 300 KB. */
export const streamPageMax = 1_000;
export const streamPageDefault = 100;
/** How long a caller waits in the queue or for an unknown outcome before it is told "unavailable": an election takes 4 to 9 s. */
export const appendWaitMs = 10_000;
/** How often waiting appends are looked through for those that waited too long. */
export const sweepMs = 1_000;
/** A generation of the index: longer than the clock skew, so that newly minted ids are never below the floor. */
export const rotateMs = 8_000;
/** Below this the index is too small for forgetting to be worth a look-up later. */
export const rotateEventsMin = 1_000;
/** Up to which fill of the log's quota an append is admitted; the rest is for epochs, so that a full log can end what it began. */
export const admittedFill = { order: 0.85, client: 0.9, worker: 0.95 } as const;
/** How often a log is asked how full it is; in between, what this process stores is counted on. */
export const fillEveryMs = 2_000;
/** Event types named in a batch's headers: a hint stays small. */
export const hintedTypesMax = 16;
/**
 * How long a stopping owner waits for what is in flight: two attempts of a publish. Gateway and workers before it rarely take
 * their 3 s each; where all do, the 9 s that a process has to stop end it, which harms nothing.
 */
export const closeWaitMs = 5_000;
export const closeStepMs = 20;
/** Epoch batches tried in one claim, when others write the shard meanwhile. */
export const epochTriesMax = 10;
/** What an append waits for of the archive, which takes 20 ms: who hangs is away, and no append waits its 10 s for that. */
export const archiveAnswerMs = 2_500;
/** Messages of a shard that a new owner reads back while the archive does not answer: full batches are read in 2 s or 3. */
export const readBackMessagesMax = 4_096;
/** Events that a new owner takes into its index, however far behind the archive is: half of it is for what comes. */
export const recoveredEventsMax = 500_000;
/** First and longest pause before a batch is published again: an election takes seconds, a restart less. */
export const republishMsMin = 50;
export const republishMsMax = 500;
/** Forwarded requests in flight to one target: grouped, two keep an owner busy (2.8 times one request an append). */
export const forwardsInFlightMax = 2;
/** After nobody answered for a shard, or it had just moved: its lease runs out in at most 5 s. */
export const handOverRetryMs = 100;
/** Who has let a shard go for another does not claim it again because somebody still sends appends there. */
export const passedOnMs = 1_000;
/** Streams that one subscription names: each is checked and kept for as long as it lasts. */
export const subscribedStreamsMax = 1_000;
/** Logs that clients of a tenant read by position at once in a process: each holds a consumer, and up to 24 MB read ahead. */
export const readLogsMax = 32;
/** How often an owner looks whether a shard of its is meant for another process, and gives at most one up. */
export const balanceMs = 1_000;
/** Processes come and go together in a restart: nothing moves before none has for so long. */
export const balanceAfterMs = 2_000;
/** What bounds the subscriptions of one tenant in a process. */
export const subscriptionLimits = {
  /** Those that read by themselves, and have not yet come to the end, hold a consumer: a server has 4,096 for a tenant. */
  subscriptionsMax: 2_000,
  /** Subscriptions that read the log by themselves at once, each up to 24 MB ahead; the others wait for their turn. */
  readingMax: 16,
  /** How long a turn lasts when others wait. */
  turnMs: 5_000,
  /** Of a log's last batches as they are kept, decoded, for all live subscribers together: 1 s of 25,000 orders. */
  windowBytesMax: 32 << 20,
  windowBatchesMax: 4_096,
  /** A subscription says how far it has come when so many events have passed it by, or one so long ago. */
  checkpointEvents: 10_000,
  checkpointMs: 1_000,
  /** Nothing was said for so long: proxies and clients close what is silent for a minute or half. */
  heartbeatMs: 15_000,
  /** A subscriber may take nothing for so long, whatever waits for it. */
  slowMs: 30_000,
  /** Batches that may wait for a subscriber who has not caught up, however long it takes nothing. */
  waitingBatchesMax: 64,
  /** How often is looked for what is due. */
  lookMs: 500,
};
export type SubscriptionLimits = typeof subscriptionLimits;
/** The shared end of a log that could not be read is opened anew after this; meanwhile its subscribers read by themselves. */
export const reopenMs = 1_000;
/** How long a reader waits for a shard's owner to say where it ends: an election, or a claim. One answer takes no longer than a claim. */
export const standWaitMs = 10_000;
export const standTimeoutMs = 2_000;
/** An owner, and the archive, are asked how a shard stands: who asks is a person, or is asked for again. */
export const shardInfoTimeoutMs = 1_000;
/** Subject, headers and bookkeeping of a stored message, about. */
export const messageOverheadBytes = 300;

/** Of the index of a shard. */
export interface IndexLimits {
  readonly eventsMax: number;
  /** How long a generation of it lasts at the least. */
  readonly rotateMs: number;
}
