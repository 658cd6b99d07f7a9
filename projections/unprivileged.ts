import { execFile } from "node:child_process";
import { access, chown, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { ProjectionError } from "./error.ts";

const execute = promisify(execFile);

/** How a program that refuses to run as root is run: what stands before it on the command line. */
export interface Unprivileged {
  readonly prefix: readonly string[];
  /** Gives a folder to the user that the program runs as. */
  own(dir: string): Promise<void>;
}

/**
 * As a plain user: nothing. As root: in a user namespace in which root is called `nobody` (same process id, same rights
 * to files, so that folders of root work), else as the real `nobody`, who must be able to reach program and folder.
 * As a user without a name, which containers have and initdb refuses: in such a namespace too.
 */
export async function unprivileged(program: string): Promise<Unprivileged> {
  const self = process.getuid?.();
  if (self === undefined || (self !== 0 && (await works(["id", "-un"], []))))
    return { prefix: [], own: async () => {} };
  const { uid, gid } = await nobody();
  const namespace = ["unshare", "-U", `--map-user=${uid}`, `--map-group=${gid}`, "--"];
  const failures: string[] = [];
  if (await works([...namespace, program, "--version"], failures)) return { prefix: namespace, own: async () => {} };
  if (self !== 0) {
    throw new ProjectionError(
      "embedded",
      `PostgreSQL refuses to run as user ${self}, who has no name in /etc/passwd, and cannot be given one here: ` +
        `${failures.join("; ")}. Add a line for ${self} there, or run as a user who has a name`,
    );
  }
  const other = ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", "--"];
  if (await works([...other, program, "--version"], failures))
    return { prefix: other, own: (dir) => give(dir, uid, gid) };
  throw new ProjectionError(
    "embedded",
    `PostgreSQL refuses to run as root, and no way to run ${program} as another user works here: ` +
      `${failures.join("; ")}. Run as a plain user, or give a database's URL`,
  );
}

async function works(command: readonly string[], failures: string[]): Promise<boolean> {
  try {
    await execute(command[0]!, command.slice(1));
    return true;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    failures.push(`${command[0]}: ${(stderr || message).trim().split("\n").at(-1)}`);
    return false;
  }
}

/** initdb asks for the user's name: it must be one that exists. */
async function nobody(): Promise<{ uid: number; gid: number }> {
  const users = await readFile("/etc/passwd", "utf8").catch(() => "");
  const fields = /^nobody:[^:]*:(\d+):(\d+):/m.exec(users);
  return { uid: Number(fields?.[1] ?? 65534), gid: Number(fields?.[2] ?? 65534) };
}

async function give(dir: string, uid: number, gid: number): Promise<void> {
  await chown(dir, uid, gid);
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) await give(path, uid, gid);
    else await chown(path, uid, gid);
  }
  await execute("setpriv", [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", "--", "test", "-x", dir]).catch(
    () => {
      throw new ProjectionError(
        "embedded",
        `the user nobody (${uid}) cannot reach ${dir}: every folder above it must be open to all (chmod o+x ${dirname(dir)})`,
      );
    },
  );
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
