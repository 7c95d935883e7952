// TensorFlow.js on its WebAssembly backend (with SIMD; it has no threads in Node).
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { serve, values } from "./serve.mjs";

await serve("tfjs-wasm", async () => {
  const require = createRequire(import.meta.url);
  const tf = require("@tensorflow/tfjs");
  const wasm = require("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist/"));
  if (!(await tf.setBackend("wasm"))) throw new Error("the wasm backend does not start");
  await tf.ready();
  const tensors = (inputs) => inputs.map((x) => tf.tensor(values(x), x.shape, "float32"));
  const pure = (f) => (spec, inputs) => {
    const args = tensors(inputs);
    const once = () => tf.tidy(() => f(args, spec));
    return {
      async values() {
        once().dispose();
        const y = once();
        const all = await y.data();
        y.dispose();
        return all;
      },
      // Kernels of this backend run when they are called.
      run(calls) {
        for (let i = 0; i < calls; i++) once().dispose();
      },
      close: () => tf.dispose(args),
    };
  };
  return {
    matmul: pure(([a, b]) => tf.matMul(a, b)),
    chain8: pure(([x]) => x.mul(1.25).add(0.75).relu().sub(0.375).mul(0.8).abs().add(x).mul(0.6).minimum(3.5)),
    softmax: pure(([x]) => tf.softmax(x, -1)),
    layernorm: pure(([x, w, b]) => {
      const { mean, variance } = tf.moments(x, -1, true);
      return x.sub(mean).mul(variance.add(1e-5).rsqrt()).mul(w).add(b);
    }),
    // One head at a time, with keys transposed apart: its fast product takes neither batches nor transposes.
    attention: pure(([q, k, v], { causal }) => {
      const [, heads, time, width] = q.shape;
      const at = tf.range(0, time);
      const mask = causal
        ? tf
            .greater(at.reshape([1, time]), at.reshape([time, 1]))
            .cast("float32")
            .mul(-1e9)
        : tf.scalar(0);
      const [qs, ks, vs] = [q, k, v].map((x) => tf.unstack(x.reshape([heads, time, width])));
      const head = (_, i) =>
        tf.matMul(
          tf.softmax(
            tf
              .matMul(qs[i], tf.transpose(ks[i]))
              .mul(1 / Math.sqrt(width))
              .add(mask),
            -1,
          ),
          vs[i],
        );
      return tf.stack(qs.map(head));
    }),
    "mlp-train"(spec, inputs) {
      const [x, y, ...weights] = tensors(inputs);
      const params = weights.map((w) => tf.variable(w));
      const [w1, b1, w2, b2, w3, b3] = params;
      const optimizer = tf.train.sgd(spec.lr);
      const loss = () => {
        let h = x.matMul(w1).add(b1).relu();
        h = h.matMul(w2).add(b2).relu();
        return tf.logSoftmax(h.matMul(w3).add(b3)).mul(y).sum(-1).mean().neg();
      };
      const once = () => optimizer.minimize(loss, true, params);
      return {
        async values() {
          const losses = [];
          for (let i = 0; i < 3; i++) {
            const l = once();
            losses.push((await l.data())[0]);
            l.dispose();
          }
          return Float32Array.from(losses);
        },
        async run(calls) {
          for (let i = 0; i < calls; i++) {
            const l = once();
            await l.data();
            l.dispose();
          }
        },
        close: () => tf.dispose([x, y, ...weights, ...params]),
      };
    },
  };
});
