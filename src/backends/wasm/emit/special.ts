/** erf, erfc and lgamma in f64, of the engine's exp and log. */
import { branch, type Code, f64, giveBack, op, repeat, select } from "../asm/code.js";
import type { Func } from "../asm/module.js";

type Engine = (what: string, x: Code) => Code;
type Name = "erf" | "erfc" | "lgamma";

/** (1 + 2x) exp(x^2) erfc(x) for x >= 0.75 as a Chebyshev series in (x - 3.75) / (x + 3.75), which lies in [-2/3, 1]. */
const tail = [
  1.211761089503218, -0.08346974964483767, -0.00790067567478788, 0.012125794943139914, -0.0055442643544499, 0.0017736822190053396,
  -0.00044173128624835434, 8.663218623822214e-5, -1.2775880033849684e-5, 1.1816607477961827e-6, 1.287747517771634e-9,
  -2.0735246835976433e-8, 2.8834717541994143e-9, 4.686678601065234e-11, -6.573501521738592e-11, 5.62246619431696e-12,
  1.0154044216204682e-12, -2.1689154960818456e-13, -1.0493357492511337e-14, 6.31825497895303e-15, -3.963673599719154e-17,
  -1.7596845208210864e-16, 7.27625705478622e-18, 5.071040464449053e-18,
];
/** zeta(k) - 1 for k from 2. */
const zeta = Array.from({ length: 30 }, (_, i) => {
  const [k, n] = [i + 2, 40];
  let z = n ** (1 - k) / (k - 1) + 0.5 * n ** -k + (k / 12) * n ** (-k - 1) - ((k * (k + 1) * (k + 2)) / 720) * n ** (-k - 3);
  z += ((k * (k + 1) * (k + 2) * (k + 3) * (k + 4)) / 30240) * n ** (-k - 5);
  for (let m = n - 1; m >= 2; m--) z += m ** -k;
  return z;
});

const add = (a: Code, b: Code): Code => op("f64.add", a, b);
const sub = (a: Code, b: Code): Code => op("f64.sub", a, b);
const mul = (a: Code, b: Code): Code => op("f64.mul", a, b);
const div = (a: Code, b: Code): Code => op("f64.div", a, b);

/** The function of a value, called in the module that is being written. */
export function special(f: Func, name: Name, x: Code, engine: Engine): Code {
  return call(f, name, [x], (g) => ({ erf, erfc, lgamma })[name](g, engine));
}
const call = (f: Func, name: string, args: readonly Code[], make: (g: Func) => Code): Code =>
  f.module.call(name, { takes: args.map(() => "f64" as const), gives: "f64" }, args, make);
const early = (f: Func, test: Code, result: Code): void => f.push(branch(test, [giveBack(result)]));
const isNaN = (x: Code): Code => op("f64.ne", x, x);

/** erfc(x) for x >= 0.75. */
function fraction(f: Func, engine: Engine): Code {
  const x = f.read(0);
  const u = f.keep(mul(sub(div(sub(x, f64(3.75)), add(x, f64(3.75))), f64(1 / 6)), f64(1.2)));
  const v = f.keep(add(u, u));
  let [b, c]: Code[] = [f64(0), f64(0)];
  for (let k = tail.length - 1; k > 0; k--) [b, c] = [f.keep(add(sub(mul(v, b!), c!), f64(tail[k]!))), b];
  // exp(-x^2) of a head whose square is exact, and the rest.
  const h = f.keep(div(op("f64.nearest", mul(x, f64(1024))), f64(1024)));
  const minus = (y: Code): Code => op("f64.neg", y);
  const gaussian = mul(engine("exp", minus(mul(h, h))), engine("exp", minus(mul(sub(x, h), add(x, h)))));
  return div(mul(gaussian, add(sub(mul(u, b!), c!), f64(tail[0]!))), add(f64(1), add(x, x)));
}
function taylor(f: Func): Code {
  const x = f.read(0);
  const z = f.keep(op("f64.neg", mul(x, x)));
  let sum: Code = f64(0);
  for (let n = 24; n >= 0; n--) sum = f.keep(add(div(mul(sum, z), f64(n + 1)), f64(1 / (2 * n + 1))));
  return mul(mul(f64(2 / Math.sqrt(Math.PI)), x), sum);
}
function erf(f: Func, engine: Engine): Code {
  const x = f.read(0);
  early(f, op("i32.or", isNaN(x), op("f64.eq", x, f64(0))), x);
  const a = f.keep(op("f64.abs", x));
  early(f, op("f64.gt", a, f64(6)), op("f64.copysign", f64(1), x));
  early(f, op("f64.lt", a, f64(0.75)), call(f, "erf_taylor", [x], taylor));
  return op(
    "f64.copysign",
    sub(
      f64(1),
      call(f, "erfc_fraction", [a], (g) => fraction(g, engine)),
    ),
    x,
  );
}
function erfc(f: Func, engine: Engine): Code {
  const x = f.read(0);
  early(f, isNaN(x), x);
  early(f, op("f64.lt", x, f64(0.75)), sub(f64(1), special(f, "erf", x, engine)));
  early(f, op("f64.gt", x, f64(27.3)), f64(0));
  return call(f, "erfc_fraction", [x], (g) => fraction(g, engine));
}

/** log(gamma(1 + t)), |t| <= 1/2. */
function nearOne(f: Func, engine: Engine): Code {
  const t = f.read(0);
  const minus = f.keep(op("f64.neg", t));
  let sum: Code = f64(0);
  for (let k = 31; k >= 2; k--) sum = f.keep(add(mul(sum, minus), f64(zeta[k - 2]! / k)));
  return add(add(op("f64.neg", engine("log1p", t)), mul(t, f64(1 - 0.5772156649015329))), mul(mul(t, t), sum));
}
function lgamma(f: Func, engine: Engine): Code {
  const x = f.read(0);
  early(f, isNaN(x), x);
  const magnitude = f.keep(op("f64.abs", x));
  early(f, op("f64.eq", magnitude, f64(Infinity)), f64(Infinity));
  early(f, op("i32.and", op("f64.le", x, f64(0)), op("f64.eq", x, op("f64.floor", x))), f64(Infinity));
  // Reflection: sin(pi x) of what is left of x beyond the nearest even number.
  const r = f.keep(sub(x, mul(f64(2), op("f64.nearest", mul(x, f64(0.5))))));
  const folded = select(op("f64.gt", op("f64.abs", r), f64(0.5)), sub(op("f64.copysign", f64(1), r), r), r);
  const reflected = engine("log", div(f64(Math.PI), op("f64.abs", mul(engine("sin", mul(f64(Math.PI), folded)), x))));
  early(f, op("f64.lt", x, f64(0)), sub(reflected, special(f, "lgamma", op("f64.neg", x), engine)));
  const series = (t: Code): Code => call(f, "lgamma_near_one", [t], (g) => nearOne(g, engine));
  early(f, op("f64.lt", x, f64(0.5)), sub(series(x), engine("log", x)));
  const [p, z] = [f.local("f64"), f.local("f64")];
  f.write(p, f64(1));
  f.write(z, x);
  const product = f.aside(() => {
    const more = op("f64.gt", f.read(z), f64(1.5));
    const step = f.aside(() => {
      f.write(z, sub(f.read(z), f64(1)));
      f.write(p, mul(f.read(p), f.read(z)));
    });
    f.push(branch(more, [repeat(step, more)]), giveBack(add(series(sub(f.read(z), f64(1))), engine("log", f.read(p)))));
  });
  f.push(branch(op("f64.lt", x, f64(20)), product));
  const w = f.keep(div(f64(1), mul(x, x)));
  const stirling = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156].reduceRight<Code>(
    (sum, k) => add(f64(k), mul(w, sum)),
    f64(0),
  );
  const main = add(sub(mul(sub(x, f64(0.5)), engine("log", x)), x), f64(0.5 * Math.log(2 * Math.PI)));
  return add(main, div(stirling, x));
}
