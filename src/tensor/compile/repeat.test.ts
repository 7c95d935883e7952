import { beforeAll, expect, test } from "vitest";
import { useDevice } from "../../../test/support/devices.js";
import { ArgumentError } from "../../core/errors.js";
import { engineOf } from "../device.js";
import { compile, engineCounters, type Tensor, tensor, zeros } from "../index.js";
import { hostNumber } from "../record.js";

beforeAll(() => useDevice());

test("calls in a row are one request where nothing comes back", async () => {
  const state = zeros([2]).clone();
  const step = compile((x: Tensor): void => {
    state.copy_(state.mul(2).add(x));
  });
  const x = tensor([1, 3]);
  step.repeat(3, x);
  expect([...((await state.data()) as Float32Array)]).toEqual([7, 21]);
  const engine = engineOf(x.device);
  const [submissions, runs] = [engineCounters.submissions, engine.device!.counters.submissions];
  step.repeat(10, x);
  step.repeat(0, x);
  expect([...((await state.data()) as Float32Array)]).toEqual([8 * 1024 - 1, 3 * (8 * 1024 - 1)]);
  expect(engineCounters.submissions - submissions).toBe(10);
  expect(engine.device!.counters.submissions - runs).toBe(10);
  expect(step.traces).toBe(1);
  expect(() => step.repeat(-1, x)).toThrow(ArgumentError);
  expect(() => step.repeat(1.5, x)).toThrow(/1.5 times/);
});

test("a call that gives something back, or asks the host, is made again and again", async () => {
  let asked = 0;
  const state = zeros([1]).clone();
  const counting = compile((x: Tensor): void => {
    state.add_(x.mul(hostNumber(() => ++asked)));
  });
  const one = tensor([1]);
  counting.repeat(4, one);
  expect(await state.item()).toBe(1 + 2 + 3 + 4);
  const results: Tensor[] = [];
  const given = compile((x: Tensor): Tensor => {
    state.add_(x);
    return state.mul(2);
  });
  given.repeat(3, one);
  results.push(given(one));
  expect(await results[0]!.item()).toBe(28);
  const outer = compile((x: Tensor): Tensor => {
    counting.repeat(2, x);
    return state.mul(1);
  });
  expect(await outer(one).item()).toBe(14 + 5 + 6);
});
