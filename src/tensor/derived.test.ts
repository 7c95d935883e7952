/** Copies of parameters that compiled steps keep: never those of another value, whoever wrote the parameter. */
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { useDevice } from "../../test/support/devices.js";
import { OutOfMemoryError } from "../core/errors.js";
import { exportContents } from "../export.js";
import * as nn from "../nn/index.js";
import { AdamW, SGD } from "../optim/index.js";
import { derivedFrom } from "./derived.js";
import { engineOf } from "./device.js";
import { autocast, compile, currentDevice, engineCounters, F, manualSeed, memory, noGrad, randn, ready, type Tensor } from "./index.js";

beforeAll(async () => {
  useDevice();
  await ready();
});
beforeEach(() => void vi.restoreAllMocks());

/** Large enough that a copy is worth keeping. */
const width = 128;
class Net extends nn.Module {
  a = new nn.Linear(width, width);
  b = new nn.Linear(width, width, { bias: false });
  override forward(x: Tensor): Tensor {
    return this.b.forward(this.a.forward(x).tanh());
  }
}
interface Job {
  readonly net: Net;
  readonly x: Tensor;
  readonly loss: () => Tensor;
  readonly step: () => Tensor;
  readonly optimizer: AdamW;
}
async function job(): Promise<Job> {
  manualSeed(7);
  const net = new Net();
  const x = randn([4, width]);
  await x.data();
  const optimizer = new AdamW(net.parameters(), { lr: 0.01 });
  const loss = (): Tensor =>
    autocast("bf16", () => net.forward(x))
      .to("f32")
      .square()
      .mean();
  const step = (): Tensor => {
    const l = loss();
    optimizer.zeroGrad();
    l.backward();
    optimizer.step();
    return l.detach();
  };
  return { net, x, loss, step, optimizer };
}
const copiesOf = (net: Net): ReturnType<typeof derivedFrom> => net.parameters().flatMap((p) => derivedFrom(p.cell));
/** Every copy that says that it is one is one. */
async function check(net: Net): Promise<number> {
  let current = 0;
  for (const p of net.parameters())
    for (const d of derivedFrom(p.cell)) {
      if (!d.current) continue;
      current++;
      expect(await engineOf(p.cell.device).read(d.current)).toEqual(await noGrad(() => p.to(d.dtype)).bytes());
    }
  return current;
}
/** A step's loss is that of the parameters as they are, and the copies go on with them. */
async function steps({ net, loss }: Job, step: () => Tensor): Promise<void> {
  const want = await noGrad(loss).item();
  const got = await step().item();
  expect(Math.abs(got - want)).toBeLessThan(2e-3 * want);
  expect(await check(net)).toBe(2);
}

describe("copies of parameters", () => {
  test("are written by the step that updates them: one program makes them, and no more", async () => {
    const j = await job();
    const step = compile(j.step);
    await step().item();
    const before = engineCounters.submissions;
    const { compiles } = engineCounters;
    for (let i = 0; i < 5; i++) await step().item();
    expect(engineCounters.submissions - before).toBe(5);
    expect(engineCounters.compiles).toBe(compiles);
    expect(await check(j.net)).toBe(2);
    await steps(j, step);
    expect(step.explain()).toContain(`2 copies of updated state in bf16, ${2 * 2 * width * width} bytes`);
    expect(copiesOf(j.net).map((d) => [d.cell.type.shape, d.dtype])).toEqual([
      [[width, width], "bf16"],
      [[width, width], "bf16"],
    ]);
  });

  const foreign = compile((p: Tensor) => p.mul(-1));
  const writes: Record<string, (j: Job) => void | Promise<void>> = {
    "in place": ({ net }) => noGrad(() => void net.a.weight.mul_(-1.5)),
    "through a view": ({ net }) => noGrad(() => void net.b.weight.at([0, 64]).fill_(0.5)),
    "by setAt": ({ net }) => noGrad(() => void net.b.weight.setAt([":", [0, 64]], -0.5)),
    "by a copy from elsewhere": ({ net }) => noGrad(() => void net.a.weight.copy_(net.b.weight)),
    "by loadStateDict": async ({ net }) => {
      manualSeed(99);
      net.loadStateDict(new Net().stateDict());
    },
    "by a compiled function that changes it": ({ net }) => {
      compile(() => {
        noGrad(() => void net.a.weight.neg_());
      })();
    },
    "by a compiled function whose argument it is": ({ net }) => {
      compile((p: Tensor) => {
        noGrad(() => void p.neg_());
      })(net.a.weight.detach());
    },
    "with another function's result": ({ net }) => noGrad(() => void net.a.weight.copy_(foreign(net.a.weight.detach()))),
    "by a step that is not compiled": async (j) => {
      await j.step().item();
    },
    "by another optimizer's compiled step": async ({ net, loss }) => {
      const other = new SGD([net.b.weight], { lr: 5 });
      await compile(() => {
        const l = loss();
        other.zeroGrad();
        l.backward();
        other.step();
        return l.detach();
      })().item();
    },
    "by nobody, after it was read": async ({ net }) => {
      await net.a.weight.data();
    },
    "while a reader of the old value waits": ({ net }) => {
      const reader = net.a.weight.add(1);
      noGrad(() => void net.a.weight.mul_(2));
      void reader;
    },
  };
  test.each(Object.entries(writes))("after a write %s", async (_name, write) => {
    const j = await job();
    const step = compile(j.step);
    await steps(j, step);
    await steps(j, step);
    await write(j);
    await steps(j, step);
    await write(j);
    await steps(j, step);
    await steps(j, step);
  });
  test("after the model was on another device, and came back", async () => {
    const j = await job();
    const home = j.x.device;
    await steps(j, compile(j.step));
    j.net.to(home === "interp" ? "js" : "interp");
    noGrad(() => void j.net.a.weight.mul_(0.5));
    await j.net.a.weight.data();
    expect(copiesOf(j.net)).toEqual([]);
    j.net.to(home);
    j.optimizer.state.clear();
    const step = compile(j.step);
    await steps(j, step);
    await steps(j, step);
  });
  test("without anything awaited in between", async () => {
    const [a, b] = [await job(), await job()];
    const step = compile(a.step);
    for (const [j, s] of [
      [a, step],
      [b, b.step],
    ] as const)
      for (let i = 0; i < 4; i++) {
        s();
        noGrad(() => void j.net.a.weight.mul_(0.5));
        s();
        if (i % 2) noGrad(() => void j.net.b.weight.add_(0.125));
      }
    expect(await step().item()).toBeCloseTo(await b.step().item(), 3);
    expect(await check(a.net)).toBe(2);
  });
});

describe("programs that share parameters", () => {
  test("two steps that keep copies have the same ones", async () => {
    const j = await job();
    const [one, two] = [compile(j.step), compile(j.step)];
    for (let i = 0; i < 3; i++) {
      await steps(j, one);
      await steps(j, two);
    }
    const before = engineCounters.submissions;
    await one().item();
    await two().item();
    expect(engineCounters.submissions - before).toBe(2);
    expect(copiesOf(j.net).length).toBe(2);
  });
  test("gradients accumulate in one program, and another one takes the step", async () => {
    const run = async (wrap: <T extends () => Tensor>(f: T) => T): Promise<{ end: number; j: Job }> => {
      const j = await job();
      const gather = wrap(() => {
        const l = j.loss();
        l.backward();
        return l.detach();
      });
      const last = wrap(() => {
        const l = j.loss();
        l.backward();
        j.optimizer.step();
        j.optimizer.zeroGrad();
        return l.detach();
      });
      let end = 0;
      for (let i = 0; i < 3; i++) {
        await gather().item();
        end = await last().item();
      }
      return { end: (await gather().item()) + end, j };
    };
    const [plain, compiled] = [await run((f) => f), await run((f) => compile(f) as never)];
    expect(compiled.end).toBeCloseTo(plain.end, 3);
    expect(await check(compiled.j.net)).toBe(2);
  });
  test("a function that only reads parameters keeps nothing", async () => {
    const j = await job();
    const f = compile(() => noGrad(j.loss));
    await f().item();
    expect(copiesOf(j.net)).toEqual([]);
  });
});

describe("steps that fail", () => {
  const device = () => engineOf(currentDevice()).device!;
  const refuse = (): void =>
    void vi.spyOn(device(), "submit").mockImplementation(() => Promise.reject(new OutOfMemoryError("no memory for temporaries")));
  test("a step that could not run leaves parameters and copies as they were", async () => {
    const j = await job();
    const step = compile(j.step);
    await steps(j, step);
    const before = await j.net.a.weight.data();
    refuse();
    await expect(step().item()).rejects.toThrow(OutOfMemoryError);
    await expect(step().item()).rejects.toThrow(OutOfMemoryError);
    vi.restoreAllMocks();
    expect(await j.net.a.weight.data()).toEqual(before);
    await steps(j, step);
    await steps(j, step);
  });
  test("copies that could not be made are made by the next step that can", async () => {
    const j = await job();
    await j.step().item();
    // Gradients are no state here: copies are all that the first call has to make.
    const step = compile(() => {
      const l = j.step();
      j.optimizer.zeroGrad();
      return l;
    });
    for (const first of [true, false]) {
      refuse();
      await expect(step().item()).rejects.toThrow(OutOfMemoryError);
      vi.restoreAllMocks();
      await steps(j, step);
      if (first) noGrad(() => void j.net.a.weight.mul_(0.5));
      await j.net.a.weight.data();
    }
    await steps(j, step);
  });
  test("memory for copies that is refused for good leaves the parameters whole", async () => {
    const j = await job();
    const step = compile(j.step);
    await step().item();
    noGrad(() => void j.net.a.weight.mul_(0.5));
    const before = await j.net.a.weight.data();
    const alloc = device().alloc.bind(device());
    vi.spyOn(device(), "alloc").mockImplementation((n) => {
      if (n < width * width * 2) return alloc(n);
      throw new OutOfMemoryError(`${n} bytes were asked for`);
    });
    await expect(step().item()).rejects.toThrow(OutOfMemoryError);
    vi.restoreAllMocks();
    expect(await j.net.a.weight.data()).toEqual(before);
    await steps(j, step);
  });
  test("a step that was lost takes its state with it; parameters that are loaded again go on", async () => {
    const j = await job();
    const step = compile(j.step);
    await step().item();
    const saved = Object.fromEntries(
      await Promise.all(Object.entries(j.net.stateDict()).map(async ([k, t]) => [k, await kept(t.clone())] as const)),
    );
    vi.spyOn(device(), "submit").mockImplementation(() => Promise.reject(new Error("lost")));
    await expect(step().item()).rejects.toThrow("lost");
    vi.restoreAllMocks();
    j.net.loadStateDict(saved);
    const again = new AdamW(j.net.parameters(), { lr: 0.01 });
    const next = compile(() => {
      const l = j.loss();
      again.zeroGrad();
      l.backward();
      again.step();
      return l.detach();
    });
    await steps(j, next);
    await steps(j, next);
  });
});
async function kept(t: Tensor): Promise<Tensor> {
  await t.data();
  return t;
}

describe("what holds copies", () => {
  test("the memory report names them, state dicts do not have them, and disposing a parameter frees them", async () => {
    const j = await job();
    const step = compile(j.step);
    await step().item();
    const { values } = memory.report().devices.find((d) => d.device === j.x.device)!;
    const held = values.filter((v) => v.holders.includes("bf16 of Linear.weight"));
    expect(held.filter((v) => v.bytes === width * width * 2).length).toBeGreaterThanOrEqual(2);
    expect(Object.keys(j.net.stateDict())).toEqual(["a.weight", "a.bias", "b.weight"]);
    for (const t of Object.values(j.net.stateDict())) expect(t.dtype).toBe("f32");
  });
  test("disposing a parameter frees its copy", async () => {
    const w = randn([width, width]);
    const step = compile((x: Tensor) => {
      w.sub_(
        autocast("bf16", () => F.linear(x, w))
          .to("f32")
          .mean()
          .mul(0.01),
      );
    });
    const x = randn([4, width]);
    step(x);
    await w.data();
    const [copy] = derivedFrom(w.cell);
    expect(copy!.current).toBeDefined();
    w.dispose();
    expect(copy!.storage).toBeUndefined();
    expect(() => step(x)).toThrow(/disposed/);
  });
  test("training goes on bit for bit from a checkpoint", async () => {
    const j = await job();
    const step = compile(j.step);
    for (let i = 0; i < 3; i++) await step().item();
    const [model, state] = [j.net.stateDict(), j.optimizer.stateDict()];
    const saved = Object.fromEntries(await Promise.all(Object.entries(model).map(async ([k, t]) => [k, await kept(t.clone())] as const)));
    const want: number[] = [];
    for (let i = 0; i < 3; i++) want.push(await step().item());
    const again = await job();
    const next = compile(again.step);
    await next().item();
    again.net.loadStateDict(saved);
    again.optimizer.loadStateDict(state);
    const restored = compile(again.step);
    const got: number[] = [];
    for (let i = 0; i < 3; i++) got.push(await restored().item());
    expect(got).toEqual(want);
  });
  test("an exported step has the user's state alone", async () => {
    const w = randn([width, width]);
    await w.data();
    const step = (x: Tensor): Tensor => {
      const y = autocast("bf16", () => F.linear(x, w)).to("f32");
      w.sub_(y.mT.matmul(x).mul(0.01));
      return y;
    };
    const compiled = compile(step);
    await compiled(randn([4, width])).data();
    expect(derivedFrom(w.cell).length).toBe(1);
    const { methods, state } = await exportContents({ step: { fn: step, inputs: { x: randn([4, width]) } } }, { state: { w } });
    expect([...state.keys()]).toEqual(["w"]);
    expect(methods[0]!.state).toEqual(["w"]);
  });
});
