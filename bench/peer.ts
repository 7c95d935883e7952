/** A Python peer as a child process: it prints one JSON line when ready, then one for each line it is sent. */
import { type ChildProcess, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

export interface PythonPeer {
  /** What the peer said when it was ready. */
  readonly hello: Readonly<Record<string, unknown>>;
  ask(request: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
  close(): void;
}

/** Starts `peers/SCRIPT` under $TREEPIE_PYTHON (default python3); a string is the reason why there is no such peer here. */
export async function startPeer(script: string, args: readonly string[] = []): Promise<PythonPeer | string> {
  const python = process.env.TREEPIE_PYTHON ?? "python3";
  const child: ChildProcess = spawn(python, [join(here, "peers", script), ...args], { stdio: ["pipe", "pipe", "pipe"] });
  let stderr = "";
  child.stderr!.on("data", (d) => (stderr = (stderr + d).slice(-2000)));
  const gone = new Promise<undefined>((resolve) => {
    child.once("error", () => resolve(undefined));
    child.once("exit", () => resolve(undefined));
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const next = async (): Promise<Record<string, unknown> | undefined> => {
    const line = await Promise.race([lines.next(), gone.then(() => new Promise<undefined>((r) => setTimeout(r, 100, undefined)))]);
    return line && !line.done ? (JSON.parse(line.value) as Record<string, unknown>) : undefined;
  };
  const hello = await next();
  if (!hello) return `${python} ${script}: ${stderr.trim().split("\n").at(-1) || "did not start"}`;
  if (typeof hello.missing === "string") {
    child.kill();
    return hello.missing;
  }
  return {
    hello,
    async ask(request) {
      child.stdin!.write(`${JSON.stringify(request)}\n`);
      const answer = await next();
      if (!answer) throw new Error(`${script} stopped: ${stderr.trim()}`);
      return answer;
    },
    close: () => void child.kill(),
  };
}
