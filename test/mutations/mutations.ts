/** A bug that could be, planted in one place, and the test that must find it. */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  readonly test: { readonly file: string; readonly name: string };
}

const faults = (name: string) => ({ file: "test/store/faults.test.ts", name });
const appends = (name: string) => ({ file: "test/store/append.test.ts", name });
const away = (name: string) => ({ file: "test/store/database-away.test.ts", name });
const restored = (name: string) => ({ file: "test/store/restored.test.ts", name });
const clocks = (name: string) => ({ file: "test/store/clocks.test.ts", name });
const sick = (name: string) => ({ file: "test/store/sick-shard.test.ts", name });
const processes = (name: string) => ({ file: "test/store/processes.test.ts", name });
const cluster = (name: string) => ({ file: "test/store/cluster.test.ts", name });

export const mutations: readonly Mutation[] = [
  {
    name: "no fence: batches are published whatever was written last",
    file: "mesh/jetstream-log.ts",
    find: '  headers.set("Nats-Expected-Last-Subject-Sequence", String(request.expected));\n',
    replace: "",
    test: faults("two owners at once"),
  },
  {
    name: "no epoch batch: a new owner begins where the log ends",
    file: "store/owner/claim.ts",
    find: "const epoch = await beginEpoch(options, clock);",
    replace:
      "const epoch = (await options.log.lastMessage(options.shard))?.sequence ?? (await beginEpoch(options, clock));",
    test: faults("two owners at once"),
  },
  {
    name: '"wrong last sequence" is taken for a refusal, and nothing is read back',
    file: "store/owner/commit.ts",
    find: "return isOurs(batch, message) ?",
    replace: "return message.sequence < 0 ?",
    test: faults("an acknowledgement that is lost"),
  },
  {
    name: "event ids are forgotten on recovery",
    file: "store/owner/stream-index.ts",
    find: "young.touch(stream).add({ id, revision, digest, sequence, index });",
    replace: "young.touch(stream).add({ id: stream, revision, digest, sequence, index });",
    test: faults("a repeat that meets a new owner while the archive stands still"),
  },
  {
    name: "a generation of the index is dropped before the archive has passed it",
    file: "store/owner/stream-index.ts",
    find: "        if (archived < setAside.sequence) return;\n",
    replace: "",
    test: { file: "test/store/stream-index.test.ts", name: "what lies above the floor is never forgotten" },
  },
  {
    name: "an entry that lacks the stream's beginning is taken for complete",
    file: "store/owner/generation.ts",
    find: "return this.size === this.last + 1 ||",
    replace: "return this.size > 0 ||",
    test: { file: "test/store/decide.test.ts", name: "a stream whose beginning lies below the floor" },
  },
  {
    name: "of a hot stream only the events that were carried over are looked for",
    file: "store/owner/generation.ts",
    find: " ?? this.generation.before(this.stream)?.find(id)",
    replace: "",
    test: { file: "test/store/stream-index.test.ts", name: "a hot stream is known whole" },
  },
  {
    name: "a batch that the log refused stays in the index",
    file: "store/owner/stream-index.ts",
    find: "undo: () => generation.truncate(size),",
    replace: "undo: () => {},",
    test: { file: "test/store/group.test.ts", name: "a group that the log refuses leaves the index as it was" },
  },
  {
    name: "two texts of one hash are taken for one",
    file: "store/owner/text-table.ts",
    find: "if (bytes[from + at] !== key.bytes[key.from + at]) return false;",
    replace: "if (bytes[from + at] === undefined) return false;",
    test: { file: "test/store/stream-index.test.ts", name: "texts of one hash are told apart" },
  },
  {
    name: "newness by a flag: every minted id is taken for new",
    file: "store/owner/decide.ts",
    find: "part.mintedMs - clockSkewMsMax > index.floorMs()",
    replace: "index.floorMs() >= 0",
    test: appends("an old minted id is looked up"),
  },
  {
    name: "answered before the broker has acknowledged",
    file: "store/owner/publish-group.ts",
    find: "  const fate = await commit(batch)",
    replace:
      "  for (const one of group.decided) settle(one, session.last + 1, options);\n  const fate = await commit(batch)",
    test: { file: "test/store/append-deadlines.test.ts", name: "given up before it is decided it is never recorded" },
  },
  {
    name: "a batch whose fate is unknown is given up, and its events are decided again in a new batch",
    file: "store/owner/commit.ts",
    find: "    batch.signal.throwIfAborted();\n    if (!alarmed",
    replace: '    if (attempt === 1) return { kind: "lost", by: { sequence: 0 } as StoredMessage };\n    if (!alarmed',
    test: faults("an acknowledgement that is lost"),
  },
  {
    name: "the lease's clock is ignored: refusals are given without it",
    file: "store/owner/publish-group.ts",
    find: "if (!refuses || session.lease.held()) settle",
    replace: "if (!refuses || session.epoch > 0) settle",
    test: { file: "test/store/zombie.test.ts", name: "an owner that wakes up after its lease refuses nobody" },
  },
  {
    name: "an answer of the archive from below the index's floor is believed",
    file: "store/owner/decide.ts",
    find: "lookedUp === undefined || lookedUp.floor < index.floor() ||",
    replace: "lookedUp === undefined ||",
    test: { file: "test/store/decide.test.ts", name: "an answer from below the floor is no answer" },
  },
  {
    name: "a shard is read back short by one batch",
    file: "store/owner/recover.ts",
    find: "else rebuilt.add(message, next.batch);",
    replace: "else rebuilt.add(message, message.sequence === epoch - 1 ? { ...next.batch, events: [] } : next.batch);",
    test: faults("a repeat that meets a new owner while the archive stands still"),
  },
  {
    name: "a reader takes what does not follow the last accepted batch",
    file: "store/chain/chain.ts",
    find: "if (batch.previous !== accepted) return",
    replace: "if (batch.previous < 0) return",
    test: faults("a stray publish into the log is skipped"),
  },
  {
    name: "a repeat is known by its id alone, whatever it says now",
    file: "store/owner/decide.ts",
    find: "if (event.digest !== digest) {",
    replace: "if (event.digest === undefined) {",
    test: appends("the same id with other content"),
  },
  {
    name: "a subscription joins the shared tail before what it has read up to",
    file: "store/subscribe/live-tail.ts",
    find: "from: Math.max(lastSequence, ...after) + 1",
    replace: "from: lastSequence + 1",
    test: { file: "test/store/subscriptions.test.ts", name: "what is recorded while the shared tail looks" },
  },
  {
    name: "an owner that began without the archive takes what it read back for all there is",
    file: "store/owner/recover.ts",
    find: "const index = createStreamIndex(floor);",
    replace: "const index = createStreamIndex({ sequence: 0, timeMs: 0 });",
    test: away("the database refuses everything"),
  },
  {
    name: "no owner without the archive: a shard is not claimed while the database is away",
    file: "store/owner/claim.ts",
    find: "if (error instanceof StoreError) throw error;\n    logger.warn",
    replace: "if (error !== undefined) throw error;\n    logger.warn",
    test: away("the database refuses everything"),
  },
  {
    name: "what hangs is waited for",
    file: "store/in-time.ts",
    find: "after(ms, () => reject",
    replace: "after(ms * 1_000, () => reject",
    test: away("the database answers nothing"),
  },
  {
    name: "an answer from below the floor is asked for again and again",
    file: "store/owner/look-ups.ts",
    find: "if (answer.floor < options.floor()) tooOld",
    replace: "if (answer.floor < 0) tooOld",
    test: restored("the database is put back while an owner lives"),
  },
  {
    name: "an archive that is ahead of its log is believed",
    file: "store/owner/claim.ts",
    find: "if (archived <= last && (message",
    replace: "if (archived > 0 || (message",
    test: restored("an archive that is ahead of the log"),
  },
  {
    name: "an owner does not see that the archive is ahead of its log",
    file: "store/owner/owner.ts",
    find: "if (current.archived > current.last) return",
    replace: "if (current.archived < 0) return",
    test: restored("an archive that turns out to be ahead of the log"),
  },
  {
    name: "an idle projector does not see that the database was put back",
    file: "projections/follow-shards.ts",
    find: "    watchCheckpoints(following, signal),\n",
    replace: "",
    test: { file: "test/projections/restored.test.ts", name: "a database that is put back is filled up again" },
  },
  {
    name: "logs are numbered as they come: a database that is put back gives one log the other's number",
    file: "projections/logs.ts",
    find: "values ($6::int4, $1, $2, $3, $4::int4, $5::bytea)",
    replace: "select coalesce(max(log), 0) + 1 + 0 * $6::int4, $1, $2, $3, $4::int4, $5::bytea from logs",
    test: { file: "test/projections/restored.test.ts", name: "a database that is put back to before it knew two logs" },
  },
  {
    name: "ids from the future are recorded, and taken for new once their time has come",
    file: "store/owner/decide.ts",
    find: "if (aheadMs > clockSkewMsMax) return",
    replace: "if (aheadMs > 1e15) return",
    test: clocks("whatever the clocks of owner and gateways do"),
  },
  {
    name: "an owner records what its wall clock says",
    file: "store/owner/shard-clock.ts",
    find: "wallMs + performance.now() - begunMs",
    replace: "Date.now() + 0 * (wallMs + begunMs)",
    test: clocks("an owner whose wall clock steps"),
  },
  {
    name: "a process whose clock is off claims a shard",
    file: "store/owner/claim.ts",
    find: "if (Math.abs(off) <= clockSkewMsMax) return",
    replace: "if (Math.abs(off) >= 0) return",
    test: clocks("a process whose clock is off"),
  },
  {
    name: "a batch is published again without its fence: the broker knows it by its id, as long as it does",
    file: "store/owner/commit.ts",
    find: "      expected: batch.last,\n",
    replace:
      "      expected: attempt === 1 ? batch.last : ((await batch.log.lastMessage(batch.shard).catch(() => undefined))?.sequence ?? 0),\n",
    test: { file: "test/store/broker-away.test.ts", name: "the broker away for longer than it knows messages" },
  },
  {
    name: "readers pass over strays in silence",
    file: "store/chain/follow-log.ts",
    find: "else strayAlarm(options.logger, message, next.stray);",
    replace: "",
    test: faults("a stray publish into the log"),
  },
  {
    name: "appends to all shards of another region wait in one line",
    file: "store/shards/forwarder.ts",
    find: "let target = targets.get(key);",
    replace: "let target = [...targets.values()].find((one) => one.subject === subject);",
    test: sick("appends from another region to healthy shards"),
  },
  {
    name: "each reader asks for itself where a shard without an owner ends",
    file: "store/shards/shard-ends.ts",
    find: "if (now === undefined) return start(name, question);",
    replace: "if (now === undefined || now.next === undefined) return start(name, question);",
    test: sick("where owners are asked, reads of healthy shards"),
  },
  {
    name: "who has let a shard go claims it back because appends are still sent there",
    file: "store/owner/owner.ts",
    find: "const asked = final && performance.now() > passedOnUntil;",
    replace: "const asked = final;",
    test: processes("a shard that was let go for another process"),
  },
  {
    name: "a silent process is waited for, whoever else could own its shards",
    file: "store/shards/hand-over.ts",
    find: "if (!isMovedAway(error)) unheard(holder);",
    replace: "",
    test: processes("a process that holds its lease and does not answer"),
  },
  {
    name: "no answer is taken for a refusal",
    file: "mesh/publish.ts",
    find: 'return { kind: "unknown", reason: error instanceof Error',
    replace: 'return { kind: "refused", reason: error instanceof Error',
    test: { file: "test/store/full.test.ts", name: "a disk on which no write succeeds" },
  },
  {
    name: "the index has no bound: what waits for it is not counted",
    file: "store/owner/owner.ts",
    find: "(session?.index.size() ?? 0) + queue.size.events,",
    replace: "session?.index.size() ?? 0,",
    test: { file: "test/store/full-index.test.ts", name: "a full index refuses" },
  },
  {
    name: "a new owner takes in all that the archive lacks, however much it is",
    file: "store/owner/recover.ts",
    find: "if (generation < recoveredEventsMax / 2) return;",
    replace: "if (generation < recoveredEventsMax * 2) return;",
    test: { file: "test/store/full-index.test.ts", name: "however far behind the archive is" },
  },
  {
    name: "of a past leader: it says where the log ends",
    file: "store/shards/shard-ends.ts",
    find: "if (own.replicas === 1) return",
    replace: "if (own.replicas >= 1) return",
    test: cluster("a leader that answers from the past misleads no reader"),
  },
  {
    name: "of a past leader: what it does not know is not there",
    file: "store/read/given-positions.ts",
    find: "if (found !== undefined || !mayLag(log)) throw",
    replace: "throw",
    test: cluster("a position that is not there, and one that may come yet"),
  },
  {
    name: "of a past leader: an old epoch batch passes for the new one",
    file: "store/owner/claim.ts",
    find: "const number = ++epochs;",
    replace: "const number = ++epochs * 0;",
    test: faults("a leader that was cut off tells an old last message"),
  },
  {
    name: "of a past leader: an old renewal renews a lease",
    file: "mesh/lease.ts",
    find: "now.revision > 0 && now.revision <= known;",
    replace: "now.revision === known;",
    test: { file: "test/mesh/lease.test.ts", name: "a leader that was cut off and answers from the past" },
  },
  {
    name: "a projector goes on after a checkpoint that its log does not have",
    file: "store/chain/follow-log.ts",
    find: "  if (sequence === 0) return;\n",
    replace: "  if (sequence >= 0) return;\n",
    test: restored("a projector whose checkpoint is of another history"),
  },
  {
    name: "the driver ends a COPY that was refused in the middle of the next one",
    file: "projections/connection.ts",
    find: "(error === null ? callback(null) : destroy(error, callback))",
    replace: "destroy(error, callback)",
    test: { file: "test/projections/database.test.ts", name: "a COPY that is refused at its very end" },
  },
  {
    name: "an order's amount stays in the sum of the status that it had",
    file: "projections/models/customers.ts",
    find: "-amount from changes where was <> status",
    replace: "-amount from changes where false",
    test: { file: "test/projections/read-models.test.ts", name: "however the same events are cut" },
  },
  {
    name: "rows are verified that were read after their checkpoints",
    file: "projections/database.ts",
    find: "isolation level repeatable read, read only",
    replace: "isolation level read committed, read only",
    test: { file: "test/projections/verify.test.ts", name: "what is being projected meanwhile" },
  },
  {
    name: "who has fallen behind the shared reader misses what was dropped",
    file: "projections/share-source.ts",
    find: "return at.every((sequence, shard) => sequence === before[shard] || shards.get(sequence) === shard);",
    replace: "return at.length === before.length;",
    test: { file: "test/projections/share-source.test.ts", name: "who begins elsewhere" },
  },
];
