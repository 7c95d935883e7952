/** Values from one device to another, by way of the host. */
import { ArgumentError } from "../core/errors.js";
import { input } from "../ops/source.js";
import { deviceName } from "../runtime/device.js";
import { Cell } from "./cell.js";
import { backendNames, engineOf } from "./device.js";
import { mode } from "./mode.js";
import { Storage, setStorage, storageOf } from "./storage.js";
import { Tensor } from "./tensor.js";

/** The tensor's values on another device; the tensor itself where it is there already. */
export function move(t: Tensor, device: string): Tensor {
  if (!backendNames().includes(deviceName(device)[0]))
    throw new ArgumentError(`to: ${device} is neither a dtype nor a device; devices are ${backendNames().join(", ") || "not registered"}`);
  const [from, to] = [engineOf(t.cell.device), engineOf(device)];
  if (from === to || from.name === to.name) return t;
  mode.trace?.refuse("to(device)");
  if (t.requiresGrad && mode.grad && !t.isLeaf) throw new ArgumentError("to: gradients do not pass from device to device; detach() first");
  t.schedule();
  const source = storageOf(t.value())!;
  const leaf = input(t.value().type);
  const copy = new Storage(leaf.type, source.host);
  source.pinned = true;
  if (!source.host)
    copy.arriving = from.read(source).then((bytes) => {
      copy.host = bytes;
      copy.arriving = undefined;
    });
  setStorage(leaf, copy);
  const moved = new Tensor(new Cell(leaf, device));
  return t.requiresGrad && t.isLeaf ? moved.requiresGrad_() : moved;
}
