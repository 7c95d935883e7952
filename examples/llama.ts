/** A language model from a local folder in the Hugging Face layout: `node --import tsx examples/llama.ts FOLDER [PROMPT]`. */
import { llm } from "treepie";

const [folder, prompt = "Once upon a time"] = process.argv.slice(2);
if (!folder) throw new Error("usage: llama.ts FOLDER [PROMPT]; the folder holds config.json, model.safetensors and tokenizer.json");

const model = await llm.loadModel(folder);
process.stdout.write(prompt);
for await (const piece of model.generate(prompt, { maxTokens: 120, temperature: 0.8, topP: 0.95, seed: 1 })) process.stdout.write(piece);
process.stdout.write("\n");
