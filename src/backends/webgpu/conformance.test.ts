import { conformance } from "../../../test/conformance/suite.js";
import { withoutWebGpu } from "../../../test/support/webgpu.js";
import { webgpu } from "./index.js";

// A software driver takes seconds to compile a kernel: the first sample of each op in f32, or, with
// TREEPIE_FULL=1, everything.
const some = process.env["TREEPIE_FULL"] ? {} : ({ samples: 1, dtypes: ["f32"], derivatives: [] } as const);
conformance(webgpu, { ...some, skip: await withoutWebGpu() });
