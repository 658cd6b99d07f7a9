import { Command, CommanderError } from "commander";
import manifest from "../package.json" with { type: "json" };
import { exitCodes } from "./error.ts";

/** Every command loads its own modules when it runs: `--help` is quick, and a broken part breaks only its command. */
export async function runProgram(words: readonly string[]): Promise<void> {
  try {
    await program().parseAsync([...words]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has printed the reason, or the help that was asked for.
    process.exitCode = error.exitCode === 0 ? 0 : exitCodes.usage;
  }
}

function program(): Command {
  const root = new Command("meridian")
    .description("An event mesh gateway: takes orders in at the nearest region and carries them through every region.")
    .version(manifest.version)
    .exitOverride()
    .showHelpAfterError("(add --help for what there is)")
    .addHelpText(
      "after",
      `
Exit codes: 0 done; 1 failed (the demo: something did not hold); 2 wrong command line or configuration;
3 a folder or port is taken; 130 stopped by a signal before it was done (what runs until it is stopped then ends with 0).
MERIDIAN_DEBUG=1 shows where an error comes from.`,
    );
  addDemo(root);
  addProcesses(root);
  addPayments(root);
  addReviews(root);
  addParked(root);
  addProjections(root);
  addQuarantine(root);
  addLog(root);
  addArchive(root);
  addMesh(root);
  addTools(root);
  return root;
}

function addDemo(root: Command): void {
  root
    .command("demo")
    .description("three regions on this machine: real orders go in, and every region has them")
    .option("--orders <file>", "orders to post: NDJSON, plain or .gz (default: the 10,000 that come with it)")
    .option("--no-orders", "post none: start the mesh and leave it running")
    .option("--rate <n>", "orders a second in all (default: as fast as it goes)")
    .option("--exit", "stop after the summary; exit code 0 only if everything held")
    .option("--json", "print the summary as one JSON object on the last line of stdout")
    .option(
      "--dir <dir>",
      "keep the state here; a demo on an old folder still has everything (default: the user's cache)",
    )
    .option("--ports <base>", "first of about forty ports (default: 4200)")
    .option("--runtime <name>", "run the regions on bun or deno", "bun")
    .option("--split", "run each region as three processes: gateway and store, projectors, workers")
    .option("--provider-faults <words>", 'what the payment provider does wrong: "decline=5% error=5% lost=2% seed=7"')
    .addHelpText("after", "\nIt starts again whatever dies, so kill -9 anything. Ctrl-C stops all that it started.")
    .action(async (words) => (await import("./commands/demo.ts")).runDemo(words));
}

function addProcesses(root: Command): void {
  root
    .command("up")
    .description("run one process of a region until SIGTERM")
    .requiredOption("--config <file>", "the region's file, such as configs/us-east.toml")
    .option(
      "--roles <list>",
      "gateway,store,projector,payment,review,saga,trimmer: some of them (default: as the file says)",
    )
    .addHelpText("after", "\nServers and peers may start before it or after it, and may be restarted at any time.")
    .action(async (options) => (await import("./commands/up.ts")).runUp(options));
  root
    .command("migrate")
    .description("bring a region's database up to date, as `up` does at its start")
    .requiredOption("--config <file>", "the region's file")
    .action(async (options) => (await import("./commands/migrate.ts")).runMigrate(options));
}

function addPayments(root: Command): void {
  root
    .command("payment-provider")
    .description("run the simulated payment provider of every region and tenant until SIGTERM")
    .requiredOption("--mesh <file>", "mesh.toml")
    .option("--credentials <dir>", "credentials that `meridian mesh keys` made (default: beside mesh.toml)")
    .requiredOption("--dir <dir>", "keep the ledger here")
    .option("--admin <host:port>", "serve /healthz and /readyz here")
    .option("--seed <text>", "all that follows is repeated with the same seed", "")
    .option("--decline <rate>", "of the orders, for ever (default: 4%)")
    .option("--error <rate>", "answers an error, and nothing is done")
    .option("--error-after <rate>", "answers an error although it is done")
    .option("--lost <rate>", "is done, and never answered")
    .option("--late <rate>", "is done, and answered when the asker has given up")
    .option("--late-by <ms>", "how much later (default: 7000)")
    .option("--double <rate>", "is done, and answered twice")
    .option("--latency <ms>", "before it is done: 20, or drawn from 5-50 (default: 0)")
    .addHelpText(
      "after",
      `
A rate is 0.05 or 5%. Each answer meets one of the faults at most, drawn anew each time that its question is asked; every
fifth time it is simply answered. orders/PAYMENTS.md is the contract that any other provider keeps too.`,
    )
    .action(async (options) => (await import("./commands/payment-provider.ts")).runPaymentProvider(options));
  root
    .command("payment-ledger")
    .description("what the simulated provider's ledger adds up to, and whether anything in it is wrong")
    .requiredOption("--dir <dir>", "where the provider keeps its ledger")
    .option("--json", "as one JSON object, with every violation")
    .addHelpText("after", "\nExit code 1: an order was charged twice, a refund has no charge, an amount differs, …")
    .action(async (options) => (await import("./commands/payment-ledger.ts")).runPaymentLedger(options));
}

/** A command that asks a region's gateway. */
function asking(parent: Command, words: string, description: string): Command {
  return parent
    .command(words)
    .description(description)
    .option("--url <url>", "of a region's gateway (default: MERIDIAN_URL)")
    .option("--token <text>", "of the tenant (default: MERIDIAN_TOKEN, which no list of processes shows)")
    .option("--region <name>", "home region of the orders")
    .option("--json", "print JSON");
}

function addReviews(root: Command): void {
  asking(root, "reviews", "orders that wait for a person's decision, oldest first")
    .option("--limit <n>", "at most so many", "1000")
    .action(async (words) => (await import("./commands/reviews.ts")).runReviews(words));
}

function addParked(root: Command): void {
  const parked = root.command("parked").description("steps of workers that could not be done and wait for a person");
  const command = (words: string, description: string) => asking(parked, words, description);
  const worker = ["--worker <name>", "payment, review or saga"] as const;
  const decision = (words: string, description: string) =>
    command(words, description)
      .option(...worker)
      .option("--by <name>", "who decides (default: the token's name)")
      .option("--reason <text>", "why");
  command("list", "what waits, newest first")
    .option(...worker)
    .option("--limit <n>", "at most so many", "1000")
    .action(async (words) => (await import("./commands/parked.ts")).runParkedList(words));
  command("show <order>", "what waits in one order, with its errors").action(async (id, words) =>
    (await import("./commands/parked.ts")).runParkedShow(id, words),
  );
  decision("replay [order]", "have a step done once more, with all that waits behind it")
    .option("--all", "every step of --worker that waits; exit code 1 if one could not be replayed")
    .action(async (id, words) => (await import("./commands/parked.ts")).runParkedReplay(id, words));
  decision("drop <order>", "give a step up, and what waits behind it; a replay takes that back").action(
    async (id, words) => (await import("./commands/parked.ts")).runParkedDrop(id, words),
  );
}

function addProjections(root: Command): void {
  const projections = root.command("projections").description("the read models of a region's database");
  const config = ["--config <file>", "the region's file"] as const;
  const tenant = ["--tenant <name>", "of this tenant only"] as const;
  const home = ["--home <region>", "of the logs of this home region only"] as const;
  const json = ["--json", "print JSON"] as const;
  projections
    .command("list")
    .description("every read model there is, with the version that this program has")
    .option(...json)
    .action(async (words) => (await import("./commands/projections.ts")).runProjectionsList(words));
  projections
    .command("status")
    .description("where each stands: build, checkpoints, lag in events and seconds, how far a rebuild is")
    .option(...config)
    .option("--database <url>", "instead of --config: this database; what lies above the archive is then not known")
    .option(...tenant)
    .option(...home)
    .option(...json)
    .action(async (words) => (await import("./commands/projections.ts")).runProjectionsStatus(words));
  projections
    .command("rebuild <model>")
    .description("make a read model anew beside the live one, from the archive and the log, and switch over")
    .requiredOption(...config)
    .option(...tenant)
    .option(...home)
    .option(...json)
    .addHelpText("after", "\nThe region may run meanwhile. One that was killed is gone on with when it is run again.")
    .action(async (model, words) =>
      (await import("./commands/projections.ts")).runProjectionsRebuild({ ...words, model }),
    );
  projections
    .command("verify <model>")
    .description("fold the archive again and report every row that differs; exit code 1 if one does")
    .requiredOption(...config)
    .option(...tenant)
    .option(...home)
    .option(...json)
    .action(async (model, words) =>
      (await import("./commands/projections.ts")).runProjectionsVerify({ ...words, model }),
    );
}

function addQuarantine(root: Command): void {
  const quarantine = root
    .command("quarantine")
    .description("messages of a region's logs that nobody takes: what cannot be read, and strays");
  const config = ["--config <file>", "the region's file"] as const;
  const database = ["--database <url>", "instead of --config: this database"] as const;
  quarantine
    .command("list")
    .description("newest first")
    .option(...config)
    .option(...database)
    .option("--tenant <name>", "of this tenant only")
    .option("--home <region>", "of the logs of this home region only")
    .option("--limit <n>", "at most so many", "100")
    .option("--json", "print JSON")
    .action(async (words) => (await import("./commands/quarantine.ts")).runQuarantineList(words));
  quarantine
    .command("show <tenant> <log> <sequence>")
    .description("one of them, with its bytes")
    .requiredOption("--home <region>", "home region of the log")
    .option(...config)
    .option(...database)
    .option("--raw", "its bytes alone, as `meridian decode` takes them")
    .option("--json", "print JSON")
    .action(async (tenant, log, sequence, words) =>
      (await import("./commands/quarantine.ts")).runQuarantineShow(tenant, log, sequence, words),
    );
}

function addLog(root: Command): void {
  root
    .command("log")
    .description("a region's copies of the logs")
    .command("trim <tenant> <log>")
    .description("remove what every archive, worker and mirror has; reads of it go on, from the archive")
    .requiredOption("--config <file>", "the region's file: its own copy is trimmed, others are trimmed there")
    .option("--home <region>", "the mirror of this home's log (default: the region's own log)")
    .option("--keep-days <n>", "keep what is younger (default: what mesh.toml says)")
    .option("--before <position>", "keep this position and all behind it")
    .option("--dry-run", "only say what would go")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Nothing is removed that the archive of a region, a worker or a mirror may still need, nor while one of them cannot be
asked; nor the last message of a shard. It cannot be taken back: keep more days than a database's backup may be old.`,
    )
    .action(async (tenant, log, words) => (await import("./commands/log.ts")).runLogTrim(tenant, log, words));
}

function addArchive(root: Command): void {
  root
    .command("archive")
    .description("a region's archive of all events")
    .command("fill")
    .description("take what it lacks from another region's: after its database was lost, or when it joined late")
    .requiredOption("--config <file>", "the region's file: its database is filled, as far as its logs belong to it")
    .requiredOption(
      "--from <url>",
      "the other region's database, postgres://user:password@host:port/name; it is only read",
    )
    .option("--tenant <name>", "of this tenant only")
    .option("--home <region>", "the logs of this home region only")
    .option("--json", "print JSON, progress on stderr too")
    .addHelpText(
      "after",
      `
Only what is trimmed from the logs has to come so; the rest the region's projectors take from there. They may run meanwhile,
and it may be broken off and begun again: what was taken stays. Read models follow by themselves.`,
    )
    .action(async (words) => (await import("./commands/archive.ts")).runArchiveFill(words));
}

function addMesh(root: Command): void {
  const mesh = root.command("mesh").description("keys and server configurations from mesh.toml");
  mesh
    .command("keys")
    .description("make the operator, the accounts and every role's credentials; what exists is kept")
    .requiredOption("--mesh <file>", "mesh.toml")
    .requiredOption("--dir <dir>", "folder for keys/ and credentials/")
    .action(async (options) => (await import("./commands/mesh.ts")).runMeshKeys(options));
  mesh
    .command("render")
    .description("write the configuration of every nats-server; makes missing keys too")
    .requiredOption("--mesh <file>", "mesh.toml")
    .requiredOption("--dir <dir>", "folder for nats/, keys/ and credentials/")
    .action(async (options) => (await import("./commands/mesh.ts")).runMeshRender(options));
}

function addTools(root: Command): void {
  const token = root.command("token").description("bearer tokens of a tenant's clients");
  token
    .command("mint")
    .description("print a new token on stdout")
    .requiredOption("--tenant <name>", "whom it acts for")
    .option(
      "--scopes <list>",
      "orders:write,orders:read,orders:decide,orders:append,events:append,events:read: some of them (default: all)",
    )
    .option("--days <n>", "days until it expires", "30")
    .option("--name <text>", "who or what it is for; no personal data", "cli")
    .requiredOption("--key <file>", "the private key, made by `meridian mesh keys`: DIR/keys/tokens.private.jwk")
    .action(async (options) => (await import("./commands/token.ts")).runTokenMint(options));
  root
    .command("decode")
    .description("batches of the log on stdin to JSON lines, one an event")
    .addHelpText("after", '\nFor the nats command: nats stream get orders_us-east_1 7 --translate "meridian decode"')
    .action(async () => (await import("./commands/decode.ts")).runDecode());
}
