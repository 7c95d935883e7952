import { conformance } from "../../../test/conformance/suite.js";
import { wasm } from "./index.js";

conformance(wasm);
