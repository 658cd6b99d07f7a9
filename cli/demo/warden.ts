import { type ChildProcess, spawn } from "node:child_process";

/**
 * Ends the demo's processes when the demo itself was killed (SIGKILL, out of memory) and cannot: a shell of one megabyte
 * that reads the current pids from a pipe, a line for each change, and acts when the pipe closes. An empty line before the
 * end says that all went well. The pids are children of the demo until it dies, so none can have been used again.
 */
export interface Warden extends Disposable {
  watch(pids: readonly number[]): void;
}

const script = `
pids=
while IFS= read -r line; do pids=$line; done
[ -n "$pids" ] || exit 0
kill -TERM $pids 2>/dev/null
tries=0
while [ $tries -lt 50 ]; do
  alive=
  for pid in $pids; do kill -0 "$pid" 2>/dev/null && alive=1; done
  [ -n "$alive" ] || exit 0
  sleep 0.1
  tries=$((tries + 1))
done
kill -KILL $pids 2>/dev/null
`;

export function startWarden(): Warden {
  let last = "";
  let closed = false;
  let child = launch();

  function launch(): ChildProcess {
    const shell = spawn("/bin/sh", ["-c", script], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    shell.stdin?.on("error", () => {}); // a warden that was killed is replaced below
    shell.once("error", () => {}); // no shell: the next start of the demo reaps instead
    shell.once("exit", () => {
      if (closed) return;
      child = launch();
      child.stdin?.write(`${last}\n`);
    });
    shell.unref();
    return shell;
  }

  return {
    watch(pids) {
      last = pids.filter((pid) => pid > 0).join(" ");
      child.stdin?.write(`${last}\n`);
    },
    [Symbol.dispose]() {
      closed = true;
      child.stdin?.end("\n");
    },
  };
}
