/** What statements mean, as actions of a thread. */
import { computeDType } from "../../core/dtype.js";
import { type Axis, perWord, type Stmt } from "../kernel.js";
import { copyTile, signal } from "./background.js";
import type { Code } from "./code.js";
import { type Scalar, scalarFunction } from "./scalar.js";
import { type Action, alone, type Thread, together } from "./thread.js";
import { spill } from "./tiles.js";
import { unit } from "./units.js";
import { value } from "./values.js";

/** Statements one after another. */
export function block(code: Code, body: readonly Stmt[]): Action {
  const actions = body.map((s) => statement(code, s));
  if (actions.some((a) => a.meets))
    return together(function* (t) {
      for (const a of actions)
        if (a.meets) yield* a.run(t);
        else a.run(t);
    });
  const runs = actions.map((a) => a.run as (t: Thread) => void);
  return runs.length === 1
    ? alone(runs[0]!)
    : alone((t) => {
        for (const run of runs) run(t);
      });
}

function statement(code: Code, s: Stmt): Action {
  switch (s.kind) {
    case "for":
      return loop(code, s.axis, block(code, s.body));
    case "if":
      return either(code.test(s.test), block(code, s.body), block(code, s.else ?? []));
    case "when":
      return either(value(code, s.test), block(code, s.body), block(code, s.else ?? []));
    case "let": {
      const [slot, x] = [code.valueSlot(s.name), value(code, s.value)];
      return alone((t) => {
        t.values[slot] = x(t);
      });
    }
    case "letIndex": {
      const [slot, x, max] = [code.slot(s.name), value(code, s.value), code.index(s.max)];
      return alone((t) => {
        t.scope[slot] = Math.max(s.min, Math.min(max(t), Number(x(t))));
      });
    }
    case "store": {
      const [write, index, x] = [code.writer(s.buffer), code.index(s.index), value(code, s.value)];
      return alone((t) => write(t, index(t), x(t)));
    }
    case "atomic": {
      const dtype = computeDType(code.plan(s.buffer).dtype);
      const merge = scalarFunction(s.op, dtype, [dtype, dtype]);
      const [read, write, index, x] = [code.read(s), code.writer(s.buffer), code.index(s.index), value(code, s.value)];
      return alone((t) => write(t, index(t), merge(read(t), x(t), 0)));
    }
    case "combine":
      return combine(code, s);
    case "barrier": {
      const size = s.warp ? Math.min(32, code.kernel.threads) : code.kernel.threads;
      return together(function* () {
        yield { what: "barrier", size };
      });
    }
    case "copy": {
      const [from, source] = [code.buffer(s.from.buffer), code.index(s.from.index)];
      const [write, to] = [code.writer(s.to.buffer), code.index(s.to.index)];
      return alone((t) => {
        const [first, start] = [source(t), to(t)];
        for (let i = 0; i < s.count; i++) write(t, start + i, code.around(t, from, first + i)[first + i]!);
      });
    }
    case "turn":
      return turn(code, s);
    case "fill":
    case "fetch":
    case "mma":
      return unit(code, s);
    case "spill":
      return spill(code, s);
    case "copyTile":
      return copyTile(code, s);
    case "signal":
      return signal(code, s);
    case "issue":
      return block(code, s.body);
    case "prefetch":
    case "commit":
    case "wait":
    case "registers":
    case "dependency":
    case "settle":
      return alone(() => {});
    default:
      return s satisfies never;
  }
}

function loop(code: Code, axis: Axis, body: Action): Action {
  const [slot, size] = [code.slot(axis.name), code.index(axis.size)];
  if (body.meets)
    return together(function* (t) {
      const n = size(t);
      for (let i = 0; i < n; i++) {
        t.scope[slot] = i;
        yield* body.run(t);
      }
    });
  return alone((t) => {
    const n = size(t);
    for (let i = 0; i < n; i++) {
      t.scope[slot] = i;
      body.run(t);
    }
  });
}

function either(test: (t: Thread) => unknown, yes: Action, no: Action): Action {
  if (!yes.meets && !no.meets) return alone((t) => (test(t) ? yes : no).run(t));
  return together(function* (t) {
    const taken = test(t) ? yes : no;
    if (taken.meets) yield* taken.run(t);
    else taken.run(t);
  });
}

function combine(code: Code, s: Extract<Stmt, { kind: "combine" }>): Action {
  const { dtype } = s.value;
  const merge = scalarFunction(s.op, dtype, [dtype, dtype]);
  const all = (xs: readonly Scalar[]): Scalar => xs.reduce((a, b) => merge(a, b, 0));
  const [x, write, into] = [value(code, s.value), code.writer(s.into.buffer), code.index(s.into.index)];
  const values = s.axes.reduceRight<(t: Thread, found: Scalar[]) => void>(
    (inner, axis) => {
      const [slot, size] = [code.slot(axis.name), code.index(axis.size)];
      return (t, found) => {
        for (let i = 0; i < size(t); i++) {
          t.scope[slot] = i;
          inner(t, found);
        }
      };
    },
    (t, found) => found.push(x(t)),
  );
  const own = (t: Thread): Scalar => {
    const found: Scalar[] = [];
    values(t, found);
    return all(found);
  };
  if (s.threads === 1) return alone((t) => write(t, into(t), own(t)));
  return together(function* (t) {
    const brought = yield { what: "combine", size: s.threads, brings: [own(t)] };
    write(t, into(t), all(brought.map(([b]) => b!)));
  });
}

function turn(code: Code, s: Extract<Stmt, { kind: "turn" }>): Action {
  const [to, toStride] = [code.index(s.to.index), code.index(s.toStride)];
  const [from, fromStride] = [code.index(s.from.index), code.index(s.fromStride)];
  const [read, write] = [code.wordReader(s.from.buffer), code.wordWriter(s.to.buffer)];
  const [perTo, perFrom] = [perWord(code.plan(s.to.buffer).dtype), perWord(code.plan(s.from.buffer).dtype)];
  return alone((t) => {
    const [target, source, below, beside] = [to(t), from(t), toStride(t), fromStride(t)];
    for (let column = 0; column < 16; column++)
      for (let row = 0; row < 16; row++)
        write(t, target + column * below + row * perTo, row < s.rows ? read(t, source + row * beside + column * perFrom) : 0);
  });
}
