// jax-js on its WebAssembly backend, or (`jax-js.mjs webgpu`) on Dawn's WebGPU. Every use of an array takes a reference (`ref`), as its ownership rules want.
import { serve, values } from "./serve.mjs";

await serve("jax-js", async () => {
  const { init, defaultDevice, jit, nn, numpy: np, valueAndGrad } = await import("@jax-js/jax");
  const backend = process.argv[2] ?? "wasm";
  if (backend === "webgpu" && !globalThis.navigator?.gpu) {
    const { create, globals } = await import("webgpu");
    Object.assign(globalThis, globals);
    Object.defineProperty(globalThis, "navigator", {
      value: { gpu: create([]), userAgent: "Node", hardwareConcurrency: 1 },
      configurable: true,
    });
  }
  const devices = await init(backend);
  if (!devices.includes(backend)) throw new Error(`the ${backend} backend does not start`);
  defaultDevice(backend);
  const arrays = (inputs) => inputs.map((x) => np.array(values(x), { shape: x.shape }));
  const pure = (f) => (spec, inputs) => {
    const args = arrays(inputs);
    const g = jit((...xs) => f(xs, spec));
    const once = async () => {
      const y = g(...args.map((a) => a.ref));
      await y.blockUntilReady();
      return y;
    };
    return {
      async values() {
        (await once()).dispose();
        return (await once()).data();
      },
      async run(calls) {
        for (let i = 0; i < calls; i++) (await once()).dispose();
      },
      close() {
        for (const a of args) a.dispose();
      },
    };
  };
  return {
    matmul: pure(([a, b]) => np.matmul(a, b)),
    chain8: pure(([x]) =>
      np.minimum(
        np
          .abs(nn.relu(x.ref.mul(1.25).add(0.75)).sub(0.375).mul(0.8))
          .add(x)
          .mul(0.6),
        3.5,
      ),
    ),
    softmax: pure(([x]) => nn.softmax(x, -1)),
    layernorm: pure(([x, w, b]) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(w).add(b)),
    // Its dotProductAttention needs iterator helpers, which Node 20 does not have.
    attention: pure(([q, k, v], { causal }) => {
      const [time, width] = q.shape.slice(2);
      let scores = np.matmul(q, np.transpose(k, [0, 1, 3, 2])).mul(1 / Math.sqrt(width));
      if (causal) scores = np.where(np.tri(time, time).greater(0.5).reshape([1, 1, time, time]), scores, -1e9);
      return np.matmul(nn.softmax(scores, -1), v);
    }),
    "mlp-train"(spec, inputs) {
      const [x, y, ...weights] = arrays(inputs);
      let params = weights;
      const loss = ([w1, b1, w2, b2, w3, b3], x, y) => {
        let h = nn.relu(np.matmul(x, w1).add(b1));
        h = nn.relu(np.matmul(h, w2).add(b2));
        return np.mean(np.sum(nn.logSoftmax(np.matmul(h, w3).add(b3), -1).mul(y), -1)).mul(-1);
      };
      const step = jit((params, x, y) => {
        const [l, grads] = valueAndGrad(loss)(
          params.map((p) => p.ref),
          x,
          y,
        );
        return [l, params.map((p, i) => p.sub(grads[i].mul(spec.lr)))];
      });
      const once = async () => {
        const [l, next] = step(params, x.ref, y.ref);
        params = next;
        return (await l.data())[0];
      };
      return {
        async values() {
          return Float32Array.from([await once(), await once(), await once()]);
        },
        async run(calls) {
          for (let i = 0; i < calls; i++) await once();
        },
        close() {
          for (const a of [x, y, ...params]) a.dispose();
        },
      };
    },
  };
});
