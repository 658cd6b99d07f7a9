/** Every limit of the workers and the simulated provider, each with its reason. */
export const limits = {
  /** Batches of a shard worked on at a time: enough to keep all order queues busy, few to repeat after a crash. */
  batchesAtOnce: 64,
  /**
   * Batches of a shard that stand unacknowledged: those at work, and those put off, which wait beside them. With so many
   * put off the shard's work stands still. Each costs the server about 100 bytes, and the shard at most 28 tries a second.
   */
  unacknowledged: 8_192,
  /**
   * After so long without a sign of life a batch is delivered again; signs are sent three times as often. As long as a lease:
   * who takes over from a process that was killed gets what that one had begun, too.
   */
  ackWaitMs: 5_000,
  /**
   * Orders that a worker acts on at a time; each waits for the provider's or the store's disk, both of which group. Those that
   * are tried again have half of the places at the most, and none while they wait for the next try.
   */
  ordersAtOnce: 64,
  /** Events taken from the log and not yet done, over all shards; above it no further batch is taken. */
  eventsAhead: 2_000,
  /** Folded orders kept in memory, about 4 kB each; what falls out is read again from its stream. */
  ordersCached: 10_000,
  /** A provider that is asked is given this long; then it is asked again with the same key. */
  paymentTimeoutMs: 5_000,
  /**
   * Tries of one event in one delivery: 40 s with the waits below, 140 s where each ends at `paymentTimeoutMs`; then the batch
   * comes again later.
   */
  tries: 20,
  retryFirstMs: 100,
  retryMaxMs: 5_000,
  /** Between two looks for overdue orders, give or take a half: deadlines are minutes at the least. */
  sweepMs: 10_000,
  /** A shard that takes nothing now is asked again at the next look. */
  overdueTimeoutMs: 2_000,
  /** Overdue orders fetched at once. */
  sweptAtOnce: 500,
  /**
   * Deliveries of an event whose step fails with what may pass: eleven minutes, half an hour where nobody answers; then the
   * step is parked. The broker's count: what a process handed back unseen, or held when it died, is among them.
   */
  deliveries: 10,
  /** Of a parked step: how many errors of a chain are recorded, and characters of each. */
  errorsParked: 5,
  errorParkedChars: 500,
  /** Rounds of "someone else wrote to this order first" without progress: more is a fault, not a race. */
  rounds: 8,
  /** A batch with a step that failed too often, or could not even be parked, comes again after this long. */
  laterMs: 30_000,
  /** The longest such wait: it doubles for what could not be parked, for thousands may stand there for days. */
  laterMsMax: 300_000,
  /** Before a consumer that broke down is opened again. */
  reopenMs: 1_000,
  /** A shard that is to be left waits so long for what has begun; what takes longer is handed back, as a stop takes 9 s at most. */
  stopMs: 3_000,
  /** What is handed back comes again after this: with a delay the server puts it in order. */
  handBackMs: 20,
  /** Looks whether a shard is to be taken or left, beside those at every change of a lease: what failed is tried again. */
  lookMs: 250,
  /** Processes come and go together in a restart: none leaves a shard to another before nobody has for so long. */
  settleMs: 1_000,
  /** Streams asked for at a time when a batch must be confirmed by the store. */
  confirmationsAtOnce: 16,
  /** Requests that the provider works on at a time for one connection; the disk takes them in groups. */
  providerConcurrency: 512,
  /** Of the orders the simulated provider declines this share, unless it is told otherwise. */
  declineRate: 0.04,
  /** The simulated provider spoils at most so many answers of one question in a row: below `tries`, so every one succeeds. */
  faultsInRow: 4,
  /** A late answer comes after this unless it is told otherwise: when its asker has given up (`paymentTimeoutMs`). */
  lateMs: 7_000,
  /** The longest delay of an answer, late or slow: together below the 90 s in which a provider may still answer. */
  answerDelayMsMax: 40_000,
} as const;
