import { FormatError, TreepieError } from "../core/errors.js";
import type { Dim } from "../core/expr.js";
import { readRange } from "../core/expr-text.js";
import { showType } from "../core/type.js";
import { accept, expect, failAt, type Reader, readAttrs, space, token } from "./attrs.js";
import type { Graph, Update } from "./graph.js";
import { type Attrs, make, type Node, opByName } from "./node.js";
import { verifyGraph } from "./verify.js";

const idToken = /%\d{1,9}(?!\d)/y;
const opToken = /[A-Za-z_]\w*/y;
const lineToken = /[^\n]*/y;

/** Reads a graph that `printGraph` wrote and verifies it. Ops must have been imported. Throws FormatError, whatever the text is. */
export function parseGraph(from: string | Reader): Graph {
  const outer = typeof from === "string";
  const ranges = new Map<string, Dim>();
  const r: Reader = { text: outer ? from : from.text, at: outer ? 0 : from.at, depth: outer ? 0 : from.depth, ranges };
  if (++r.depth > 20) failAt(r, "fewer nested graphs");
  let g: Graph;
  try {
    g = readGraph(r, ranges);
    if (outer) verifyGraph(g, "parsed graph");
  } catch (e) {
    if (e instanceof FormatError) throw e;
    throw new FormatError(`line ${r.text.slice(0, r.at).split("\n").length}: ${(e as Error).message}`, { cause: e });
  }
  if (outer) {
    space(r);
    if (r.at !== r.text.length) failAt(r, "nothing more");
  } else from.at = r.at;
  return g;
}

function readGraph(r: Reader, ranges: Map<string, Dim>): Graph {
  expect(r, "graph");
  expect(r, "{");
  const nodes = new Map<string, Node>();
  const ref = (): Node => {
    const id = token(r, idToken) ?? failAt(r, "a value like %0");
    return nodes.get(id) ?? failAt(r, `${id}, which is not defined above,`);
  };
  const refs = (): Node[] => {
    const list: Node[] = [];
    while (accept(r, "%")) {
      r.at--;
      list.push(ref());
    }
    return list;
  };
  while (accept(r, "dim ")) {
    readRange(token(r, lineToken) ?? "", ranges);
  }
  while (accept(r, "%")) {
    r.at--;
    const id = token(r, idToken) ?? failAt(r, "a value like %0");
    if (nodes.has(id)) failAt(r, "a value that is not defined yet");
    expect(r, "=");
    nodes.set(id, readNode(r, ref));
  }
  expect(r, "inputs");
  const inputs = refs();
  const state = accept(r, "state") ? refs() : [];
  expect(r, "outputs");
  const outputs = refs();
  const updates: Update[] = [];
  while (accept(r, "update ")) {
    const target = ref();
    expect(r, ":=");
    updates.push({ state: target, value: ref() });
  }
  expect(r, "}");
  return { inputs, state, outputs, updates };
}

function readNode(r: Reader, ref: () => Node): Node {
  const name = token(r, opToken) ?? failAt(r, "an op");
  const op = opByName(name) ?? failAt(r, `a known op instead of ${name}`);
  const inputs: Node[] = [];
  if (accept(r, "(")) {
    do inputs.push(ref());
    while (accept(r, ","));
    expect(r, ")");
  }
  space(r);
  const attrs: Attrs = r.text[r.at] === "{" ? readAttrs(r) : {};
  let n: Node;
  try {
    n = make(op, inputs, attrs);
  } catch (e) {
    if (e instanceof FormatError) throw e;
    const why = e instanceof TreepieError ? e.message : "its inputs or attributes do not fit";
    throw new FormatError(`line ${r.text.slice(0, r.at).split("\n").length}: ${name}: ${why}`, { cause: e });
  }
  expect(r, ":");
  const written = (token(r, lineToken) ?? "").trim();
  const type = n.tuple ? `(${n.tuple.map(showType).join(", ")})` : showType(n.type);
  if (written !== type) failAt(r, `type ${type} instead of ${written.slice(0, 60)} before this line`);
  return n;
}
