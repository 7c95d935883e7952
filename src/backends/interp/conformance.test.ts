import { conformance } from "../../../test/conformance/suite.js";
import { interp } from "./index.js";

conformance(interp);
