import { conformance } from "../../../test/conformance/suite.js";
import { js } from "./index.js";

conformance(js);
