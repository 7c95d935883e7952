/** `treepie generate --model FOLDER`: a language model in the Hugging Face layout continues a prompt. */
import "../index.js";
import { ArgumentError } from "../core/errors.js";
import { type GenerateOptions, type GenerationReport, loadModel, type ModelDType } from "../llm/index.js";
import { showBytes } from "../runtime/memory.js";
import { closeDevices, setThreads } from "../tensor/index.js";

export interface GenerateModelCommand {
  readonly model: string;
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly seed: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly dtype?: string;
  readonly maxLength?: number;
  readonly device?: string;
  readonly threads?: number;
  readonly json?: boolean;
}

const dtypes: readonly string[] = ["f32", "bf16", "f16"] satisfies ModelDType[];

/** Streams the text to standard output, and the rates of prefill and decoding to standard error. */
export async function generateModel(o: GenerateModelCommand): Promise<void> {
  const { dtype, device, maxLength } = o;
  if (dtype !== undefined && !dtypes.includes(dtype)) throw new ArgumentError(`--dtype ${dtype} is not one of ${dtypes.join(", ")}`);
  if (o.threads !== undefined) setThreads(o.threads);
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  const options: GenerateOptions = {
    temperature: o.temperature,
    seed: o.seed,
    ...(o.topK !== undefined && { topK: o.topK }),
    ...(o.topP !== undefined && { topP: o.topP }),
    ...(o.minP !== undefined && { minP: o.minP }),
    ...(o.repetitionPenalty !== undefined && { repetitionPenalty: o.repetitionPenalty }),
    signal: stop.signal,
  };
  try {
    const model = await loadModel(o.model, {
      ...(dtype !== undefined && { dtype: dtype as ModelDType }),
      ...(device !== undefined && { device }),
      ...(maxLength !== undefined && { maxLength }),
    });
    await model.warmUp(options);
    const ready = seconds();
    const pieces: string[] = [];
    const run = model.generate(o.prompt, { ...options, maxTokens: o.maxTokens });
    let report: GenerationReport | undefined;
    while (!report) {
      const next = await run.next();
      if (next.done) report = next.value;
      else if (o.json) pieces.push(next.value);
      else process.stdout.write(next.value);
    }
    const rates = {
      prefillTokensPerSecond: report.promptTokens / Math.max(report.prefillSeconds, 1e-9),
      decodeTokensPerSecond: Math.max(0, report.tokens - 1) / Math.max(report.decodeSeconds, 1e-9),
    };
    if (o.json) console.log(JSON.stringify({ text: pieces.join(""), ...report, ...rates, readySeconds: ready }));
    else {
      process.stdout.write("\n");
      process.stderr.write(
        `ready in ${ready.toFixed(1)} s (weights: ${showBytes(model.weights.mapped)} mapped, ${showBytes(model.weights.copied)} copied); prefill ${report.promptTokens} tokens, ${rates.prefillTokensPerSecond.toFixed(0)} tokens/s; ` +
          `decode ${report.tokens} tokens, ${rates.decodeTokensPerSecond.toFixed(1)} tokens/s\n`,
      );
    }
  } catch (error) {
    // Ctrl-C ends the text where it is.
    if (!stop.signal.aborted) throw error;
    process.stdout.write("\n");
  } finally {
    await closeDevices();
  }
}
