/** Where the words lie that threads share, in bytes from the control block's address: those that are written often in lines of their own. */
export const control = {
  /** 64 bits: a number for each region, and the tickets of it that nobody has taken. */
  left: 0,
  finished: 64,
  first: 128,
  tickets: 132,
  threads: 136,
  sleepers: 192,
  /** What sleeping threads wait for; thread 0 has its own. */
  bell: 196,
  call: 200,
  abort: 256,
  failed: 260,
  busy: 264,
  stop: 268,
  /** How often kernels were sent to the threads. */
  mail: 272,
  /** The program that thread 0 is to run, the last that it ran, what came of it, and where its table lies. */
  command: 320,
  completed: 324,
  result: 328,
  table: 332,
  end: 336,
  /** Addresses of the threads' scratch. */
  scratch: 384,
} as const;
/** Bytes of the block for so many threads. */
export const controlBytes = (threads: number): number => control.scratch + 4 * threads;
