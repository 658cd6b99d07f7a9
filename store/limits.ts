/** Every bound of the event store, with its reason. Bytes and counts unless the name says otherwise. */

/** Fits a subject token, an index key and a URL segment. */
export const streamIdBytesMax = 128;
/** Event ids and types are keys of the index and of SQL: short ones keep both small. */
export const eventIdBytesMax = 128;
export const eventTypeBytesMax = 128;
/** Correlation, causation, traceparent, actor, content type and data key each. */
export const eventTextBytesMax = 256;
export const attributesMax = 32;
/** All names and values of an event's attributes together. */
export const attributesBytesMax = 8192;
/** Half of a batch, so that a batch of one append always fits beside its bookkeeping. */
export const eventBytesMax = 1 << 20;
/** Events of one append: atomic, so they share one batch. */
export const appendEventsMax = 10_000;
/** Bytes of one append, before compression. */
export const appendBytesMax = 3 << 20;
/** Events of a batch: bounds the time a reader is busy with one message. */
export const batchEventsMax = 10_000;
/** Bytes of a batch before compression (PROTOTYPE: 3 MB raw); one append may fill it alone. */
export const batchBytesMax = 3 << 20;
/** What a reader lets a batch decompress to: a batch with room for bookkeeping; more is a bomb. */
export const decodedBytesMax = 8 << 20;
/** `time_delta_us` is 32 bits: 60 minutes fit with room. */
export const batchSpanUsMax = 60 * 60 * 1_000_000;
/** Appends waiting for one shard; at 25,000 orders/s that is 0.4 s of work. */
export const queuedAppendsMax = 10_000;
/** Bytes waiting for one shard. */
export const queuedBytesMax = 64 << 20;
/** Pairs of one look-up statement: 1,000 take about 18 ms (ARCHIVE). */
export const lookUpPairsMax = 1_000;
/** Streams in the index of one shard; about 300 bytes each. Full means refuse, never forget. */
export const indexedStreamsMax = 2_000_000;
/** Event ids that the index keeps for one stream once the archive has them too. */
export const indexedIdsMax = 64;
/** A minted id's time may differ from the owner's clock by this much. */
export const clockSkewMsMax = 5_000;
/** Each attempt to publish a batch; afterwards it is read back and published again. */
export const publishTimeoutMs = 2_000;
/** A deposed leader can answer from the past for 10 to 20 s (PROTOTYPE, R3): only then is "nothing there" alarming. */
export const unknownOutcomeAlarmMs = 30_000;
/** How long a reader waits for a min_position. */
export const reachedWaitMs = 5_000;
/** Decoded batches that a shard keeps for readers and subscribers. */
export const recentBatchesMax = 64;
/** A forwarded append's whole way there and back. */
export const forwardTimeoutMs = 10_000;
/** Appends of one forwarded request. */
export const forwardAppendsMax = 1_000;
/** Bytes of one forwarded request: below the broker's max_payload of 8 MB. */
export const forwardBytesMax = 4 << 20;
/** Events of one page of a stream read from the archive: 10,000 events of 1 KB took 74 ms (ARCHIVE), so 1,000 keep turns short. */
export const readPageEvents = 1_000;
/** A subscription says at least this often how far it has come, while batches pass by. */
export const checkpointEveryMs = 1_000;
