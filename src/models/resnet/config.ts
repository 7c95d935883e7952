/** Sizes of ResNets. */

/** Sizes of a ResNet. */
export interface ResNetConfig {
  readonly block: "basic" | "bottleneck";
  /** Blocks of the four stages. */
  readonly layers: readonly [number, number, number, number];
  /** Channels of the first stage; each later one has twice as many. */
  readonly width: number;
  /** Channels of an image. */
  readonly channels: number;
  readonly classes: number;
}
const config =
  (block: ResNetConfig["block"], layers: ResNetConfig["layers"]) =>
  (options: Partial<Omit<ResNetConfig, "block" | "layers">> = {}): ResNetConfig => ({
    block,
    layers,
    width: 64,
    channels: 3,
    classes: 1000,
    ...options,
  });
/** torchvision's resnet18. */
export const resNet18: ReturnType<typeof config> = config("basic", [2, 2, 2, 2]);
/** torchvision's resnet34. */
export const resNet34: ReturnType<typeof config> = config("basic", [3, 4, 6, 3]);
/** torchvision's resnet50. */
export const resNet50: ReturnType<typeof config> = config("bottleneck", [3, 4, 6, 3]);
