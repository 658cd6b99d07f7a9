/** Every bound of the gateway, with its reason. Bytes and counts unless the name says otherwise. */

/** One order: 2,000 lines (the limit of an order) at 250 B; the largest real one has 1,114 and 150 KB. */
export const orderBytesMax = 512 << 10;
/** A command: its texts come to 1,500 characters at most, and a character to 12 bytes where all are escaped. */
export const commandBytesMax = 32 << 10;
/** How often a command is decided anew because somebody else wrote to the order first: more is a fault, not a race. */
export const commandRoundsMax = 8;
/** How long a command waits for this region's copy of another home's order, and how often it looks: nothing tells it. */
export const copyWaitMs = 5_000;
export const copyPollMs = 25;
/** Revisions of one If-Match. */
export const ifMatchMax = 16;
/** One bulk request: held in memory until it is answered, together with its answer. */
export const bulkBytesMax = 16 << 20;
/** Lines of one bulk request: at 10,000 orders/s it is answered within a second or so. */
export const bulkLinesMax = 10_000;
/** Orders of one bulk request on their way to the log at once: fills batches, and leaves room in the shards' queues (10,000). */
export const bulkInFlightMax = 512;
/** One RPC message: an append of 3 MB (the store's limit) in JSON, where base64 adds a third; or many small ones. */
export const messageBytesMax = 8 << 20;
/**
 * Messages in one RPC message: an append of 10,000 events with 32 attributes each, and a row of appends around. Each takes some
 * hundred bytes once it is decoded, and two or more on the wire.
 */
export const messagePartsMax = 350_000;
/** A zstd message may ask for 8 MiB of what came before it, as much as RFC 9659 lets a content coding have. */
export const zstdWindowLogMax = 23;
/** Frames of one zstd message, which are decompressed one by one: it needs one, and some writers put an empty one behind it. */
export const zstdFramesMax = 16;
/**
 * What the HTTP server lets in at all, on Bun. Deno has no such limit and needs none: there as here a route refuses by the
 * announced length, or counts what comes and stops reading at its own limit (readBody, connect's readMaxBytes).
 */
export const requestBytesMax = 32 << 20;
/** An Idempotency-Key is hashed, not stored; 255 characters hold a UUID, a path, or two. */
export const idempotencyKeyMax = 255;
/** A page of orders, and what is taken where the client does not say. */
export const listPageMax = 200;
export const listPageDefault = 50;
/** Events of one answer of GET …/events: an order has about ten. */
export const eventsPageMax = 1_000;
/** Bytes of the same, of their data: an event takes up to 1 MiB, and the answer is built in memory. */
export const eventsBytesMax = 8 << 20;
/** Events of one GetEvents of the Go system, as of one GET …/events; GetEventsStream has no limit. */
export const goAnswerEventsMax = 1_000;
/** Bytes of the same: gRPC clients take 4 MiB by default, framing included, and Go's would refuse what is larger. */
export const goAnswerBytesMax = (4 << 20) - 1_024;
/** `min_position` may repeat, one a shard of each region's log; more is a mistake. */
export const minPositionsMax = 64;
/** Positions that a subscription resumes after: every shard (256) of some logs. */
export const resumedPositionsMax = 1_024;
/** How long a read waits for `min_position`: longer than a projection's usual lag, shorter than a client's patience. */
export const reachedWaitMs = 5_000;
/** A query string value: customer ids, statuses and cursors are all shorter. */
export const parameterLengthMax = 512;
/** An Authorization header: a token of ours is about 400 bytes; longer ones are not worth a signature check. */
export const authorizationBytesMax = 4_096;
/** Verified tokens that are remembered: about 1 KB each. */
export const verifiedTokensMax = 10_000;
/** The clocks of who mints and who verifies may differ by this much. */
export const tokenClockSkewS = 5;
/** A token lives at most a year: there is no way yet to revoke one by itself. */
export const tokenLifeSMax = 366 * 24 * 3600;
/** Header lines of one request over HTTP/2, as node:http2 counts them. */
export const headerPairsMax = 100;
/** Calls at once in one HTTP/2 connection: RFC 9113 advises no fewer than 100. */
export const sessionStreamsMax = 256;
/** HTTP/2 connections at once: each holds buffers; browsers and load balancers need few. */
export const sessionsMax = 2_048;
/** An HTTP/1.1 connection on which nothing moves; streams of events are excepted. */
export const idleTimeoutS = 60;
/**
 * A stream of answers whose client takes nothing of what was sent: longer than the 30 s after which the event store ends
 * a slow subscriber, so that one who reads on by then is told where to resume.
 */
export const stalledMs = 60_000;
/** What may wait for an HTTP/2 connection's socket before its calls' answers are held back, and how often that is looked at. */
export const socketBytesMax = 1 << 20;
export const socketPollMs = 20;
/** An answer to a call whose body was not read has this long to leave before the client is told to stop sending. */
export const unreadMs = 100;
/** A connection that does not answer a ping within it is gone: its client reads nothing at all. */
export const pingMs = 5_000;
/**
 * A stop waits this long for requests under way, on all listeners at once, then closes their connections. A third of the
 * 9 s that a process has to stop: the workers and the shards' owners behind the gateway need theirs.
 */
export const drainMs = 3_000;
/** What does not drain is destroyed, which takes no time; a socket that even so is not gone ends with the process. */
export const destroyMs = 500;
/** A client's own RPC deadline: a subscription may stay for a day, then it resumes. */
export const rpcTimeoutMsMax = 24 * 3600 * 1000;
/** How often a health watch looks: nothing tells it of a change, and a load balancer need not know sooner. */
export const healthPollMs = 500;
