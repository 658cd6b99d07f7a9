/** Three real nats-servers that are one JetStream cluster: own directories, free ports, every write on disk. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Connection, openConnection } from "../../mesh/connection.ts";
import { call } from "../../mesh/jetstream-api.ts";
import { silent } from "../../mesh/logger.ts";
import { api } from "../../mesh/subjects.ts";
import { eventually } from "./eventually.ts";
import { freePort, type RunningServer, runServer } from "./server.ts";

const domain = "us-east";

export interface ClusterNode extends RunningServer {
  readonly name: string;
  readonly url: string;
  readonly port: number;
}

export interface Cluster extends AsyncDisposable {
  readonly urls: readonly string[];
  readonly nodes: readonly ClusterNode[];
  /** The node that leads the stream, by what the cluster says now; waits while nobody does. */
  leader(stream: string): Promise<ClusterNode>;
  /** Has the stream's leader step down; resolves with the next one, when another node leads. */
  stepDown(stream: string): Promise<ClusterNode>;
  /** Waits until every node names the same leader of the stream, and no replica is behind. */
  settled(stream: string): Promise<void>;
}

/** Above the slowest election that was measured. */
const electedMs = 30_000;

interface StreamCluster {
  readonly cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly { readonly name: string; readonly current: boolean }[];
  };
}

export async function startCluster(options: { storage?: string } = {}): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "meridian-cluster-"));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
  const places = await Promise.all(
    ["a", "b", "c"].map(async (name) => ({ name, port: await freePort(), routes: await freePort() })),
  );
  const start = async ({ name, port, routes }: (typeof places)[number]): Promise<ClusterNode> => {
    const file = join(dir, `${name}.conf`);
    const others = places.filter((one) => one.name !== name).map((one) => `nats-route://127.0.0.1:${one.routes}`);
    await writeFile(
      file,
      `server_name: ${name}
listen: "127.0.0.1:${port}"
max_payload: 8MB
ping_interval: 5s
jetstream { store_dir: "${join(dir, name)}", domain: ${domain}, sync_interval: always, max_file: ${options.storage ?? "1GB"} }
cluster { name: test, listen: "127.0.0.1:${routes}", routes: [${others.join(", ")}] }
`,
    );
    const server = await runServer(file);
    stack.defer(() => server.kill("SIGKILL"));
    return { ...server, name, port, url: `nats://127.0.0.1:${port}` };
  };
  const started = await Promise.allSettled(places.map(start));
  const nodes = started.map((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value;
  });
  const urls = nodes.map(({ url }) => url);
  const asking = await askEach(nodes, stack);

  /** Whom most of the nodes' answers name: one that was stopped may still name itself. */
  async function leader(stream: string): Promise<ClusterNode> {
    return eventually(
      `${stream} has a leader`,
      async () => {
        const answers = await Promise.all(asking.map((c) => clusterBy(c, stream)));
        return nodes.find(({ name }) => answers.filter((answer) => answer?.leader === name).length >= 2);
      },
      electedMs,
    );
  }
  await eventually(
    "the cluster has a leader",
    () => Promise.all(asking.map((c) => call(c, api.accountInfo(domain), undefined, { timeoutMs: 500 }))),
    electedMs,
  );
  const owned = stack.move();
  return {
    urls,
    nodes,
    leader,
    async stepDown(stream) {
      const before = await leader(stream);
      const subject = `$JS.${domain}.API.STREAM.LEADER.STEPDOWN.${stream}`;
      const another = async () => {
        const now = await leader(stream);
        return now.name !== before.name && now;
      };
      // Who stepped down may be elected again; then it is asked again.
      return eventually(
        `another node leads ${stream}`,
        async () => {
          await call(asking[0]!, subject, undefined, { timeoutMs: 1_000 });
          return eventually("another node leads", another, 2_000);
        },
        electedMs,
      );
    },
    settled: async (stream) => {
      await eventually(
        `${stream} has settled`,
        async () => {
          const answers = await Promise.all(asking.map((c) => clusterBy(c, stream)));
          const [first] = answers;
          return answers.every(
            (answer) => answer?.leader === first?.leader && answer?.replicas?.every(({ current }) => current),
          );
        },
        electedMs,
      );
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A connection to each node alone. */
async function askEach(nodes: readonly ClusterNode[], stack: AsyncDisposableStack): Promise<Connection[]> {
  const open = ({ name, url }: ClusterNode) =>
    openConnection({ servers: [url], name: `asks ${name}`, region: domain, logger: silent });
  const connections = await Promise.all(nodes.map(open));
  for (const connection of connections) stack.use(connection);
  return connections;
}

async function clusterBy(c: Connection, stream: string): Promise<StreamCluster["cluster"]> {
  if (!c.connected()) return undefined;
  const asked = call<StreamCluster>(c, api.streamInfo(domain, stream), undefined, { timeoutMs: 500 });
  return (await asked.catch(() => undefined))?.cluster;
}
