/** What the page asks of the worker that computes, and what it hears. */

/** A device that this browser has. */
export interface DeviceChoice {
  readonly name: "wasm" | "webgpu";
  readonly label: string;
}
/** The devices, best first, and a sentence about them. */
export interface Devices {
  readonly choices: readonly DeviceChoice[];
  readonly note: string;
}
/** A model that is loaded. */
export interface ModelInfo {
  readonly name: string;
  readonly parameters: number;
  readonly device: string;
  /** Its kernels can be measured one by one. */
  readonly measurable: boolean;
  /** Memory that it takes there. */
  readonly bytes: number;
}
/** A model that was chosen once and lies in this browser. */
export interface KeptModel {
  readonly id: string;
  readonly name: string;
  readonly bytes: number;
}
export interface GenerateRequest {
  readonly prompt: string;
  readonly tokens: number;
  readonly temperature: number;
  readonly seed: number;
}
export interface Generated {
  readonly tokens: number;
  readonly tokensPerSecond: number;
  readonly stopped: boolean;
}
export interface TrainRequest {
  readonly device: string;
  readonly steps: number;
  /** Text to learn; default: the one that comes with the page. */
  readonly text?: File;
}
export interface Trained {
  readonly steps: number;
  readonly stopped: boolean;
  readonly model: ModelInfo;
}
export interface KernelTime {
  readonly label: string;
  /** Per token. */
  readonly microseconds: number;
  readonly gigabytesPerSecond: number;
}

/** Requests by name: what goes in, and what comes back. */
export interface Calls {
  devices: { readonly takes: undefined; readonly gives: Devices };
  loadDemo: { readonly takes: { readonly device: string }; readonly gives: ModelInfo };
  loadFiles: {
    /** The name is that of the folder, where it is known. */
    readonly takes: { readonly device: string; readonly files: readonly File[]; readonly name?: string };
    readonly gives: ModelInfo;
  };
  loadKept: { readonly takes: { readonly device: string; readonly id: string }; readonly gives: ModelInfo };
  /** What is loaded now: files that are refused at once leave it where it is. */
  loaded: { readonly takes: undefined; readonly gives: ModelInfo | undefined };
  kept: { readonly takes: undefined; readonly gives: readonly KeptModel[] };
  forget: { readonly takes: string; readonly gives: readonly KeptModel[] };
  generate: { readonly takes: GenerateRequest; readonly gives: Generated };
  train: { readonly takes: TrainRequest; readonly gives: Trained };
  save: { readonly takes: "pie" | "safetensors"; readonly gives: Blob };
  measure: { readonly takes: undefined; readonly gives: readonly KernelTime[] };
  /** Ends what runs. */
  stop: { readonly takes: undefined; readonly gives: undefined };
}
/** What is told while something runs. */
export interface Events {
  progress: { readonly done: number; readonly total: number };
  text: { readonly piece: string; readonly tokens: number; readonly tokensPerSecond: number; readonly bytes: number };
  /** Models that are kept, after one was added; a note where it could not be. */
  kept: { readonly models: readonly KeptModel[]; readonly note: string };
  loss: { readonly step: number; readonly loss: number; readonly tokensPerSecond: number };
}
export type Event = { readonly [K in keyof Events]: { readonly event: K } & Events[K] }[keyof Events];
export interface Request {
  readonly id: number;
  readonly call: keyof Calls;
  readonly argument: unknown;
}
/** An answer, an event, or that from now on the worker holds a lock of its own name until it ends, however it ends. */
export type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: string }
  | { readonly alive: string }
  | Event;
