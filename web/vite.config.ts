/** Builds the page. TREEPIE_DIST names the package's built files, TREEPIE_DEMO the program file of the demo model. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";

const root = import.meta.dirname;
const dist = resolve(process.env["TREEPIE_DIST"] ?? resolve(root, "../dist"));
const demo = process.env["TREEPIE_DEMO"] ?? resolve(root, "../runs/demo/model.pie");

/** The files beside the page: the demo model, where there is one, and the text to learn. */
function assets(): Plugin {
  return {
    name: "treepie-assets",
    async generateBundle() {
      if (existsSync(demo)) this.emitFile({ type: "asset", fileName: "demo.pie", source: readFileSync(demo) });
      const { typescriptLibraryText } = (await import(resolve(dist, "train/corpus.js"))) as { typescriptLibraryText(): Uint8Array };
      this.emitFile({ type: "asset", fileName: "corpus.txt", source: typescriptLibraryText() });
    },
    // What a visit without a network needs, for `public/offline.js`.
    writeBundle({ dir }) {
      const parts = readdirSync(resolve(dir!, "assets")).map((file) => `assets/${file}`);
      writeFileSync(resolve(dir!, "parts.json"), JSON.stringify(parts));
    },
  };
}

const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
export default defineConfig({
  root,
  base: "./",
  plugins: [assets()],
  resolve: { alias: [{ find: /^#treepie\//, replacement: `${dist}/` }] },
  build: {
    target: "es2023",
    emptyOutDir: true,
    outDir: resolve(process.env["TREEPIE_WEB_OUT"] ?? resolve(root, "../build/web")),
    rolldownOptions: { external: ["webgpu"] },
  },
  worker: { format: "es", rolldownOptions: { external: ["webgpu"] } },
  preview: { headers, port: 4173 },
});
