/**
 * The device's half in WebAssembly: the loop that walks a program's steps, and the wait for work. One module for every thread.
 *
 * A program is a table of 32-bit words, one record per launch: [words, place of the kernel, grid, beside, arguments...]. Launches marked
 * `beside` run side by side with those before them: together they are one region. A region's points are handed out as tickets, runs of
 * points of about equal number in each launch. Each thread takes a share of the tickets that are left, never less than one, so tails
 * balance. A thread that sleeps, or has not started yet, takes nothing and is not waited for.
 */
import { access, branch, type Code, choose, drop, giveBack, i32, i64, op, repeat, select } from "./asm/code.js";
import { type Func, Module } from "./asm/module.js";
import { control } from "./control.js";

const add = (a: Code, b: Code): Code => op("i32.add", a, b);
const load = (base: Code, offset: number): Code => access("i32.atomic.load", offset, base);
const store = (base: Code, offset: number, value: Code): Code => access("i32.atomic.store", offset, base, value);
const word = (base: Code, at: number): Code => access("i32.load", 4 * at, base);
const wide = (x: Code): Code => op("i64.extend_i32_u", x);
const low = (x: Code): Code => op("i32.wrap_i64", x);
const kernel = { takes: ["i32", "i32", "i32", "i32"], gives: undefined } as const;
const header = 16;
/** Rounds of a wait before a thread sleeps: while a program runs, and between programs; and before thread 0 lets others have its processor. */
const rounds = { busy: 40_000, idle: 10_000, leading: 20_000 } as const;
/** Nanoseconds of such a pause. */
const pause = 50_000;

let made: Uint8Array | undefined;
/** The module: `run(control, table, end)` and `serve(control, thread, version)`. */
export function driver(): Uint8Array {
  if (made) return made;
  const module = new Module();
  module.add("run", { takes: ["i32", "i32", "i32"], gives: "i32" }, run);
  module.add("serve", { takes: ["i32", "i32", "i32"], gives: "i32" }, serve);
  made = module.encode();
  return made;
}

/** Runs statements as long as the condition holds. */
const loop = (test: Code, body: readonly Code[]): Code => branch(test, [repeat(body, test)]);
const least = (f: Func, a: Code, b: Code): Code => {
  const [x, y] = [f.keep(a), f.keep(b)];
  return select(op("i32.lt_u", x, y), x, y);
};
/** Tickets of a record. */
const ticketsOf = (f: Func, block: Code, record: Code): Code =>
  least(f, word(record, 2), op("i32.shl", word(block, control.threads / 4), i32(6)));

/** 0: done; 1: aborted; 2: a thread failed. */
function run(f: Func): Code {
  const [block, end] = [f.read(0), f.read(2)];
  const [step, next, tickets, sequence] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i64")];
  const aborted = op("i32.ne", load(block, control.abort), i32(0));
  const failed = op("i32.ne", load(block, control.failed), i32(0));
  f.push(store(block, control.busy, i32(1)));
  f.write(step, f.read(1));
  const leave = (result: number): Code[] => [store(block, control.busy, i32(0)), giveBack(i32(result))];
  const body = f.aside(() => {
    f.push(branch(aborted, leave(1)));
    f.write(next, f.read(step));
    f.write(tickets, i32(0));
    const count = f.aside(() => {
      f.write(tickets, add(f.read(tickets), ticketsOf(f, block, f.read(next))));
      f.write(next, add(f.read(next), op("i32.shl", word(f.read(next), 0), i32(2))));
    });
    const beside = choose(op("i32.lt_u", f.read(next), end), [word(f.read(next), 3)], [i32(0)]);
    f.push(repeat(count, beside));
    const alone = f.aside(() => {
      const grid = f.keep(word(f.read(step), 2));
      const [at, by] = [f.temp("i32"), f.temp("i32")];
      f.write(at, i32(0));
      f.write(by, select(op("i32.gt_u", grid, i32(16)), op("i32.div_u", grid, i32(16)), i32(1)));
      const part = f.aside(() => {
        const to = f.keep(least(f, add(f.read(at), f.read(by)), grid));
        f.push(
          f.module.callTable(word(f.read(step), 1), kernel, [
            add(f.read(step), i32(header)),
            f.read(at),
            to,
            word(block, control.scratch / 4),
          ]),
        );
        f.write(at, to);
      });
      f.push(loop(op("i32.lt_u", f.read(at), grid), [...part, branch(aborted, leave(1))]));
      f.write(step, add(f.read(step), op("i32.shl", word(f.read(step), 0), i32(2))));
    });
    const together = f.aside(() => {
      f.push(access("i32.store", control.first, block, f.read(step)), access("i32.store", control.tickets, block, f.read(tickets)));
      f.push(store(block, control.finished, i32(0)));
      f.write(sequence, op("i64.add", op("i64.shr_u", access("i64.atomic.load", control.left, block), i64(32)), i64(1)));
      f.push(
        access("i64.atomic.store", control.left, block, op("i64.or", op("i64.shl", f.read(sequence), i64(32)), wide(f.read(tickets)))),
      );
      f.push(branch(load(block, control.sleepers), [ring(f, block)]));
      f.push(take(f, block, i32(0), i32(-1)));
      const [done, round] = [f.local("i32"), f.local("i32")];
      const look = f.aside(() => f.write(done, load(block, control.finished)));
      f.write(round, i32(0));
      const rest = f.aside(() => {
        f.push(branch(failed, leave(2)));
        f.write(round, add(f.read(round), i32(1)));
        const others = f.aside(() => {
          f.push(drop(access("memory.atomic.wait32", control.finished, block, f.read(done), i64(pause))));
          f.write(round, i32(0));
        });
        f.push(branch(op("i32.gt_u", f.read(round), i32(rounds.leading)), others), ...look);
      });
      f.push(...look, loop(op("i32.ne", f.read(done), f.read(tickets)), rest));
      f.write(step, f.read(next));
    });
    const single = op("i32.or", op("i32.eq", f.read(tickets), i32(1)), op("i32.eq", word(block, control.threads / 4), i32(1)));
    f.push(branch(single, [loop(op("i32.lt_u", f.read(step), f.read(next)), alone)], together));
  });
  f.push(loop(op("i32.lt_u", f.read(step), end), body));
  f.push(store(block, control.busy, i32(0)));
  return select(failed, i32(2), op("i32.ne", load(block, control.abort), i32(0)));
}

/** Wakes everybody who sleeps. */
function ring(f: Func, block: Code): Code {
  return f.module.call("ring", { takes: ["i32"], gives: undefined }, [block], (g) => {
    const b = g.read(0);
    g.push(drop(access("i32.atomic.rmw.add", control.bell, b, i32(1))));
    g.push(drop(access("memory.atomic.notify", control.bell, b, i32(-1))));
    return undefined;
  });
}

/**
 * Takes tickets until none are left. Thread 0 also looks at the abort flag, and then takes the rest and drops it. A thread that has not
 * loaded all kernels (its version is behind) takes nothing: the number above the tickets says that no other region came in between.
 */
function take(f: Func, block: Code, thread: Code, version: Code): Code {
  return f.module.call("take", { takes: ["i32", "i32", "i32"], gives: undefined }, [block, thread, version], (g) => {
    const [b, self] = [g.read(0), g.read(1)];
    const [state, seen, left, n] = [g.local("i64"), g.local("i64"), g.local("i32"), g.local("i32")];
    const [step, at, of, some] = [g.local("i32"), g.local("i32"), g.local("i32"), g.local("i32")];
    const dropped = g.local("i32");
    const behind = op("i32.and", op("i32.ne", self, i32(0)), op("i32.gt_s", load(b, control.mail), g.read(2)));
    g.write(seen, access("i64.atomic.load", control.left, b));
    const body = g.aside(() => {
      g.write(state, g.read(seen));
      g.write(left, low(g.read(state)));
      g.push(branch(op("i32.eqz", g.read(left)), [giveBack()]), branch(behind, [giveBack()]));
      g.write(dropped, op("i32.and", op("i32.eqz", self), op("i32.ne", load(b, control.abort), i32(0))));
      const share = g.keep(op("i32.div_u", g.read(left), op("i32.shl", word(b, control.threads / 4), i32(3))));
      g.write(n, select(g.read(dropped), g.read(left), select(share, share, i32(1))));
      g.write(seen, access("i64.atomic.rmw.cmpxchg", control.left, b, g.read(state), op("i64.sub", g.read(state), wide(g.read(n)))));
      const mine = g.aside(() => {
        g.write(step, word(b, control.first / 4));
        g.write(at, op("i32.sub", word(b, control.tickets / 4), g.read(left)));
        g.write(of, ticketsOf(g, b, g.read(step)));
        const todo = g.temp("i32");
        g.write(todo, g.read(n));
        const skip = g.aside(() => {
          g.write(at, op("i32.sub", g.read(at), g.read(of)));
          g.write(step, add(g.read(step), op("i32.shl", word(g.read(step), 0), i32(2))));
          g.write(of, ticketsOf(g, b, g.read(step)));
        });
        const points = (t: Code): Code => low(op("i64.div_u", op("i64.mul", wide(t), wide(word(g.read(step), 2))), wide(g.read(of))));
        const part = g.aside(() => {
          g.push(loop(op("i32.ge_u", g.read(at), g.read(of)), skip));
          g.write(some, least(g, op("i32.sub", g.read(of), g.read(at)), g.read(todo)));
          const scratch = word(add(b, op("i32.shl", self, i32(2))), control.scratch / 4);
          const args = [add(g.read(step), i32(header)), points(g.read(at)), points(add(g.read(at), g.read(some))), scratch];
          g.push(g.module.callTable(word(g.read(step), 1), kernel, args));
          g.write(at, add(g.read(at), g.read(some)));
          g.write(todo, op("i32.sub", g.read(todo), g.read(some)));
        });
        g.push(branch(g.read(dropped), [], [repeat(part, op("i32.ne", g.read(todo), i32(0)))]));
        g.push(drop(access("i32.atomic.rmw.add", control.finished, b, g.read(n))));
        g.write(seen, access("i64.atomic.load", control.left, b));
      });
      g.push(branch(op("i64.eq", g.read(seen), g.read(state)), mine));
    });
    g.push(repeat(body, i32(1)));
    return undefined;
  });
}

/**
 * Waits for work. Returns why it stopped: 1 there is mail, 2 the device closes, 3 a program is to be run. Thread 0 runs programs and
 * sleeps by a bell of its own; the others take tickets.
 */
function serve(f: Func): Code {
  const [block, self, version] = [f.read(0), f.read(1), f.read(2)];
  const [round, heard, found] = [f.local("i32"), f.local("i32"), f.local("i32")];
  const helps = op("i32.ne", self, i32(0));
  const closing = load(block, control.stop);
  const mail = op("i32.gt_s", load(block, control.mail), version);
  const asked = op("i32.ne", load(block, control.command), load(block, control.completed));
  const work = choose(self, [op("i64.ne", op("i64.shl", access("i64.atomic.load", control.left, block), i64(32)), i64(0))], [asked]);
  const bell = f.keep(add(block, select(self, i32(control.bell), i32(control.call))));
  const count = (by: number): Code => drop(access("i32.atomic.rmw.add", control.sleepers, block, select(self, i32(by), i32(0))));
  const sleep = f.aside(() => {
    f.write(heard, load(bell, 0));
    f.push(count(1));
    // Whoever rings after this point changes the bell; whoever came before is seen now.
    const quiet = op("i32.eqz", op("i32.or", op("i32.or", op("i32.ne", closing, i32(0)), mail), work));
    f.push(branch(quiet, [drop(access("memory.atomic.wait32", 0, bell, f.read(heard), i64(-1)))]));
    f.push(count(-1));
    f.write(round, i32(0));
  });
  const body = f.aside(() => {
    // Work is looked for before mail: what was sent before the work began is then seen.
    f.write(found, work);
    f.push(branch(closing, [giveBack(i32(2))]), branch(mail, [giveBack(i32(1))]));
    f.push(
      branch(f.read(found), [branch(helps, [take(f, block, self, version)], [giveBack(i32(3))]), ...f.aside(() => f.write(round, i32(0)))]),
    );
    f.write(round, add(f.read(round), i32(1)));
    const long = select(op("i32.and", helps, load(block, control.busy)), i32(rounds.busy), i32(rounds.idle));
    f.push(branch(op("i32.gt_u", f.read(round), long), sleep));
  });
  f.push(repeat(body, i32(1)));
  return i32(0);
}
