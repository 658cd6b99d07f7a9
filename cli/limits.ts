/** Limits of the command line, the region's process and the demo, each with its reason. */
export const limits = {
  /** A process that is told to stop has this long; container runtimes kill after 10 s, so it must be done before. */
  stopMs: 9_000,
  /** First and longest pause between two tries to reach a server that is not up. Short: a peer's restart takes 1–2 s. */
  retryMsMin: 100,
  retryMsMax: 2_000,
  /** How often a log is trimmed that mesh.toml keeps for days: a quarter of an hour of them is nothing to wait for. */
  trimMs: 900_000,
  /** How often mirrors are looked at for a hole: two looks find it, so within half a minute of a cut that was healed. */
  holeLookMs: 10_000,
  /** A page that asks for the status must not wait for a server that hangs. */
  statusMs: 2_000,
  /** A database that says nothing for so long hangs: what it is asked takes a millisecond. */
  databaseSilenceMs: 2_000,
  /** Who asks what takes questions to other servers waits so long; then it is told what was known last, well before `statusMs`. */
  lastKnownMs: 500,
  /** How often a region looks at the mirrors that it holds; one question each to its own broker. */
  mirrorLookMs: 2_000,
  /** A mirror hears from its home every second, and again 1 to 6 s after a short cut: one that is silent for longer is cut off. */
  mirrorSilentMs: 10_000,
  /** A process or thread that lived shorter than this has not recovered, so the next start waits longer. */
  steadyMs: 5_000,
  restartMsMin: 100,
  restartMsMax: 3_000,
  /** A thread that is told to stop: the database's and the broker's connections take up to 2 s each to close. Shorter than
   * stopMs, so that the process still ends in order. */
  threadStopMs: 5_000,
  /** The projectors' thread says this often whether all is well; after five missed ones it hangs. */
  beatMs: 1_000,
  /** A thread that says nothing for so long hangs, and is ended and started again: a write may take it 60 s, but not its loop. */
  threadSilenceMs: 30_000,
  beatSilenceMs: 5_000,
  /** Projectors read a checkpoint at their start and after a failed write; all else they do is writing. */
  projectorQueryConnections: 2,
  /** `meridian projections status`: batches of a shard above the archive that are decoded to count their events. */
  countBatchesMax: 500,
  /** `meridian projections`: how long the broker may take to connect; where it does not, the database alone is asked. */
  brokerMs: 4_000,
  /** `meridian projections rebuild`: a line of progress this often. */
  progressMs: 1_000,
  /** `meridian parked`: one call of a gateway, which answers within 10 s. */
  callMs: 15_000,
  /** The gateway's largest page of a list. */
  pageMax: 200,
  /** `meridian parked replay --all`: decisions at once; the workers' calls, which follow, are the longer work. */
  decisionsAtOnce: 8,
  /** Characters of a reason in a table, and failures that are printed: `show` and `--json` have all. */
  reasonShown: 60,
  failuresShown: 20,
  /** `meridian quarantine show`: as much as tells a batch, JSON and text apart; `--raw` has all. */
  quarantineShownBytes: 64,
  /** `meridian decode`: what is read from stdin before the first batch is whole; the broker's largest message is 8 MB. */
  decodeBytesMax: 64 * 1024 * 1024,
  /** Demo: from the first start of a process until it is ready. A cold disk makes initdb and the first claim slow. */
  readyMs: 90_000,
  /** Demo: a process that has ended this often without ever having been ready will not be. The pauses add up to 10 s, in
   * which a database has recovered and a port that was just given back is free again. */
  startsMax: 8,
  /** Demo: a process that does not end after its stop signal is killed. Longer than stopMs, so that stopMs decides. */
  killMs: 11_000,
  /** Demo: one look at a region's status. Longer than statusMs, after which a part that is late costs only itself. */
  lookMs: 4_000,
  /** Demo: orders in flight a region. Fewer make small batches, which cost every reader; more only wait for each other. */
  inFlightMax: 96,
  /** Demo: lines read ahead a region, so that one region that is down does not hold up the other two at once. */
  queueMax: 20_000,
  /** Demo: a line of the orders file; the gateway's own limit is lower and gives the better error. */
  lineBytesMax: 4 * 1024 * 1024,
  /** Demo: one POST, after which it is sent again with the same order id. The gateway answers within 10 s. */
  postMs: 15_000,
  /** Demo: without any progress for this long, the wait for the last orders is given up. A visitor may kill the
   * database in the middle: PostgreSQL's own recovery has to fit in. */
  stallMs: 60_000,
  /** Demo: hundred orders as the second tenant are enough to show that nothing mixes. */
  secondTenantOrders: 100,
  /** Demo: between two looks whether the last order has come to its end everywhere; a look counts rows six times. */
  settleMs: 400,
  /** Live view: once a second on a terminal, every five in a file. */
  liveMs: 1_000,
  plainMs: 5_000,
} as const;
