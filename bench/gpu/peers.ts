/** PyTorch on the same GPU, one process for the whole suite. */
import { type PeerProcess, startPeer } from "../peer.js";
import type { Peer } from "../row.js";

let started: Promise<PeerProcess | string> | undefined;

/** The peers of a job, as values that `value` makes of seconds; or why there are none. */
export async function peersFor(
  job: Readonly<Record<string, unknown>>,
  value: (seconds: number) => number,
): Promise<{ readonly peers: readonly Peer[]; readonly missing: readonly string[] }> {
  started ??= startPeer("gpu.py");
  const p = await started;
  if (typeof p === "string") return { peers: [], missing: [`PyTorch (${p})`] };
  const answer = (await p.ask(job)) as {
    readonly seconds: Readonly<Record<string, number>>;
    readonly failed: Readonly<Record<string, string>>;
  };
  return {
    peers: Object.entries(answer.seconds).map(([name, s]) => ({ name: `PyTorch ${name}`, value: value(s) })),
    missing: Object.entries(answer.failed).map(([name, why]) => `PyTorch ${name} (${why})`),
  };
}
/** Ends the peer. */
export async function closePeers(): Promise<void> {
  const p = await started;
  if (p && typeof p !== "string") p.close();
  started = undefined;
}
