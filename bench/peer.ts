/** Peers as child processes: one prints a JSON line when it is ready, then one for each line it is sent. */
import { type ChildProcess, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** bench/peers/ of the clone: this file runs from dist/bench/. */
export const peersFolder: string = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "bench", "peers");

export interface PeerProcess {
  /** What the peer said when it was ready. */
  readonly hello: Readonly<Record<string, unknown>>;
  /** Sends a request and gives the answer. An answer with `error` is thrown. */
  ask(request: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
  close(): void;
}

/** Starts `peers/SCRIPT` under $TREEPIE_PYTHON (default python3); a string is the reason why there is no such peer here. */
export const startPeer = (
  script: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<PeerProcess | string> => startProcess([process.env.TREEPIE_PYTHON ?? "python3", join(peersFolder, script), ...args], env);

/** Starts `peers/js/SCRIPT`, whose packages are installed apart: `npm ci --ignore-scripts` in bench/peers/js. */
export const startScript = (script: string, args: readonly string[] = []): Promise<PeerProcess | string> =>
  startProcess([process.execPath, join(peersFolder, "js", script), ...args]);

/** Starts what speaks as peers do. */
export async function startProcess(
  [file, script, ...args]: readonly [string, string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): Promise<PeerProcess | string> {
  const child: ChildProcess = spawn(file, [script, ...args], { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } });
  let stderr = "";
  child.stderr!.on("data", (d) => (stderr = (stderr + d).slice(-2000)));
  const gone = new Promise<undefined>((resolve) => {
    child.once("error", (error) => {
      stderr += error.message;
      resolve(undefined);
    });
    child.once("exit", () => resolve(undefined));
  });
  child.stdin!.on("error", () => {});
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const next = async (): Promise<Record<string, unknown> | undefined> => {
    const line = await Promise.race([lines.next(), gone.then(() => new Promise<undefined>((r) => setTimeout(r, 100, undefined)))]);
    return line && !line.done ? (JSON.parse(line.value) as Record<string, unknown>) : undefined;
  };
  const hello = await next();
  if (!hello) return `${file} ${script}: ${stderr.trim().split("\n").at(-1) || "did not start"}`;
  if (typeof hello["missing"] === "string") {
    child.kill();
    return hello["missing"];
  }
  return {
    hello,
    async ask(request) {
      child.stdin!.write(`${JSON.stringify(request)}\n`);
      const answer = await next();
      if (!answer) throw new Error(`${script} stopped: ${stderr.trim()}`);
      if (typeof answer["error"] === "string") throw new Error(answer["error"]);
      return answer;
    },
    close: () => void child.kill(),
  };
}
