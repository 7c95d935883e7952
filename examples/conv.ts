/** A small convolutional network tells horizontal from vertical stripes: `node --import tsx examples/conv.ts`. */
import { compile, manualSeed, nn, noGrad, optim, randn, type Tensor, tensor } from "treepie";

manualSeed(2);
class Net extends nn.Module {
  conv1: nn.Conv2d = new nn.Conv2d(1, 8, 3, { padding: 1 });
  conv2: nn.Conv2d = new nn.Conv2d(8, 16, 3, { padding: 1 });
  head: nn.Linear = new nn.Linear(16, 2);
  override forward(x: Tensor): Tensor {
    const h = this.conv2.forward(this.conv1.forward(x).relu().maxPool2d(2)).relu();
    return this.head.forward(h.mean([2, 3]));
  }
}

/** Noisy stripes, [n, 1, 12, 12], and which way they run. */
function stripes(n: number): { images: Tensor; labels: Tensor } {
  const labels = Array.from({ length: n }, () => (Math.random() < 0.5 ? 0 : 1));
  const pixels = new Float32Array(n * 144);
  labels.forEach((label, i) => {
    const phase = Math.random() * 6;
    for (let y = 0; y < 12; y++) for (let x = 0; x < 12; x++) pixels[i * 144 + y * 12 + x] = Math.sin((label ? x : y) * 1.5 + phase);
  });
  return { images: tensor(pixels, [n, 1, 12, 12]).add(randn([n, 1, 12, 12]).mul(0.5)), labels: tensor(labels, { dtype: "i64" }) };
}

const net = new Net();
const optimizer = new optim.Adam(net.parameters(), { lr: 3e-3 });
const step = compile((images: Tensor, labels: Tensor) => {
  const loss = net.forward(images).crossEntropy(labels);
  optimizer.zeroGrad();
  loss.backward();
  optimizer.step();
  return loss;
});
for (let i = 0; i <= 100; i++) {
  const { images, labels } = stripes(64);
  const loss = step(images, labels);
  if (i % 20 === 0) console.log(`step ${i}: loss ${(await loss.item()).toFixed(3)}`);
}
const { images, labels } = stripes(500);
const right = noGrad(() => net.eval().forward(images).argmax(1).eq(labels).to("f32").mean());
console.log(`right on new images: ${(100 * (await right.item())).toFixed(1)} %`);
