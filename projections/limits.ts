/** Every limit of this folder, with its reason. Units stand last in the name. */
export const limits = {
  /** Clients that answer reads. Eight reads at once already fill two cores of the database's machine. */
  queryConnections: 4,
  /** Clients of the store's look-ups and claims alone: no number of reads may keep appends from being decided. */
  storeConnections: 2,
  /** Clients that projectors write with. A statement carries up to 2,000 events: more writers only wait for the disk. */
  writerConnections: 3,
  /**
   * Clients that each read model is written with: the archive, on which the store's index rests, waits for none of them, nor
   * they for each other. Two, so that one writes while the other's answer is on its way.
   */
  modelConnections: 2,
  /** A connection on one machine takes milliseconds, over a network some tens; a dead host is not waited for longer. */
  connectMs: 5_000,
  /** What a read may take at the server: pages are bounded, so this is only met when the machine is overloaded. */
  queryMs: 10_000,
  /** What a write or a migration's step may take at the server: 4 MB on a slow disk, an index over a full table. */
  writeMs: 60_000,
  /** How much longer than the server's own limit the client waits before it gives the connection up for dead. */
  answerMarginMs: 5_000,
  /** How long a read waits for a free client before it is refused: longer than that and the queue only grows. */
  laneWaitMs: 5_000,
  /** How long close() lets running statements finish. */
  closeMs: 2_000,
  /** Attempts of a statement that meets SQLSTATE 40001; with full jitter the eighth waits 1.3 s at the most. */
  serializationAttempts: 8,
  serializationDelayMs: 10,
  /** Backoff of a projector whose database is away: short, for lag grows meanwhile; it never gives up. */
  retryFirstMs: 50,
  retryMaxMs: 2_000,
  /** How often a projector looks whether its checkpoints have been put back: one small read, whatever the load. */
  checkpointLookMs: 3_000,
  /** One write: bound by memory here and by CockroachDB's 16 MiB a message (hex doubles bodies). */
  writeEventsMax: 2_000,
  writeBytesMax: 4 << 20,
  /** Events read from the archive at once; a page ends within `writeBytesMax` too, for it becomes one write. */
  archivePageEvents: 2_000,
  /** Rows of an old build deleted in one statement: some tens of ms, so that writers never wait for it. */
  sweepRows: 5_000,
  /** The lease of who makes a build, renewed three times as often: after a kill the next one waits no longer. */
  buildLeaseSeconds: 15,
  /**
   * How long a live build may stand still while another draws level: longer than the archive is ever behind in health, as
   * short as readers who wait for a position bear (reachedMs). It ends by itself.
   */
  sealSeconds: 3,
  /** A writer that meets a sealed build looks again after this. */
  sealedPollMs: 25,
  /** How often a build is given the chance to draw level before its rebuild gives up, for the archive does not move. */
  sealAttempts: 5,
  /** status: a shard's lag is counted up to here; what is beyond is "many", and counting it would cost more than it tells. */
  lagEventsMax: 100_000,
  /** Quarantine: of a message so much, above a batch of the largest size; CockroachDB takes 16 MiB, and hex doubles it. */
  quarantinedBytesMax: 4 << 20,
  /** So many messages of a log are kept like that, and of those behind them this much: a flood must not fill the disk. */
  quarantinedWholeMax: 1_000,
  quarantinedPrefixBytes: 1_024,
  /** verify: rows of a table compared at once, of each side; each may carry an order of 1 MiB. */
  compareRows: 200,
  /** verify: where no row of so many is on both sides, the two are not worth comparing. */
  compareRowsMax: 12_800,
  /** verify: how long the archive may take to have what the live build has when it is looked at. */
  verifyWaitMs: 30_000,
  /** The driver copies a chunk once more, and CockroachDB's largest message is 16 MiB. */
  copyChunkBytes: 1 << 20,
  /** What one shard's queue may hold before the log's reader waits: the next write gathers while one is under way. */
  queueEventsMax: 4_000,
  queueBytesMax: 4 << 20,
  /**
   * Batches that the projections of one log share, at least, and at most twice as many: as much as a read model is behind the
   * fastest in health. In bytes as they were sent, of which decoded ones take some times as much.
   */
  sharedBatchesMax: 500,
  sharedBytesMax: 1 << 20,
  /**
   * Least time between two writes of a shard, unless the queue is full: a statement costs the server about as much as
   * thirty rows, so a busy shard gathers. An idle one writes at once. Nobody waits for the archive: what is above it, a
   * reader takes from the log.
   */
  gatherMs: 100,
  /** Migrations: how long a migrator holds the lease without renewing it, and how long the others wait in all. */
  migrationLeaseSeconds: 30,
  migrationWaitMs: 120_000,
  migrationPollMs: 100,
  /** Reads that wait for a position in one process; each looks a few times a second at what all of them share. */
  waitersMax: 1_000,
  /** reached(): before the second look at the checkpoint where the projector runs in another process; then doubled. */
  reachedPollMs: 25,
  /** The longest such wait, and the only one where a projector of this process tells of its moves: others' are missed. */
  heardPollMs: 250,
  /** Read-your-writes waits no longer: within it a projection that works has long been there. */
  reachedMs: 5_000,
  /** A page of a stream ends with the event that reaches this: with one of 1 MiB behind it, 8 MiB. */
  pageBytes: 7 << 20,
  /** Orders a page. */
  pageOrders: 500,
  /**
   * Orders of a home that are counted in each status: steps on an index, 60 ms for so many. A count beyond it says "at least",
   * for an exact one would have no bound.
   */
  countedOrders: 100_000,
  /** Of a customer, where each one's status is looked up by its key: 150 ms. */
  countedOfCustomer: 10_000,
  /** An export's page: with the largest orders 100 MB, as the largest page of a list; with real ones half a megabyte. */
  exportPageOrders: 200,
  /** Exports of a tenant in a process: each has a connection, and holds up PostgreSQL's vacuum. */
  exportsAtOnce: 2,
  /** At a few thousand orders a second some millions; a longer one would keep dead rows of all tables for too long. */
  exportMs: 900_000,
  /** Order ids fetched at once while all are walked through. */
  pageOrderIds: 5_000,
  /** NUMERIC takes 131,072 digits; an amount of more than 40 characters is a defect or an attack. */
  amountChars: 40,
  /** initdb takes half a second; a loaded machine some seconds. */
  initdbMs: 60_000,
  /** How long a started server may take to answer, recovery after SIGKILL included. */
  startMs: 60_000,
} as const;
